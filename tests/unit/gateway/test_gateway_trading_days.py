"""START's own schedule: what it may say, what is refused by field, and that it ends its session after its last day."""

from datetime import date, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.gateway import START, MemoryGateway

from services.gateway.adapters.scheduler import Scheduler
from services.gateway.domain.problems import Problems
from services.gateway.domain.trading_days import read_start_schedule
from tradebus.contracts.sessions import EntryDay, SessionStatus, TradingDays
from tradebus.kernel.clock import EventClock
from tradebus.kernel.time import ist_to_ns
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.books import session_register, sessions_book

TODAY = date(2026, 12, 1)


def read(value: Any, *underlyings: str, market_day: date | None = TODAY) -> tuple[TradingDays | None, dict[str, str]]:
    problems = Problems()
    found = read_start_schedule(value, underlyings or ("NIFTY",), market_day=market_day, problems=problems)
    return found, {one.field: one.problem for one in problems.errors}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({"days": ["THU", "MON"]}, TradingDays(days=(EntryDay.MON, EntryDay.THU))),
        ({"expiry_days_only": True}, TradingDays(expiry_days_only=True)),
        ({"days_to_expiry": [1, 0, 1]}, TradingDays(days_to_expiry=(0, 1))),
        (
            {"from": "2026-12-01", "to": "2026-12-31", "expiry_days_only": False, "days": ["FRI"]},
            TradingDays(first_day="2026-12-01", last_day="2026-12-31", days=(EntryDay.FRI,)),
        ),
    ],
)
def test_what_it_says_is_read(value: Any, expected: TradingDays | None) -> None:
    assert read(value) == (expected, {})


BAD: list[tuple[Any, str, str]] = [
    ([], "data.schedule", "must be an object with one or more of days"),
    ({}, "data.schedule", "not an empty object"),
    ({"day": ["MON"]}, "data.schedule.day", "unknown"),
    ({"days": []}, "data.schedule.days", "must be a list of MON"),
    ({"days": "MON"}, "data.schedule.days", "must be a list of MON"),
    ({"days": ["SAT"]}, "data.schedule.days", "holds what is no day"),
    ({"days": ["TUES"]}, "data.schedule.days", "did you mean 'TUE'"),
    ({"days": [["MON"]]}, "data.schedule.days", "holds what is no day"),
    ({"expiry_days_only": 1}, "data.schedule.expiry_days_only", "must be true or false"),
    ({"expiry_days_only": True, "days_to_expiry": [0]}, "data.schedule.days_to_expiry", "give one of the two"),
    ({"days_to_expiry": []}, "data.schedule.days_to_expiry", "0 to 60"),
    ({"days_to_expiry": 0}, "data.schedule.days_to_expiry", "0 to 60"),
    ({"days_to_expiry": [True]}, "data.schedule.days_to_expiry", "0 to 60"),
    ({"days_to_expiry": [61]}, "data.schedule.days_to_expiry", "0 to 60"),
    ({"from": "20261201"}, "data.schedule.from", "must be a date such as 2026-12-01"),
    ({"from": "2026-13-01"}, "data.schedule.from", "must be a date"),
    ({"to": 5}, "data.schedule.to", "must be a date"),
    ({"from": "2026-12-08", "to": "2026-12-07"}, "data.schedule.to", "is before from"),
    ({"to": "2026-11-30"}, "data.schedule.to", "is over: it is 2026-12-01"),
    ({"days": ["WED"], "expiry_days_only": True}, "data.schedule", "leaves no day of trading of the 100"),
    ({"from": "2026-12-05", "to": "2026-12-06"}, "data.schedule", "leaves no day of trading"),
]


@pytest.mark.parametrize(("value", "field", "problem"), BAD)
def test_what_is_wrong_is_refused_by_field(value: Any, field: str, problem: str) -> None:
    found, errors = read(value)
    assert found is None
    assert set(errors) == {field}
    assert problem in errors[field]


def test_a_symbol_whose_expiries_fit_is_enough_and_without_a_market_nobody_counts() -> None:
    never = {"days_to_expiry": [20]}  # NIFTY has weekly expiries, BANKNIFTY monthly ones
    assert set(read(never)[1]) == {"data.schedule"}
    assert read(never, "NIFTY", "BANKNIFTY")[1] == {}
    assert read(never, market_day=None)[1] == {}


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=11),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
_NAMES = st.sampled_from(("days", "expiry_days_only", "days_to_expiry", "from", "to", "x"))


@given(_TREES | st.dictionaries(_NAMES, _TREES))
def test_any_tree_is_a_schedule_or_a_problem(value: Any) -> None:
    found, errors = read(value)
    assert (found is None) == (bool(errors) or value is None)


async def test_a_start_carries_it_and_one_that_is_wrong_begins_nothing(twin: MemoryGateway) -> None:
    refused = await twin.command(**{**START, "data": {**START["data"], "schedule": {"days": ["SUN"]}}})
    assert [one["field"] for one in refused["errors"]] == ["data.schedule.days"]
    reply = await twin.command(**{**START, "data": {**START["data"], "schedule": {"days": ["MON"]}}})
    assert reply["status"] == "accepted", reply
    [session] = await sessions_book(twin.book).alive()
    assert session.spec.schedule == TradingDays(days=(EntryDay.MON,))


@pytest.mark.parametrize("paced", [False, True])
async def test_a_session_is_ended_once_its_last_day_is_over(twin: MemoryGateway, paced: bool) -> None:
    clock = EventClock()
    await twin.command(**{**START, "data": {**START["data"], "schedule": {"to": "2026-12-02"}}})
    await twin.command(**{**START, "user_id": "456"})
    scheduler = Scheduler(
        (), twin.handle, book=twin.book, register=session_register(twin.book), clock=clock, timers=SimulatedTimers(1),
        paced=paced,
    )  # fmt: skip
    for day, ended in ((1, []), (2, []), (3, [] if paced else ["123"])):
        clock.advance(ist_to_ns(date(2026, 12, day), time(8)))
        await scheduler.look()
        await scheduler.look()
        alive = await sessions_book(twin.book).alive()
        assert [one.user_id for one in alive if one.status is SessionStatus.STOPPING] == ended
