"""Commands over all three doors, on real servers: what is accepted happens once, what is bad changes nothing."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testkit.gateway import START, Gateway, eventually

from tradebus.contracts.commands import StartTrading
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import COMMAND_CHANNEL, COMMAND_INBOX, EVENT_CHANNEL

TABLES = ("sessions", "inbox", "session_participants", "kill_switch")


async def book(gateway: Gateway) -> dict[str, int]:
    return {name: await gateway.store.pool.fetchval(f"SELECT count(*) FROM {name}") for name in TABLES}


async def test_a_start_becomes_a_session_the_services_are_told_of(gateway: Gateway) -> None:
    reply = await gateway.command(**START)
    assert (reply["http"], reply["status"], reply["session_status"]) == (202, "accepted", "STARTING")
    (entry,) = await gateway.commands()
    told = parse(entry.body)
    assert isinstance(told, StartTrading)
    assert (told.session_id, told.user_id, told.spec.capital_paise) == (reply["session_id"], "123", 50_000_000)


async def test_no_token_is_kept_or_told(gateway: Gateway) -> None:
    secret = "very-secret-access-token"
    await gateway.command(**{**START, "data": {**START["data"], "access_token": secret}})
    kept = await gateway.store.pool.fetchval("SELECT string_agg(body::text, '') FROM events")
    spec = await gateway.store.pool.fetchval("SELECT spec::text FROM sessions")
    told = b"".join(entry.body for entry in await gateway.commands())
    assert secret not in kept + spec + told.decode()


async def test_stop_flattens_then_reports_trades_and_profit(gateway: Gateway) -> None:
    session_id = await gateway.started()
    reply = await gateway.command(action="STOP_TRADING", user_id="123", data={"reason": "enough"})
    assert (reply["status"], reply["session_status"]) == ("accepted", "STOPPING")
    assert [entry.kind for entry in await gateway.commands()] == ["START_TRADING", "STOP_TRADING"]
    await add_trade(gateway, session_id, state="POSITION_OPEN")
    await gateway.let_go(session_id)
    again = await gateway.command(action="STOP_TRADING", user_id="123")
    assert (again["status"], again["session_status"]) == ("repeated", "STOPPING")
    await gateway.store.pool.execute("UPDATE trades SET state = 'CLOSED', net_pnl_paise = -12345")
    event = await gateway.event("SESSION_STOPPED")
    assert (event["trades"], event["net_pnl_paise"], event["reason"]) == (1, -12345, "enough")


async def test_stop_waits_for_an_approval_that_execution_has_not_answered(gateway: Gateway) -> None:
    session_id = await gateway.started()
    await gateway.store.pool.execute(
        """INSERT INTO events VALUES ('e1', 'intents.v1.{0}', 'ENTRY_APPROVED', $1, 'p1', 1, '{"intent_id": "i1"}')""",
        session_id,
    )
    await gateway.command(action="STOP_TRADING", user_id="123")
    await gateway.let_go(session_id)
    await gateway.command(**{**START, "user_id": "other"})  # another round through the gateway
    assert await gateway.store.pool.fetchval("SELECT status FROM sessions WHERE user_id = '123'") == "STOPPING"
    await gateway.store.pool.execute(
        "INSERT INTO intents VALUES ('i1', 'p1', $1, 'ENTRY', 'REFUSED', 1, '{}')", session_id
    )
    await gateway.event("SESSION_STOPPED")


BAD_BODIES = [
    b"", b"{", b"[]", b"\xff", b"null", b'{"action":"X"}', b'{"action":"START_TRADING"}', b"[" * 50_000,
    b'{"action":"START_TRADING","user_id":"1","data":{"mode":"live"}}', b'{"a":"' + b"x" * 300_000 + b'"}',
    json.dumps({**START, "data": {**START["data"], "strategies": ["orbit"]}}).encode(),
    json.dumps({**START, "data": {**START["data"], "symbols": ["BANKNIFTI"]}}).encode(),
    json.dumps({**START, "data": {**START["data"], "strategies": [{"name": "orb", "parameters": {"x": 1}}]}}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_a_bad_command_is_rejected_by_name_and_changes_nothing(gateway: Gateway, body: bytes) -> None:
    before = await book(gateway)
    answer = await gateway.http.post("/api/commands", content=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
    event = await gateway.event("COMMAND_REJECTED")
    assert event["errors"] == answer.json()["errors"]
    assert await book(gateway) == before
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
    before = await book(gateway)
    answer = await gateway.http.post("/api/commands", content=body)
    assert answer.status_code == 422, answer.text
    assert await book(gateway) == before


async def test_a_command_on_the_channel_is_carried_out(gateway: Gateway) -> None:
    await gateway.bus.broadcast(COMMAND_CHANNEL, json.dumps(START).encode())
    await eventually(gateway.commands)
    await gateway.bus.broadcast(COMMAND_CHANNEL, b"nonsense")
    event = await gateway.event("COMMAND_REJECTED")
    assert event["errors"][0]["field"] == "command"


async def test_a_command_on_the_durable_stream_is_carried_out_once(
    gateway: Gateway, redis_url: str, namespace: str
) -> None:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(redis_url) as outside:
        await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}", {"body": json.dumps(START)})
        await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}", {"body": "nonsense"})
        await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}", {"one": "two", "three": "four"})
    await eventually(gateway.commands)

    async def both_rejected() -> bool:
        return [one["type"] for one in await gateway.events()].count("COMMAND_REJECTED") == 2

    await eventually(both_rejected)
    assert await gateway.store.pool.fetchval("SELECT count(*) FROM sessions") == 1


async def test_each_application_has_a_durable_stream_of_its_own(
    launch: Any, gateway_settings: Any, redis_url: str, namespace: str
) -> None:
    import redis.asyncio

    gateway = await launch(gateway_settings.model_copy(update={"applications": "app, desk_2"}))
    async with redis.asyncio.Redis.from_url(redis_url) as outside:
        for name, user in (("app", "123"), ("desk_2", "124")):
            # One id on both: neither is taken for the other.
            command = json.dumps(START | {"user_id": user})
            await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}.{name}", {"command": command}, id="1-1")

    async def both_started() -> bool:
        return await gateway.store.pool.fetchval("SELECT count(DISTINCT user_id) FROM sessions") == 2

    await eventually(both_started)


async def test_a_command_that_waited_while_the_gateway_was_away_is_carried_out(
    launch: Any, gateway_settings: Any, redis_url: str, namespace: str
) -> None:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(redis_url) as outside:
        await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}", {"body": json.dumps(START)})
    gateway = await launch(gateway_settings)
    await eventually(gateway.commands)


async def test_what_is_told_outside_reaches_pub_sub_listeners(gateway: Gateway) -> None:
    listener = gateway.bus.listen(EVENT_CHANNEL)
    await listener.ready()
    await gateway.command(action="NONSENSE")
    event = json.loads(await anext(listener))
    assert event["type"] == "COMMAND_REJECTED"
    assert {"event_id", "schema_version", "time_utc", "source", "trace_id"} <= set(event)
    await listener.aclose()


async def add_trade(gateway: Gateway, session_id: str, *, state: str) -> None:
    await gateway.store.pool.execute(
        """INSERT INTO trades (pos_id, session_id, user_id, strategy, symbol, instrument_id, side, state,
               quantity_requested, entry_quantity, entry_value_paise, expected_price_paise, initial_stop_paise,
               stop_paise, lot_size, tick_size_paise, max_slippage_pct, order_timeout_seconds, trace_id, intent_id,
               created_ns, as_of_ns, owner)
           VALUES ('p1', $1, '123', 'orb', 'BANKNIFTY', 1, 'LONG', $2, 30, 30, 30 * 5000000, 5000000, 4990000, 4990000,
               15, 5, 0.5, 30, 't1', 'i1', 1, 1, 'execution-1')""",
        session_id, state,
    )  # fmt: skip


async def test_commands_go_on_after_postgres_has_dropped_every_connection(gateway: Gateway) -> None:
    await gateway.store.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND application_name = $1",
        gateway.store.producer,
    )
    await gateway.bus.broadcast(COMMAND_CHANNEL, json.dumps(START).encode())
    (entry,) = await eventually(gateway.commands)
    assert entry.kind == "START_TRADING"
