"""Commands on the twins: what is accepted happens once, what is bad changes nothing."""

from types import SimpleNamespace
from typing import Any

import pytest
from testkit.gateway import START, MemoryGateway

from tradebus.contracts.commands import Flatten
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.registry import parse
from tradebus.contracts.signals import Side
from tradebus.store.books import instruments_book


async def test_a_session_is_reported_once_every_service_has_taken_it_up(twin: MemoryGateway) -> None:
    reply = await twin.command(**START)
    await twin.take_up(reply["session_id"], "strategy", "risk")
    assert "SESSION_STARTED" not in [one["type"] for one in await twin.events()]
    await twin.take_up(reply["session_id"], "execution")
    event = await twin.event("SESSION_STARTED")
    assert event["session_id"] == reply["session_id"]
    assert event["spec"]["symbols"] == ["BANKNIFTY"]
    assert await twin.status(reply["session_id"]) == "RUNNING"


async def test_the_same_start_again_reports_the_session_again(twin: MemoryGateway) -> None:
    session_id = await twin.started()
    reply = await twin.command(**START)
    assert (reply["status"], reply["session_id"]) == ("repeated", session_id)
    said = [one for one in await twin.events() if one["type"] == "SESSION_STARTED"]
    assert len(said) == 2
    assert said[0] == said[1]
    assert len(await twin.commands()) == 1


async def test_a_command_id_is_carried_out_once_even_after_the_session_ended(twin: MemoryGateway) -> None:
    session_id = await twin.started(command_id="c1")
    await twin.command(action="STOP_TRADING", user_id="123")
    await twin.let_go(session_id)
    await twin.event("SESSION_STOPPED")
    reply = await twin.command(**START, command_id="c1")
    assert (reply["status"], reply["session_id"], reply["session_status"]) == ("repeated", session_id, "STOPPED")
    assert await twin.status(session_id) == "STOPPED"


async def test_two_users_may_use_the_same_command_id(twin: MemoryGateway) -> None:
    first = await twin.command(**START, command_id="c1")
    second = await twin.command(**{**START, "user_id": "456"}, command_id="c1")
    assert first["status"] == second["status"] == "accepted"
    assert first["session_id"] != second["session_id"]


async def test_another_start_while_one_is_alive_is_rejected_and_named(twin: MemoryGateway) -> None:
    session_id = await twin.started()
    before = await twin.commands()
    reply = await twin.command(**{**START, "data": {**START["data"], "capital": 1}})
    assert reply["status"] == "rejected"
    assert session_id in reply["errors"][0]["problem"]
    assert await twin.commands() == before


async def test_stop_with_nothing_alive_is_harmless_and_reported(twin: MemoryGateway) -> None:
    reply = await twin.command(action="STOP_TRADING", user_id="123")
    assert reply["status"] == "rejected"
    session_id = await twin.started()
    await twin.command(action="STOP_TRADING", user_id="123")
    await twin.let_go(session_id)
    await twin.event("SESSION_STOPPED")
    again = await twin.command(action="STOP_TRADING", user_id="123")
    assert (again["status"], again["session_status"]) == ("repeated", "STOPPED")
    assert [one["type"] for one in await twin.events()].count("SESSION_STOPPED") == 2


async def test_pause_and_resume_are_told_and_repeating_them_is_not(twin: MemoryGateway) -> None:
    await twin.started()
    for action in ("PAUSE_TRADING", "PAUSE_TRADING", "RESUME_TRADING", "RESUME_TRADING", "FLATTEN"):
        await twin.command(action=action, user_id="123")
    assert [entry.kind for entry in await twin.commands()] == [
        "START_TRADING", "PAUSE_TRADING", "RESUME_TRADING", "FLATTEN",
    ]  # fmt: skip
    await twin.event("SESSION_RESUMED")


async def test_a_pause_during_the_start_is_not_lost(twin: MemoryGateway) -> None:
    reply = await twin.command(**START)
    await twin.command(action="PAUSE_TRADING", user_id="123")
    await twin.take_up(reply["session_id"])
    await twin.event("SESSION_PAUSED")
    assert await twin.status(reply["session_id"]) == "PAUSED"


