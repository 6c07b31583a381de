"""Risk's book. On both: in memory and on Postgres."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from testkit.risk import (
    DAY,
    INSTRUMENTS,
    SECOND,
    STOCK,
    at,
    closed,
    command,
    entry,
    exit_signal,
    opened,
    situation,
    spec,
)
from testkit.risk_books import RiskHands
from testkit.risk_service import message, stream_of

from services.gateway.adapters.views import views_of
from services.risk.messages import outgoing
from services.risk.ports import (
    MessageEffect,
    RiskBook,
    SessionHeadroom,
    SessionRow,
    StateChange,
    StateConflict,
    UnreadableRow,
)
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, PauseTrading, ResumeTrading, StopTrading
from tradebus.contracts.records import CANDLE, Records
from tradebus.contracts.risk import EntryApproved
from tradebus.contracts.sessions import SessionStatus
from tradebus.contracts.streams import COMMANDS
from tradebus.risk.commands import CommandKind
from tradebus.risk.published import journalled, published
from tradebus.risk.rules.headroom import Headroom
from tradebus.risk.state import RiskState
from tradebus.risk.step import RiskStep, on_command, on_fact, on_signal
from tradebus.store.book import Book
from tradebus.store.books import candles_book, kill_switch_book, session_register
from tradebus.trading.size.daily_range import day_bars

SPEC = spec()


class Desk:
    """One life of risk at the book, and the gateway's hand."""

    def __init__(self, hands: RiskHands, book: RiskBook, process: Book) -> None:
        self.hands, self.book, self.process = hands, book, process

    async def begin(self, session_id: str = "session-1") -> None:
        register = session_register(self.hands.book)
        async with self.hands.book.begin() as tx:
            await register.insert(tx, spec(session_id), command_id=f"c-{session_id}", now_ns=0)
            await register.begin(tx, session_id, SessionStatus.RUNNING)
        await self.book.take_up(f"start-{session_id}", session_id)

    async def move(self, session_id: str, status: SessionStatus) -> None:
        register = session_register(self.hands.book)
        async with self.hands.book.begin() as tx:
            await register.set_status(tx, session_id, status)

    async def only(self) -> SessionRow:
        (row,) = await self.book.sessions()
        assert isinstance(row, SessionRow)
        return row

    async def emit(self, stream: str, *messages: Message) -> None:
        async with self.hands.book.begin() as tx:
            for one in messages:
                tx.emit(stream, one)


@pytest.fixture
async def desk(hands: RiskHands) -> AsyncIterator[Desk]:
    await hands.register(list(INSTRUMENTS.values()))
    book, process = await hands.life()
    yield Desk(hands, book, process)
    await process.close()


def record_of(message_id: str, step: RiskStep, *, version: int, session_id: str = "session-1") -> MessageEffect:
    facts = [published(one, session_id=session_id, user_id="user-1", limits=SPEC.limits) for one in step.verdicts]
    return MessageEffect(
        message_id,
        [StateChange(session_id, step.state, version)],
        [journalled(one, fact, session_id=session_id) for one, fact in zip(step.verdicts, facts, strict=True)],
        [outgoing(fact, recorded_ns=1) for fact in facts if fact is not None],
    )


ENTERED = on_signal(RiskState(), entry("p1"), situation(SPEC))
OPENED = on_fact(ENTERED.state, opened("p1"), situation(SPEC))


def commanded(model: type[Message], number: int, session_id: str = "session-1") -> Message:
    return model(
        event_id=f"{model.TYPE}-{number}", ts_event_ns=number, ts_recorded_ns=1, source="test", trace_id="t",
        session_id=session_id,
    )  # fmt: skip


async def test_a_session_is_taken_up_once(desk: Desk) -> None:
    await desk.begin()
    assert await desk.book.record(record_of("m1", ENTERED, version=0))
    await desk.book.take_up("start-session-1", "session-1")
    await desk.book.take_up("start-again", "session-1")
    row = await desk.only()
    assert (row.spec, row.state, row.version, row.is_over) == (SPEC, ENTERED.state, 1, False)
    assert await desk.hands.participants("session-1") == ["risk"]


