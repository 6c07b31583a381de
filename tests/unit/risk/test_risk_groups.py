"""Legs of a group before risk: all of them get in or none does."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import (
    INDEX,
    OTHER,
    STOCK,
    at,
    cancelled,
    closed,
    command,
    entry,
    exit_signal,
    opened,
    rejected,
    situation,
    spec,
)

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.sessions import Sizing, SizingMode
from tradebus.contracts.signals import Group, Leg, Side
from tradebus.risk.commands import CommandKind
from tradebus.risk.published import journalled, published
from tradebus.risk.state import RiskState
from tradebus.risk.step import RiskStep, on_command, on_fact, on_signal
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Verdict, VerdictKind
from tradebus.trading.facts import EntryApproved, EntrySignal, ExitApproved
from tradebus.trading.legs import group_id, leg_pos_id

AT_NS = at("10:00")
GROUP = group_id("session-1", "orb", "NIFTY", AT_NS)
MANY = {"max_concurrent_trades": 8}


def leg(instrument: Instrument, side: Side = Side.LONG, *, ratio: int = 1, stop_paise: int | None = None) -> Leg:
    stop = stop_paise or (49_500 if side is Side.LONG else 50_500)
    return Leg(instrument.instrument_id, instrument.symbol, side, ratio, price_paise=50_000, stop_paise=stop)


BOUGHT, SOLD, FUTURE = leg(STOCK), leg(OTHER, Side.SHORT), leg(INDEX, Side.SHORT)


def signals(*legs: Leg) -> list[EntrySignal]:
    """As the lane sends them."""
    group = Group(0, 2_150_000, legs)
    named = {one.instrument_id: one for one in (STOCK, OTHER, INDEX)}
    return [
        replace(
            entry(
                leg_pos_id(GROUP, one.symbol), instrument=named[one.instrument], side=one.side,
                stop_paise=one.stop_paise,
            ),
            group=group, group_id=GROUP,
        )
        for one in legs
    ]  # fmt: skip


def judged(
    asked: Sequence[EntrySignal], now: Situation, state: RiskState | None = None
) -> tuple[RiskState, list[Verdict]]:
    state, verdicts = state or RiskState(), list[Verdict]()
    for one in asked:
        step: RiskStep = on_signal(state, one, now)
        state = step.state
        verdicts += step.verdicts
    return state, verdicts


def test_legs_that_nothing_speaks_against_are_all_approved_under_their_id() -> None:
    now = situation()
    state, verdicts = judged(signals(BOUGHT, SOLD), now)
    assert [one.kind for one in verdicts] == [VerdictKind.ALLOW, VerdictKind.ALLOW]
    assert {holding.group_id for holding in state.holdings.values()} == {GROUP}
    for one in verdicts:
        fact = published(one, session_id="session-1", user_id="user-1", limits=now.terms.limits)
        assert isinstance(fact, EntryApproved)
        assert fact.group_id == GROUP
        assert journalled(one, fact, session_id="session-1").body["group_id"] == GROUP


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)), st.integers(1, 2_000),
    st.sampled_from([{}, {"max_lots_per_trade": 40}, {"max_exposure_pct": 0.2}, {"risk_per_trade_pct": 0.05}]),
)  # fmt: skip
def test_all_legs_have_the_same_number_of_units_within_the_limits(
    ratios: tuple[int, int, int], stop_away: int, limits: dict[str, float]
) -> None:
    now = situation(**MANY, **limits)
    legs = [
        replace(one, ratio=ratio, stop_paise=50_000 - one.side.sign * 5 * stop_away)
        for one, ratio in zip((BOUGHT, SOLD, FUTURE), ratios, strict=True)
    ]  # fmt: skip
    _, verdicts = judged(signals(*legs), now)
    approvals = [one.approval for one in verdicts if one.approval is not None]
    assert len(approvals) in (0, len(legs))
    units = {one.holding.quantity / (one.lot_size * ratio) for one, ratio in zip(approvals, ratios, strict=False)}
    assert len(units) == bool(approvals)
    assert all(unit >= 1 and unit == int(unit) for unit in units)
    exposure = sum(one.holding.exposure_paise for one in approvals)
    terms = now.terms
    assert exposure <= terms.capital_paise * terms.limits.max_leverage * terms.limits.max_exposure_pct
    risk = sum(one.holding.quantity * abs(one.holding.price_paise - one.stop_paise) for one in approvals)
    assert risk <= terms.capital_paise * terms.limits.risk_per_trade_pct / 100


def test_where_one_leg_would_be_refused_the_first_is_and_the_rest_with_it() -> None:
    now = situation(**MANY)
    state, _ = judged([entry("p9", instrument=OTHER)], now)  # long, where a leg is to be sold
    after, verdicts = judged(signals(BOUGHT, SOLD, FUTURE), now, state)
    assert [(one.kind, one.rule) for one in verdicts] == [
        (VerdictKind.BLOCK, "duplicate_position"), (VerdictKind.BLOCK, "group_incomplete"),
        (VerdictKind.BLOCK, "group_incomplete"),
    ]  # fmt: skip
    assert verdicts[0].detail.startswith("leg TCS: ")
    assert after.holdings == state.holdings


def test_there_must_be_room_for_all_of_them() -> None:
    _, verdicts = judged(signals(BOUGHT, SOLD), situation(max_concurrent_trades=1))
    assert [one.rule for one in verdicts] == ["max_concurrent_trades", "group_incomplete"]
    _, verdicts = judged(signals(BOUGHT, SOLD), situation(max_concurrent_trades=2))
    assert [one.kind for one in verdicts] == [VerdictKind.ALLOW, VerdictKind.ALLOW]


def test_a_leg_refused_later_takes_out_those_before_it_also_on_their_way() -> None:
    now = situation(**MANY)
    first, second, third = signals(BOUGHT, SOLD, FUTURE)
    state, _ = judged([first, second], now)
    state = on_fact(state, replace(opened(first.pos_id or ""), group_id=GROUP), now).state
    state = on_command(state, command(CommandKind.PAUSE, ts_ns=1), now).state
    after, verdicts = judged([third], now, state)
    assert [(one.kind, one.rule, one.pos_id) for one in verdicts] == [
        (VerdictKind.BLOCK, "session_paused", third.pos_id),
        (VerdictKind.EXIT, "group_incomplete", first.pos_id),
        (VerdictKind.EXIT, "group_incomplete", second.pos_id),
    ]
    fact = published(verdicts[1], session_id="session-1", user_id="user-1", limits=now.terms.limits)
    assert isinstance(fact, ExitApproved)
    assert fact.group_id == GROUP
    assert all(holding.closing_rule == "group_incomplete" for holding in after.holdings.values())
    _, again = judged([third], now, after)
    assert [one.kind for one in again] == [VerdictKind.BLOCK]  # they are leaving already


@pytest.mark.parametrize("paced", [False, True])
@pytest.mark.parametrize("ended", [cancelled, rejected])
def test_a_leg_whose_entry_comes_to_nothing_takes_the_others_with_it(paced: bool, ended) -> None:
    now = situation(**MANY, paced=paced)
    first, second, third = signals(BOUGHT, SOLD, FUTURE)
    state, _ = judged([first, second, third], now)
    state = on_fact(state, replace(opened(first.pos_id or ""), group_id=GROUP), now).state
    step = on_fact(state, replace(ended(second.pos_id or "", instrument=OTHER), group_id=GROUP), now)
    out, waiting = step.state.holdings[first.pos_id or ""], step.state.holdings[third.pos_id or ""]
    # Paced, what a report leads to takes effect at the slice's end.
    assert [one.pos_id for one in step.verdicts] == ([] if paced else [first.pos_id])
    assert (out.exit_due or out.closing_rule) == "group_incomplete"
    assert waiting.exit_due == "group_incomplete"
    late = on_fact(step.state, replace(opened(third.pos_id or "", instrument=INDEX), group_id=GROUP), now)
    holding = late.state.holdings[third.pos_id or ""]
    assert (holding.closing_rule or holding.exit_due) == "group_incomplete"


def test_an_entry_that_filled_in_part_or_a_leg_that_was_closed_takes_nobody_with_it() -> None:
    now = situation(**MANY)
    first, second = signals(BOUGHT, SOLD)
    state, _ = judged([first, second], now)
    for one in (first, second):
        state = on_fact(state, replace(opened(one.pos_id or ""), group_id=GROUP), now).state
    for fact in (
        cancelled(first.pos_id or "", filled_quantity=50), cancelled(second.pos_id or "", role=OrderRole.STOP),
        closed(first.pos_id or ""),
    ):  # fmt: skip
        step = on_fact(state, replace(fact, group_id=GROUP), now)
        assert step.verdicts == ()
        state = step.state
    assert state.holdings[second.pos_id or ""].exit_due is None


def test_an_exit_of_one_leg_reaches_those_that_are_on_their_way() -> None:
    now = situation(**MANY)
    first, second, third = signals(BOUGHT, SOLD, FUTURE)
    state, _ = judged([first, second, third], now)
    for one in (first, second):
        state = on_fact(state, replace(opened(one.pos_id or ""), group_id=GROUP), now).state
    asked = [replace(exit_signal(one.pos_id or ""), group_id=GROUP, group=Group(0, 1)) for one in (first, second)]
    step = on_signal(state, asked[0], now)
    assert [(one.kind, one.pos_id) for one in step.verdicts] == [
        (VerdictKind.EXIT, first.pos_id),
        (VerdictKind.EXIT, third.pos_id),
    ]
    rest = on_signal(step.state, asked[1], now)
    assert [(one.kind, one.pos_id) for one in rest.verdicts] == [(VerdictKind.EXIT, second.pos_id)]


def test_a_leg_that_is_asked_for_before_the_others_is_refused() -> None:
    _, verdicts = judged(signals(BOUGHT, SOLD)[1:], situation())
    assert [(one.kind, one.rule) for one in verdicts] == [(VerdictKind.BLOCK, "group_incomplete")]


class Ranges:
    """Of the instruments that it knows."""

    def __init__(self, **paise: int) -> None:
        self._paise = {one.instrument_id: paise[one.symbol] for one in (STOCK, OTHER) if one.symbol in paise}

    def atr_paise(self, instrument: int, *, ts_ns: int) -> int | None:
        return self._paise.get(instrument)


@pytest.mark.parametrize(
    ("ranges", "rule", "units"), [({"SBIN": 400, "TCS": 600}, "", 1_000), ({"SBIN": 400}, "atr_unknown", 0)]
)
def test_units_by_the_daily_range_are_by_that_of_all_legs(ranges: dict[str, int], rule: str, units: int) -> None:
    sizing = Sizing(mode=SizingMode.ATR, atr_multiple=1.0)
    now = replace(situation(spec(sizing=sizing, max_leverage=10.0, **MANY)), ranges=Ranges(**ranges))
    _, verdicts = judged(signals(BOUGHT, leg(OTHER, Side.SHORT, ratio=1)), now)
    approved = [one.approval.holding.quantity for one in verdicts if one.approval is not None]
    assert approved == ([units, units] if units else [])
    assert (verdicts[0].rule == rule) is bool(rule)


def test_a_signal_that_is_none_of_its_legs_is_a_defect() -> None:
    with pytest.raises(ValueError, match="none of its legs"):
        on_signal(RiskState(), replace(signals(BOUGHT, SOLD)[0], instrument=3), situation())