async def test_a_session_nobody_takes_up_fails_and_says_who_is_missing(launch_twin: Any) -> None:
    twin = await launch_twin(session_start_timeout_seconds=0.05)
    reply = await twin.command(**START)
    event = await twin.event("SESSION_FAILED")
    assert "strategy, risk, execution" in event["reason"]
    assert [entry.kind for entry in await twin.commands()] == ["START_TRADING", "STOP_TRADING"]
    again = await twin.command(**START)
    assert again["session_id"] != reply["session_id"]


async def test_bad_names_are_answered_with_the_nearest(twin: MemoryGateway) -> None:
    data = {
        "strategies": [{"name": "orb", "parameters": {"no_such": 1}}, "ema_20_5"],
        "symbols": ["NIFTI"],
        "capital": 1,
    }
    reply = await twin.command(action="START_TRADING", user_id="1", data=data)
    problems = {one["field"]: one["problem"] for one in reply["errors"]}
    assert "did you mean 'NIFTY'" in problems["data.symbols[0]"]
    assert "did you mean 'ema_20_50'" in problems["data.strategies[1].name"]
    assert "no such parameter" in problems["data.strategies[0].parameters.no_such"]


async def holds(twin: MemoryGateway, session_id: str, pos_id: str) -> None:
    async with twin.book.begin() as transaction:
        transaction.table("trades")[pos_id] = SimpleNamespace(
            pos_id=pos_id, user_id="123", session_id=session_id, strategy="orb", symbol="NIFTY", instrument=2,
            side=Side.LONG, expected_price_paise=1, ended=False, created_ns=1,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, (None, None, None)),
        ({"strategy": "orb"}, ("orb", None, None)),
        ({"strategy": "webhook.chart", "symbol": "nifty"}, ("webhook.chart", "NIFTY", None)),
        ({"strategy": "manual", "symbol": "NIFTYBANK"}, ("manual", "BANKNIFTY", None)),
        ({"symbol": "sensex"}, (None, "SENSEX", None)),
        ({"pos_id": "p1"}, (None, None, "p1")),
    ],
)
async def test_a_flatten_tells_the_services_what_it_means(
    twin: MemoryGateway, data: dict[str, str], told: tuple[str | None, str | None, str | None]
) -> None:
    await holds(twin, await twin.started(), "p1")
    future = Instrument(
        instrument_id=9, symbol="SENSEX26DECFUT", kind="FUTURE", market_class="derivative", underlying="SENSEX"
    )
    async with twin.book.begin() as transaction:  # a contract is traded, and what it is on is not
        await instruments_book(twin.book).register(transaction, [future], aliases={})
    for _ in range(2):  # sent again under its id it is one
        reply = await twin.command(action="FLATTEN", user_id="123", command_id="c1", data=data)
        assert reply["status"] != "rejected", reply
    found = [parse(entry.body) for entry in await twin.commands() if entry.kind == "FLATTEN"]
    assert [(one.strategy, one.symbol, one.pos_id) for one in found if isinstance(one, Flatten)] == [told]


@pytest.mark.parametrize(
    ("data", "field", "hint"),
    [
        ({"strategy": "orbb"}, "data.strategy", "did you mean 'orb'"),
        ({"symbol": "NIFTI"}, "data.symbol", "did you mean 'NIFTY'"),
        ({"pos_id": "p9"}, "data.pos_id", "/api/portfolio"),
        ({"pos_id": "of-before"}, "data.pos_id", "no position of session"),
    ],
)
async def test_a_flatten_of_what_is_not_there_is_refused_and_nobody_is_told(
    twin: MemoryGateway, data: dict[str, str], field: str, hint: str
) -> None:
    await holds(twin, await twin.started(), "p1")
    await holds(twin, "another", "of-before")
    reply = await twin.command(action="FLATTEN", user_id="123", data=data)
    assert (reply["status"], [one["field"] for one in reply["errors"]]) == ("rejected", [field])
    assert hint in reply["errors"][0]["problem"]
    assert "FLATTEN" not in [entry.kind for entry in await twin.commands()]
