"""Sessions that begin and end by the clock: what a file says, what is due, and that each is done once."""

import json
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.gateway import START

from services.gateway.adapters.scheduler import Scheduler, schedules_in
from services.gateway.domain.schedules import ScheduledStep, SessionSchedule, due_steps, read_schedules
from tradebus.calendar import is_regular_day
from tradebus.contracts.sessions import SessionStatus
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date, ist_time, ist_to_ns
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.books import session_register, sessions_book
from tradebus.store.memory_book import EVENTS

ROW: dict[str, Any] = {
    "name": "morning", "user_id": "123", "start": "09:20", "stop": "15:10", "data": START["data"],
}  # fmt: skip
TUESDAY, WEDNESDAY = date(2026, 12, 1), date(2026, 12, 2)
CHRISTMAS, SATURDAY, MUHURAT = date(2026, 12, 25), date(2026, 12, 5), date(2026, 11, 8)


def schedules(*rows: dict[str, Any]) -> tuple[SessionSchedule, ...]:
    return read_schedules(json.dumps(rows or [ROW]), name="file")


def at(day: date, clock: str) -> int:
    return ist_to_ns(day, time.fromisoformat(clock))


def due(now_ns: int, *rows: dict[str, Any]) -> list[tuple[date, ScheduledStep]]:
    return [(one.day, one.step) for one in due_steps(schedules(*rows), now_ns)]


def test_a_day_begins_and_ends_by_the_indian_clock_and_leaves_nothing_of_the_day_before() -> None:
    monday = (date(2026, 11, 30), ScheduledStep.STOP)
    assert due(at(TUESDAY, "09:19")) == [monday]
    assert due(at(TUESDAY, "09:20")) == [monday, (TUESDAY, ScheduledStep.START)]
    assert due(at(TUESDAY, "15:09")) == [monday, (TUESDAY, ScheduledStep.START)]
    assert due(at(TUESDAY, "15:10")) == [monday, (TUESDAY, ScheduledStep.STOP)]


@pytest.mark.parametrize("day", [CHRISTMAS, SATURDAY, MUHURAT])
def test_nothing_begins_on_a_day_without_an_ordinary_session(day: date) -> None:
    assert all(step is ScheduledStep.STOP for _, step in due(at(day, "10:00")))


def test_only_the_named_days_count() -> None:
    assert (WEDNESDAY, ScheduledStep.START) in due(at(WEDNESDAY, "10:00"), {**ROW, "days": ["WED", "FRI"]})
    assert due(at(TUESDAY, "10:00"), {**ROW, "days": ["WED", "FRI"]}) == []


def test_days_to_expiry_and_dates_count_as_in_a_start() -> None:
    near = {**ROW, "expiry_of": "NIFTY", "days_to_expiry": [0, 1], "from": "2026-12-02", "to": "2026-12-14"}
    near["data"] = {**ROW["data"], "symbols": ["NIFTY26DECFUT"]}
    begun = [
        day for number in range(1, 31)
        if ((day := date(2026, 12, number)), ScheduledStep.START) in due(at(day, "10:00"), near)
    ]  # fmt: skip
    assert begun == [date(2026, 12, 7), date(2026, 12, 8), date(2026, 12, 14)]
    expiries = {**ROW, "expiry_of": "BANKNIFTY", "expiry_days_only": True}
    assert (date(2026, 12, 29), ScheduledStep.START) in due(at(date(2026, 12, 29), "10:00"), expiries)
    assert due(at(TUESDAY, "10:00"), expiries) == []


@given(
    day=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    now=st.times(),
    start=st.integers(0, 22),
    hours=st.integers(1, 9),
)
def test_nothing_is_begun_outside_its_hours(day: date, now: time, start: int, hours: int) -> None:
    now_ns = ist_to_ns(day, now)
    row = {**ROW, "start": f"{start:02d}:00", "stop": f"{min(23, start + hours):02d}:00"}
    for begun, step in due(now_ns, row):
        assert is_regular_day(begun)
        assert begun <= ist_date(now_ns)
        if step is ScheduledStep.START:
            assert begun == day
            assert start <= ist_time(now_ns).hour < min(23, start + hours)


