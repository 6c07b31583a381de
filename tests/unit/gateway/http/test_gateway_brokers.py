"""START_TRADING for a broker: what is in force decides, a token it carries is stored encrypted and is nowhere else."""

from collections.abc import Callable
from typing import Any

import pytest
from testkit.fake_broker import FakeBroker, opening
from testkit.gates import open_gates
from testkit.gateway import START, Gateway

from services.gateway.settings import GatewaySettings
from tradebus.brokers.account import SessionState
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.store.books import feeds_book, sessions_book
from tradebus.store.books.feeds import FeedRow
from tradebus.store.memory_book import EVENTS

SECRET = "very-secret-access-token"
LIVE = {
    **START["data"], "mode": "live", "broker": "dhan", "client_id": "1100", "access_token": SECRET,
    "limits": {"daily_max_loss_r": 3},
}  # fmt: skip


@pytest.fixture
async def gateway(launch: Callable[[GatewaySettings], Any], gateway_settings: GatewaySettings) -> Gateway:
    """One that knows a sandbox of Dhan, with Kite's live feed in force."""
    settings = gateway_settings.model_copy(update={"dhan_url": "http://127.0.0.1:8102"})
    found: Gateway = await launch(settings)
    await in_force(found, {"feed": "live", "broker": "kite"})
    return found


async def in_force(gateway: Gateway, spec: dict[str, str]) -> None:
    await feeds_book(gateway.book).begin(FeedRow("x", spec, {}))


def logins(gateway: Gateway) -> Credentials:
    return Credentials(gateway.settings.state_dir)


async def started(gateway: Gateway, **data: Any) -> dict[str, Any]:
    return await gateway.command(**{**START, "data": {**LIVE, **data}})


async def test_a_carried_token_is_stored_encrypted_and_named_in_the_spec(gateway: Gateway) -> None:
    reply = await started(gateway)
    assert reply["status"] == "accepted"
    spec = await sessions_book(gateway.book).spec(reply["session_id"])
    assert spec is not None
    assert (spec.mode, spec.broker, spec.data_broker, spec.credential) == (
        "live",
        "dhan",
        "kite",
        "123.dhan",
    )
    kept = logins(gateway).get("123.dhan")
    assert (kept.client_id, kept.access_token, kept.account) == ("1100", SECRET, "")
    rows = b"".join(event.message.to_json() for event in gateway.database.table(EVENTS).values()).decode()
    told = b"".join(entry.body for entry in await gateway.commands()).decode()
    files = [path.read_bytes() for path in gateway.settings.state_dir.rglob("*") if path.is_file()]
    assert SECRET not in rows + told + spec.model_dump_json()
    assert not any(SECRET.encode() in body for body in files)


async def test_repeating_a_start_with_a_new_token_renews_the_login(gateway: Gateway) -> None:
    await started(gateway)
    reply = await started(gateway, access_token="the-next-days-token")
    assert reply["status"] == "repeated"
    assert logins(gateway).get("123.dhan").access_token == "the-next-days-token"


async def test_a_rejected_start_stores_nothing(gateway: Gateway) -> None:
    reply = await started(gateway, capital=-1)
    assert reply["status"] == "rejected"
    assert logins(gateway).names() == []


async def test_a_start_that_another_session_forbids_stores_nothing(gateway: Gateway) -> None:
    await started(gateway)
    reply = await started(gateway, access_token="of-somebody-else", capital=1)
    assert reply["status"] == "rejected"
    assert logins(gateway).get("123.dhan").access_token == SECRET


async def test_a_stored_login_must_be_one_at_that_broker(gateway: Gateway) -> None:
    logins(gateway).put("mine", Credential("kite", "key", access_token="t"))
    data = {key: value for key, value in LIVE.items() if key not in ("access_token", "client_id")}
    reply = await gateway.command(**{**START, "data": {**data, "credential": "mine"}})
    assert reply["errors"][0] == {
        "field": "data.credential",
        "problem": "is a login at kite, and the orders are to go to dhan",
    }
    logins(gateway).put("mine", Credential("dhan", "key", access_token="t"))
    assert (await gateway.command(**{**START, "data": {**data, "credential": "mine"}}))["status"] == "accepted"