async def test_a_record_is_written_whole_and_once(desk: Desk) -> None:
    await desk.begin()
    record = record_of("m1", ENTERED, version=0)
    assert await desk.book.record(record)
    assert not await desk.book.record(replace(record, changes=[StateChange("session-1", OPENED.state, 1)]))
    assert (await desk.only()).state == ENTERED.state
    assert await desk.hands.journal() == [("session-1", "ALLOW", "all_passed", "p1")]
    assert await desk.hands.handled(["m1"]) == 1
    (approval,) = await desk.book.untaken(["session-1"], [])
    assert approval == record.messages[0][1]


async def test_a_state_is_replaced_only_by_one_made_from_it(desk: Desk) -> None:
    await desk.begin()
    await desk.book.record(record_of("m1", ENTERED, version=0))
    stale = on_signal(RiskState(), entry("p2", strategy="ema"), situation(SPEC))
    with pytest.raises(StateConflict, match="session-1"):
        await desk.book.record(record_of("m2", stale, version=0))
    assert (await desk.only()).state == ENTERED.state
    assert [line[3] for line in await desk.hands.journal()] == ["p1"]
    assert await desk.hands.handled(["m2"]) == 0  # it may be decided again
    assert await desk.book.record(record_of("m2", on_signal(ENTERED.state, entry("p2"), situation(SPEC)), version=1))


async def test_records_made_together_are_written_together_or_not_at_all(desk: Desk) -> None:
    await desk.begin()
    await desk.begin("session-2")
    second = on_signal(RiskState(), entry("p3", session_id="session-2"), situation(spec("session-2")))
    again = on_signal(ENTERED.state, entry("p2"), situation(SPEC))
    effects = [
        record_of("m1", ENTERED, version=0), record_of("m2", again, version=1),
        replace(record_of("m3", second, version=0), changes=[StateChange("session-2", second.state, 1)]),
    ]  # fmt: skip
    with pytest.raises(StateConflict, match="session-2"):
        await desk.book.record_all(effects)
    assert await desk.hands.handled(["m1", "m2", "m3"]) == 0
    assert await desk.hands.journal() == []
    effects[2] = replace(effects[2], changes=[StateChange("session-2", second.state, 0)])
    assert await desk.book.record_all(effects) == [True, True, True]
    assert await desk.book.record_all([record_of("m1", ENTERED, version=2), MessageEffect("m4")]) == [False, True]
    assert {line[3] for line in await desk.hands.journal()} == {"p1", "p2", "p3"}
    assert await desk.hands.version("session-1") == 2
    waiting = await desk.book.untaken(["session-1", "session-2"], [])
    assert {one.pos_id for one in waiting} == {"p1", "p3"}, "the session had no room for p2"


async def test_a_kill_closes_and_engages_in_one(desk: Desk) -> None:
    await desk.begin()
    await desk.book.record(record_of("m1", OPENED, version=0))
    step = on_command(OPENED.state, command(CommandKind.KILL, ts_ns=5), situation(SPEC))
    record = record_of("kill", step, version=1)
    assert await desk.book.record_kill(record, reason="enough", changed_ns=at("11:00")) is True
    assert await desk.book.is_killed()
    assert await desk.book.record_kill(record, reason="again", changed_ns=at("11:00")) is None
    stands = await kill_switch_book(desk.hands.book).read()
    assert stands is not None
    assert stands.reason == "enough"
    exits = [one for one in await desk.book.untaken(["session-1"], []) if one.TYPE == "EXIT_APPROVED"]
    assert [one.pos_id for one in exits] == ["p1"]


async def test_a_kill_from_before_the_release_engages_nothing(desk: Desk) -> None:
    switch = kill_switch_book(desk.hands.book)
    async with desk.hands.book.begin() as tx:
        await switch.engage(tx, reason="r", at_ns=at("10:00"))
        await switch.release(tx, reason="r", at_ns=at("10:30"))
    assert await desk.book.record_kill(MessageEffect("late"), reason="old", changed_ns=at("10:10")) is False
    assert not await desk.book.is_killed()


