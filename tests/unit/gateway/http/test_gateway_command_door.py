"""Commands over the doors, on the twins: what is bad is named and changes nothing."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testkit.gateway import START, Gateway, eventually

from tradebus.contracts.streams import COMMAND_CHANNEL, EVENT_CHANNEL
from tradebus.store.books import sessions_book
from tradebus.store.memory_book import EVENTS

TABLES = ("sessions", "inbox", "session_participants", "kill_switch")


def book(gateway: Gateway) -> dict[str, int]:
    return {name: len(gateway.database.table(name)) for name in TABLES}


async def test_no_token_is_kept_or_told(gateway: Gateway) -> None:
    secret = "very-secret-access-token"
    await gateway.command(**{**START, "data": {**START["data"], "access_token": secret}})
    kept = b"".join(event.message.to_json() for event in gateway.database.table(EVENTS).values())
    (session,) = await sessions_book(gateway.book).alive()
    told = b"".join(entry.body for entry in await gateway.commands())
    assert secret not in kept.decode() + session.spec.model_dump_json() + told.decode()


BAD_BODIES = [
    b"", b"{", b"[]", b"\xff", b"null", b'{"action":"X"}', b'{"action":"START_TRADING"}', b"[" * 50_000,
    b'{"action":"START_TRADING","user_id":"1","data":{"mode":"live"}}', b'{"a":"' + b"x" * 300_000 + b'"}',
    json.dumps({**START, "data": {**START["data"], "strategies": ["orbit"]}}).encode(),
    json.dumps({**START, "data": {**START["data"], "symbols": ["BANKNIFTI"]}}).encode(),
    json.dumps({**START, "data": {**START["data"], "strategies": [{"name": "orb", "parameters": {"x": 1}}]}}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_a_bad_command_is_rejected_by_name_and_changes_nothing(gateway: Gateway, body: bytes) -> None:
    before = book(gateway)
    answer = await gateway.http.post("/api/commands", content=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
    event = await gateway.event("COMMAND_REJECTED")
    assert event["errors"] == answer.json()["errors"]
    assert book(gateway) == before
    assert await gateway.commands() == []


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["broker", "mode", "strategies", "symbols", "capital", "limits", "paper", "access_token", "x"])


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(
    body=st.binary(max_size=200)
    | st.dictionaries(names, json_trees).map(lambda data: json.dumps({**START, "data": data}).encode())
)
async def test_no_bytes_bring_the_gateway_down(gateway: Gateway, body: bytes) -> None:
    before = book(gateway)
    answer = await gateway.http.post("/api/commands", content=body)
    assert answer.status_code == 422, answer.text
    assert book(gateway) == before


async def test_a_command_on_the_channel_is_carried_out(gateway: Gateway) -> None:
    await gateway.bus.broadcast(COMMAND_CHANNEL, json.dumps(START).encode())
    await eventually(gateway.commands)
    await gateway.bus.broadcast(COMMAND_CHANNEL, b"nonsense")
    event = await gateway.event("COMMAND_REJECTED")
    assert event["errors"][0]["field"] == "command"


async def test_what_is_told_outside_reaches_pub_sub_listeners(gateway: Gateway) -> None:
    listener = gateway.bus.listen(EVENT_CHANNEL)
    await listener.ready()
    await gateway.command(action="NONSENSE")
    event = json.loads(await anext(listener))
    assert event["type"] == "COMMAND_REJECTED"
    assert {"event_id", "schema_version", "time_utc", "source", "trace_id"} <= set(event)
    await listener.aclose()
