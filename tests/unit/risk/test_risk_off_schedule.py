"""A session with a schedule enters on its days and leaves on any."""

from datetime import date

import pytest
from testkit.risk import INDEX, at, entry, exit_signal, opened, situation, spec

from tradebus.contracts.sessions import EntryDay, TradingDays
from tradebus.kernel.time import NANOSECONDS_PER_DAY
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_fact, on_signal
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import VerdictKind

WEDNESDAY, THURSDAY = date(2024, 1, 10), date(2024, 1, 11)  # BANKNIFTY expired on Wednesdays then, weekly


def under(schedule: TradingDays | None) -> Situation:
    return situation(spec(capital_paise=10**9, max_leverage=20.0).model_copy(update={"schedule": schedule}))


def judged(schedule: TradingDays | None, day: date) -> tuple[VerdictKind, str, str]:
    signal = entry("p1", instrument=INDEX, ts_ns=at("10:00", day), price_paise=4_500_000, stop_paise=4_480_000)
    (verdict,) = on_signal(RiskState(), signal, under(schedule)).verdicts
    return verdict.kind, verdict.rule, verdict.detail


@pytest.mark.parametrize(
    ("schedule", "entered", "other"),
    [
        (TradingDays(days=(EntryDay.WED,)), WEDNESDAY, THURSDAY),
        (TradingDays(expiry_days_only=True), WEDNESDAY, THURSDAY),
        (TradingDays(days_to_expiry=(4,)), THURSDAY, WEDNESDAY),
        (TradingDays(first_day="2024-01-11"), THURSDAY, WEDNESDAY),
        (TradingDays(last_day="2024-01-10"), WEDNESDAY, THURSDAY),
    ],
)
def test_it_enters_on_its_days_only(schedule: TradingDays, entered: date, other: date) -> None:
    assert judged(schedule, entered)[0] is VerdictKind.ALLOW
    kind, rule, detail = judged(schedule, other)
    assert (kind, rule) == (VerdictKind.BLOCK, "off_schedule")
    assert detail.startswith(f"{other} is none of the session's days: ")
    assert judged(None, other)[0] is VerdictKind.ALLOW


def test_what_is_carried_into_a_day_that_is_left_out_is_closed_as_ever() -> None:
    now = under(TradingDays(days=(EntryDay.WED,)))
    state = on_fact(RiskState(), opened("p1"), now).state
    step = on_signal(state, exit_signal("p1", ts_ns=at("10:10") + NANOSECONDS_PER_DAY), now)
    assert [(one.kind, one.pos_id) for one in step.verdicts] == [(VerdictKind.EXIT, "p1")]