@pytest.mark.parametrize(
    ("spec", "field", "problem"),
    [
        ({"feed": "generated"}, "data.data_broker", "the feed in force is generated"),
        ({"feed": "live", "broker": "upstox"}, "data.data_broker", "the feed in force is upstox"),
    ],
)
async def test_the_feed_in_force_decides_whose_prices(
    gateway: Gateway, spec: dict[str, str], field: str, problem: str
) -> None:
    await in_force(gateway, spec)
    reply = await started(gateway, data_broker="kite")
    assert reply["status"] == "rejected"
    assert [one for one in reply["errors"] if one["field"] == field and problem in one["problem"]]


async def test_a_real_broker_gets_no_orders_and_nothing_becomes_paper(gateway: Gateway) -> None:
    reply = await started(gateway, broker="upstox")
    assert [one["field"] for one in reply["errors"]] == ["data.access_token"]
    assert await sessions_book(gateway.book).alive() == []


async def real(gateway: Gateway, **data: Any) -> dict[str, Any]:
    """A START for a real broker, with a stored login."""
    logins(gateway).put("real", Credential("upstox", "key", access_token="t", account="AB1"))
    wanted = {key: value for key, value in LIVE.items() if key not in ("access_token", "client_id")}
    return await gateway.command(
        **{**START, "data": {**wanted, "broker": "upstox", "credential": "real", **data}}
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["live", "dry-run"])
async def test_every_closed_gate_is_named_with_what_to_do_and_nothing_is_started(
    launch: Callable[..., Any], gateway_settings: GatewaySettings, mode: str
) -> None:
    broker = FakeBroker("upstox")
    broker.session.state = SessionState.EXPIRED
    gateway = await launch(gateway_settings, open_broker=opening(broker))
    await in_force(gateway, {"feed": "live", "broker": "kite"})
    reply = await real(gateway, mode=mode)
    assert reply["status"] == "rejected"
    problems = [one["problem"] for one in reply["errors"]]
    for gate in ("fresh_token: the broker does not take it; log in", "static_ip: none is stated; set", "drill: it was"):
        said = f"nothing was started, preflight: {gate}"
        assert any(problem.startswith(said) for problem in problems), (
            said,
            problems,
        )
    assert all("; " in problem and not problem.endswith("…") for problem in problems), "each says what to do"
    assert await sessions_book(gateway.book).alive() == []
    assert broker.book.requests == []


async def test_behind_open_gates_a_live_session_is_live_and_a_dry_run_is_on_paper(
    launch: Callable[..., Any], gateway_settings: GatewaySettings
) -> None:
    with open_gates(gateway_settings.state_dir, name="upstox") as (broker, fields):
        gateway = await launch(gateway_settings.model_copy(update=fields), open_broker=opening(broker))
        await in_force(gateway, {"feed": "live", "broker": "kite"})
        await live_and_dry(gateway)
    assert broker.book.requests == []


async def live_and_dry(gateway: Gateway) -> None:
    wanted = {key: value for key, value in LIVE.items() if key not in ("access_token", "client_id")}
    data = {**wanted, "broker": "upstox", "credential": "real"}
    reply = await gateway.command(**{**START, "data": data})
    assert reply["status"] == "accepted", reply
    spec = await sessions_book(gateway.book).spec(reply["session_id"])
    assert spec is not None
    assert (spec.mode, spec.broker, spec.credential) == ("live", "upstox", "real")
    reply = await gateway.command(**{**START, "user_id": "another", "data": {**data, "mode": "dry-run"}})
    assert reply["status"] == "accepted", reply
    spec = await sessions_book(gateway.book).spec(reply["session_id"])
    assert spec is not None
    assert (spec.mode, spec.broker, spec.credential) == ("dry-run", "paper", None)
    assert spec.rehearsed_broker == "upstox", "its orders are shown as that broker's"


async def test_a_service_that_cannot_take_the_session_up_ends_it_with_its_reason(gateway: Gateway) -> None:
    reply = await started(gateway)
    await sessions_book(gateway.book).give_up(reply["session_id"], reason="execution: dhan: the login has ended")
    event = await gateway.event("SESSION_FAILED")
    assert event["reason"] == "execution: dhan: the login has ended"