async def test_a_session_that_is_over_is_kept_until_it_is_flat(desk: Desk) -> None:
    await desk.begin()
    await desk.book.record(record_of("m1", OPENED, version=0))
    await desk.move("session-1", SessionStatus.STOPPED)
    assert (await desk.only()).is_over
    flat = on_fact(OPENED.state, closed("p1"), situation(SPEC))
    await desk.book.record(record_of("m2", flat, version=1))
    assert await desk.book.sessions() == []


async def test_a_row_that_cannot_be_read_hides_no_other(desk: Desk) -> None:
    await desk.begin()
    await desk.begin("session-2")
    await desk.hands.spoil("session-1")
    found = await desk.book.sessions()
    assert [type(row) for row in found] == [UnreadableRow, SessionRow]
    assert isinstance(found[0], UnreadableRow)
    assert found[0].session_id == "session-1"
    assert "day" in found[0].problem
    assert [type(row) for row in await desk.book.sessions("session-2")] == [SessionRow]


async def test_the_instruments_are_those_registered(desk: Desk) -> None:
    assert {one.instrument_id: one.symbol for one in await desk.book.instruments()} == {
        number: one.symbol for number, one in INSTRUMENTS.items()
    }


def days_of(instrument: int, count: int) -> Records:
    """Two minutes on each of so many days before that of the other tests, the newest the day before."""
    rows = np.zeros(2 * count, CANDLE)
    for number in range(count):
        opens_ns = at("09:15", DAY - timedelta(days=count - number))
        for minute, (high, low, close) in enumerate([(110 + number, 100, 105), (108, 90 - number, 95)]):
            row = rows[2 * number + minute]
            row["instrument"], row["timeframe_seconds"] = instrument, 60
            row["ts_open_ns"] = opens_ns + minute * 60 * SECOND
            row["ts_close_ns"] = row["ts_open_ns"] + 60 * SECOND
            row["open_paise"], row["high_paise"], row["low_paise"], row["close_paise"] = close, high, low, close
    return rows


@pytest.mark.parametrize(("count", "known"), [(0, 0), (3, 3), (40, 15), (75, 15)])
async def test_the_newest_days_of_an_instrument_are_put_together(desk: Desk, count: int, known: int) -> None:
    minutes, candles = days_of(1, count), candles_book(desk.hands.book)
    await candles.upsert(minutes)
    await candles.upsert(days_of(2, 1))
    await candles.upsert(days_of(1, 1)[:0])
    found = await desk.book.day_bars(1, before_ns=at("10:00"))
    assert found == day_bars(minutes, before_ns=at("10:00"))
    assert [bar.high_paise for bar in found] == [110 + number for number in range(count)][count - known :]
    assert await desk.book.day_bars(1, before_ns=at("10:00", DAY + timedelta(days=61))) == []


async def test_gaps_are_open_until_they_are_filled(desk: Desk) -> None:
    await desk.hands.gap("g1", [1, 2], filled=False)
    await desk.hands.gap("g2", [3], filled=False)
    await desk.hands.gap("g1", [1, 2], filled=True)
    await desk.hands.gap("short", [4], filled=False, announced=False)
    assert await desk.book.open_gaps() == {"g2": (3,)}


async def test_what_risk_has_not_handled_comes_in_order(desk: Desk) -> None:
    await desk.begin()
    reports = [closed("p1", ts_ns=at("10:05")), opened("p1", ts_ns=at("10:05")), opened("p2", ts_ns=at("10:04"))]
    for one in reports:
        await desk.emit(stream_of(one), message(one))
    await desk.book.record(MessageEffect(reports[2].event_id))
    found = await desk.book.unheard([], ["p1", "p2"])
    assert [one.TYPE for one in found] == ["POSITION_OPENED", "POSITION_CLOSED"]
    assert await desk.book.unheard([], ["p9"]) == []
    assert len(await desk.book.unheard(["session-1"], [])) == 2


