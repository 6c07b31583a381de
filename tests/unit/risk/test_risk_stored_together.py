"""Signals that come together are judged one after the other and stored together: nothing twice, nothing lost."""

from collections.abc import Sequence

import pytest
from testkit.risk import OTHER, STOCK, at, entry, exit_signal, opened, situation, spec, ticks
from testkit.risk_service import Around, message, stream_of

from services.risk.market.marks import TICKS_STREAM
from services.risk.ports import MessageEffect, StateChange
from tradebus.bus.port import Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.risk import EntryApproved, EntryBlocked, ExitApproved
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_signal
from tradebus.store.memory_book import MemoryBook
from tradebus.trading.facts import Fact

SESSIONS = [f"session-{number}" for number in range(1, 41)]


def together(*said: Fact) -> list[Outgoing]:
    return [Outgoing(stream_of(one), one.TYPE, message(one).to_json()) for one in said]


def database(around: Around) -> MemoryBook:
    assert isinstance(around.book, MemoryBook)
    return around.book


async def intents(around: Around, number: int) -> Sequence[Message]:
    async def enough() -> list[Message]:
        found = await around.intents()
        return found if len(found) >= number else []

    found: list[Message] = await around.until(enough)
    return found


async def test_one_opinion_of_forty_sessions_is_forty_approvals(around: Around) -> None:
    await around.life()
    for name in SESSIONS:
        await around.session(spec(name))
    signals = [entry(f"p-{name}", session_id=name) for name in SESSIONS]
    await around.bus.publish(together(*signals))
    approvals = await intents(around, len(SESSIONS))
    assert [(one.session_id, one.pos_id) for one in approvals] == [(name, f"p-{name}") for name in SESSIONS]
    assert all(isinstance(one, EntryApproved) for one in approvals)
    assert len(await around.journal()) == len(SESSIONS)


async def test_the_second_signal_of_a_session_sees_what_the_first_took(around: Around) -> None:
    await around.life()
    await around.session(spec(max_concurrent_trades=1))
    await around.bus.publish(together(entry("p1"), entry("p2", instrument=OTHER)))
    (approval,) = await intents(around, 1)
    assert approval.pos_id == "p1"
    (blocked,) = await around.until(around.refusals)
    assert isinstance(blocked, EntryBlocked)
    assert (blocked.pos_id, blocked.rule) == ("p2", "max_concurrent_trades")


async def test_what_comes_behind_signals_finds_them_stored(around: Around) -> None:
    """An exit, a tick and a report behind entries of the same moment."""
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1", quantity=100))
    tick = ticks((at("10:00"), STOCK.instrument_id, 50_000))
    slice_of_ticks = Outgoing(TICKS_STREAM, "ticks", tick.tobytes(), watermark_ns=at("10:00"))
    await around.bus.publish([*together(entry("p2", instrument=OTHER), exit_signal("p1")), slice_of_ticks])
    approved = await intents(around, 3)
    assert [one.pos_id for one in approved] == ["p1", "p2", "p1"]
    assert isinstance(approved[2], ExitApproved)


async def test_a_book_that_is_away_when_they_are_stored_costs_none(around: Around) -> None:
    await around.life()
    for name in SESSIONS[:3]:
        await around.session(spec(name))
    database(around).database.go_away()
    await around.bus.publish(together(*(entry(f"p-{name}", session_id=name) for name in SESSIONS[:3])))
    database(around).database.come_back()
    approvals = await intents(around, 3)
    assert [one.pos_id for one in approvals] == [f"p-{name}" for name in SESSIONS[:3]]


@pytest.mark.parametrize("lost", [1, 2])
async def test_an_answer_that_is_lost_when_they_were_stored_makes_nothing_twice(around: Around, lost: int) -> None:
    await around.life()
    for name in SESSIONS[:3]:
        await around.session(spec(name))
    database(around).database.lose_answers(lost)
    await around.bus.publish(together(*(entry(f"p-{name}", session_id=name) for name in SESSIONS[:3])))
    await around.until(lambda: _journalled(around, 3))
    await intents(around, 3)
    await around.tell(entry("later", instrument=OTHER, session_id=SESSIONS[0]))
    assert sorted({one.pos_id or "" for one in await around.intents()}) == [
        "later", *(f"p-{name}" for name in SESSIONS[:3]),
    ]  # fmt: skip
    assert len(await around.journal()) == 4


async def test_one_that_was_handled_before_among_others_is_not_made_again(around: Around) -> None:
    await around.life()
    for name in SESSIONS[:3]:
        await around.session(spec(name))
    first, second, third = (entry(f"p-{name}", session_id=name) for name in SESSIONS[:3])
    await around.tell(second)
    await around.bus.publish(together(first, second, third))
    assert len(await intents(around, 3)) == 3
    state = await around.state(SESSIONS[1])
    assert set(state["holdings"]) == {f"p-{SESSIONS[1]}"}


async def test_a_state_that_another_hand_changed_meanwhile_is_decided_on_anew(around: Around) -> None:
    """The session whose state moved, and those that came with it."""
    await around.life()
    limited = spec(SESSIONS[0], max_concurrent_trades=1)
    for one in (limited, spec(SESSIONS[1])):
        await around.session(one)
    elsewhere = on_signal(RiskState(), entry("elsewhere", session_id=SESSIONS[0]), situation(limited))
    other, _ = await around.hands.life()
    assert await other.record(MessageEffect("elsewhere", [StateChange(SESSIONS[0], elsewhere.state, 0)]))
    await around.bus.publish(
        together(entry("p1", session_id=SESSIONS[0], instrument=OTHER), entry("p2", session_id=SESSIONS[1]))
    )
    approvals = await intents(around, 1)
    assert [one.pos_id for one in approvals if one.session_id == SESSIONS[1]] == ["p2"]
    (blocked,) = await around.until(around.refusals)
    assert isinstance(blocked, EntryBlocked)
    assert (blocked.pos_id, blocked.rule) == ("p1", "max_concurrent_trades")


async def _journalled(around: Around, number: int) -> bool:
    return len(await around.journal()) >= number