BAD: list[tuple[Any, str]] = [
    ("{", "is no JSON"),
    ({"a": 1}, "must be a list"),
    ([5], "[0] must be an object"),
    ([{**ROW, "name": "a b"}], "[0].name must be 1 to 40"),
    ([{**ROW, "user_id": ""}], "[0].user_id must be"),
    ([{**ROW, "start": "9:20"}], "[0].start must be an Indian time such as 09:20"),
    ([{**ROW, "start": "24:00"}], "[0].start must be"),
    ([{**ROW, "stop": "09:20"}], "[0].stop must be after start"),
    ([{**ROW, "days": []}], "[0].days must be a list"),
    ([{**ROW, "days": ["TUES"]}], "[0].days holds what is no day (did you mean 'TUE'?)"),
    ([{**ROW, "days": [1]}], "[0].days holds what is no day"),
    ([{**ROW, "days_to_expiry": [0]}], "[0].expiry_of must be the underlying whose expiries are meant"),
    ([{**ROW, "expiry_of": "NIFTY"}], "[0].expiry_of says nothing without"),
    ([{**ROW, "days_to_expiry": [0], "expiry_of": "BANKNIFTI"}], "[0].expiry_of is nothing that data trades (did you"),
    ([{**ROW, "days_to_expiry": [0], "expiry_of": "banknifty"}], "[0].expiry_of is nothing that data trades"),
    (
        [{**ROW, "days_to_expiry": [-1], "expiry_of": "BANKNIFTY"}],
        "[0].days_to_expiry must be a list of days of trading",
    ),
    ([{**ROW, "from": "2026-12-02", "to": "2026-12-01"}], "[0].to 2026-12-01 is before from"),
    ([{**ROW, "data": []}], "[0].data must be an object"),
    ([{**ROW, "data": {"access_token": "secret-of-mine"}}], "[0].data.access_token no token lies in a file"),
    ([{**ROW, "begin": "09:00"}], "[0].begin unknown field"),
    ([ROW, ROW], "[1].name 'morning' is there already"),
]


@pytest.mark.parametrize(("rows", "said"), BAD)
def test_what_is_wrong_in_a_file_is_named(rows: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_schedules(rows if isinstance(rows, str) else json.dumps(rows), name="file")
    assert said in str(raised.value)
    assert "secret-of-mine" not in str(raised.value)


@given(st.text(max_size=200) | st.recursive(st.none() | st.integers() | st.text(max_size=9), st.lists).map(json.dumps))
def test_any_text_gives_schedules_or_a_clear_error(text: str) -> None:
    said = "file: "
    try:
        read_schedules(text, name="file")
    except InvalidInput as error:
        said = str(error)
    assert said.startswith("file: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert schedules_in(None) == ()
    with pytest.raises(InvalidInput, match="is no file of at most"):
        schedules_in(tmp_path / "none.json")


class Stand:
    def __init__(self, twin: Any, *rows: dict[str, Any]) -> None:
        self.twin, self.clock, self.timers = twin, EventClock(), SimulatedTimers(1)
        self.rows = rows
        self.begin()

    def begin(self) -> None:
        """As after a restart: nothing is remembered."""
        self.scheduler = Scheduler(
            schedules(*self.rows), self.twin.handle, book=self.twin.book, register=session_register(self.twin.book),
            clock=self.clock, timers=self.timers,
        )  # fmt: skip

    async def look(self, day: date, clock: str) -> None:
        self.clock.advance(at(day, clock))
        await self.scheduler.look()

    async def alive(self) -> list[SessionStatus]:
        return [one.status for one in await sessions_book(self.twin.book).alive()]


async def test_a_session_is_begun_once_and_ended_once(twin) -> None:
    stand = Stand(twin)
    await stand.look(TUESDAY, "09:19")
    assert await stand.alive() == []
    for clock in ("09:20", "09:21", "12:00"):
        await stand.look(TUESDAY, clock)
        stand.begin()
    [session] = await sessions_book(twin.book).alive()
    assert session.spec.user_id == "123"
    await stand.look(TUESDAY, "15:10")
    stand.begin()
    await stand.look(TUESDAY, "15:11")
    assert await stand.alive() == [SessionStatus.STOPPING]


async def test_what_is_left_of_a_day_is_ended_when_somebody_looks_again(twin) -> None:
    stand = Stand(twin)
    await stand.look(TUESDAY, "10:00")
    stand.begin()
    await stand.look(WEDNESDAY, "08:00")
    assert await stand.alive() == [SessionStatus.STOPPING]


async def test_a_persons_session_is_not_the_schedules_to_stop_nor_to_start_again(twin) -> None:
    stand = Stand(twin)
    await twin.command(**START)
    await stand.look(TUESDAY, "15:10")
    assert await stand.alive() == [SessionStatus.STARTING]


async def test_what_a_person_stopped_stays_stopped(twin) -> None:
    stand = Stand(twin)
    await stand.look(TUESDAY, "10:00")
    await twin.command(action="STOP_TRADING", user_id="123", data={})
    for _ in range(3):
        stand.begin()
        await stand.look(TUESDAY, "10:05")
    assert await stand.alive() == [SessionStatus.STOPPING]
    assert len(await told(twin, "SESSION_STOPPED")) <= 1


async def test_a_start_that_is_refused_is_sent_again_each_minute_some_times(twin) -> None:
    stand = Stand(twin, {**ROW, "data": {**ROW["data"], "symbols": ["NOWHERE"]}})
    for _ in range(3):
        await stand.look(TUESDAY, "09:20")
    assert len(await refusals(twin)) == 1
    for _ in range(20):
        stand.timers.advance(stand.timers.now_ns() + 60_000_000_000)
        await stand.look(TUESDAY, "09:30")
    assert len(await refusals(twin)) == 10


async def refusals(twin: Any) -> list[Any]:
    return await told(twin, "COMMAND_REJECTED")


async def told(twin: Any, kind: str) -> list[Any]:
    return [row.message for row in twin.book.database.table(EVENTS).values() if kind == row.message.TYPE]