async def test_an_exit_signal_is_unheard_until_risk_has_it_and_an_entry_is_no_matter(desk: Desk) -> None:
    await desk.begin()
    leave, enter = exit_signal("p1", ts_ns=at("10:05")), entry("p2", ts_ns=at("10:05"))
    for one in (leave, enter, opened("p1", ts_ns=at("10:05"))):
        await desk.emit(stream_of(one), message(one))
    assert [one.TYPE for one in await desk.book.unheard(["session-1"], [])] == ["POSITION_OPENED", "EXIT_SIGNAL"]
    await desk.book.record(MessageEffect(leave.event_id))
    assert [one.TYPE for one in await desk.book.unheard([], ["p1"])] == ["POSITION_OPENED"]


async def test_a_stop_is_unheard_until_risk_has_it_and_a_lifted_pause_is_not(desk: Desk) -> None:
    await desk.begin()
    pause, resume = commanded(PauseTrading, 1), commanded(ResumeTrading, 2)
    flatten, stop = commanded(Flatten, 3), commanded(StopTrading, 4)
    await desk.emit(COMMANDS.name, pause, resume, flatten, stop)
    assert [one.TYPE for one in await desk.book.unheard(["session-1"], [])] == [
        "PAUSE_TRADING", "RESUME_TRADING", "FLATTEN", "STOP_TRADING",
    ]  # fmt: skip
    await desk.book.record(MessageEffect(resume.event_id))
    await desk.book.record(MessageEffect(flatten.event_id))
    assert await desk.book.unheard([], []) == []
    await desk.move("session-1", SessionStatus.STOPPING)
    assert [one.TYPE for one in await desk.book.unheard([], [])] == ["STOP_TRADING"]


async def test_an_approval_is_untaken_until_execution_answers_it(desk: Desk) -> None:
    await desk.begin()
    await desk.book.record(record_of("m1", ENTERED, version=0))
    assert await desk.book.untaken([], []) == []
    (approval,) = await desk.book.untaken([], ["p1"])
    assert isinstance(approval, EntryApproved)
    assert approval.instrument == STOCK.instrument_id
    await desk.move("session-1", SessionStatus.STOPPING)
    assert await desk.book.untaken([], []) == [approval]
    await desk.hands.take(approval)
    assert await desk.book.untaken(["session-1"], ["p1"]) == []


async def test_headroom_is_told_in_place_of_what_was_told_before_and_forgotten(desk: Desk) -> None:
    await desk.begin()
    await desk.begin("session-2")

    async def told() -> dict[str, list[str]]:
        rows = await views_of(desk.hands.book).rows("headroom", session_id=None, user_id=None, limit=9)
        return {row["session_id"]: [one["limit"] for one in json.loads(row["body"])] for row in rows}

    assert await told() == {}
    one, other = Headroom("", "max_positions", 1, 4, "count"), Headroom("", "margin", 0, 5, "paise")
    rooms = [SessionHeadroom("session-1", 7, [one]), SessionHeadroom("session-2", 7, [one, other])]
    await desk.book.tell_headroom(rooms, gone=[])
    assert await told() == {"session-1": ["max_positions"], "session-2": ["max_positions", "margin"]}
    await desk.book.tell_headroom([SessionHeadroom("session-1", 8, [other])], gone=["session-2", "never-was"])
    assert await told() == {"session-1": ["margin"]}
    assert json.loads(SessionHeadroom("session-1", 8, [one]).to_json()) == [
        {"scope": "", "limit": "max_positions", "used": 1, "most": 4, "unit": "count", "left": 3, "share": 0.25}
    ]


async def test_sessions_that_ended_on_the_newest_day_are_remembered(desk: Desk) -> None:
    """What they lost still counts where several sessions share a limit."""
    assert await desk.book.ended_lately() == []
    days = {"session-1": date(2024, 1, 10), "session-2": date(2024, 1, 10), "session-3": date(2024, 1, 9)}
    for number, (name, day) in enumerate(days.items()):
        await desk.begin(name)
        state = replace(RiskState(), day=day, realised={"p": -5})
        await desk.book.record(MessageEffect(f"m{number}", [StateChange(name, state, 0)]))
    for name in ("session-1", "session-3"):
        await desk.move(name, SessionStatus.STOPPED)
    await desk.hands.spoil("session-2")
    (row,) = await desk.book.ended_lately()
    assert (row.spec.session_id, row.is_over, row.state.realised) == ("session-1", True, {"p": -5})
