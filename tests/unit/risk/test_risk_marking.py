"""Marking to market against a plain loop over ticks."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import DAY, OTHER, SECOND, STOCK, at, closed, every_second, opened, situation, ticks

from tradebus.contracts.records import Records
from tradebus.contracts.signals import Side
from tradebus.risk.marking import held_instruments, mark, select
from tradebus.risk.state import RiskHolding, RiskState
from tradebus.risk.step import on_fact, on_ticks
from tradebus.risk.verdicts import VerdictKind

START = at("10:00")


def holding(
    pos_id: str, *, instrument: int = 1, side: Side = Side.LONG, quantity: int = 10, entry_paise: int = 1_000,
    mark_paise: int = 0, opened_ns: int = START - SECOND, closed_ns: int | None = None, net_pnl_paise: int = 0,
) -> RiskHolding:  # fmt: skip
    return RiskHolding(
        pos_id=pos_id, strategy="orb", symbol=f"S{instrument}", instrument=instrument, side=side, quantity=quantity,
        price_paise=entry_paise, trace_id="t", approved_ns=opened_ns, opened_quantity=quantity,
        average_paise=entry_paise, opened_ns=opened_ns, mark_paise=mark_paise, closed_ns=closed_ns,
        net_pnl_paise=net_pnl_paise,
    )  # fmt: skip


def state_of(*holdings: RiskHolding, realised_before: int = 0) -> RiskState:
    realised = {one.pos_id: one.net_pnl_paise for one in holdings if one.closed_ns is not None}
    return RiskState(
        day=DAY, holdings={one.pos_id: one for one in holdings}, realised={"before": realised_before, **realised}
    )


def plain_loop(
    state: RiskState, batch: Records, *, end_ns: int, limit_paise: int
) -> tuple[tuple[int, int] | None, dict[str, int]]:
    """The first (instant, total) at or below the limit, and every position's last price."""
    marks = {pos_id: one.mark_paise for pos_id, one in state.holdings.items()}
    over: set[str] = set()
    closes = sum(one.net_pnl_paise for one in state.holdings.values() if one.closed_ns is not None)
    base = sum(state.realised.values()) - closes

    def total() -> int:
        value = base
        for pos_id, one in state.holdings.items():
            value += one.net_pnl_paise if pos_id in over else replace(one, mark_paise=marks[pos_id]).unrealised_paise
        return value

    events = [(int(tick["ts_event_ns"]), 0, number) for number, tick in enumerate(batch)]
    ending = [one for one in state.holdings.values() if one.closed_ns is not None and one.closed_ns < end_ns]
    events += [(one.closed_ns or 0, 1, number) for number, one in enumerate(ending)]
    breach = None
    for ts_ns, kind, number in sorted(events):
        if kind == 1:
            over.add(ending[number].pos_id)
        else:
            tick = batch[number]
            for pos_id, one in state.holdings.items():
                until = one.closed_ns if one.closed_ns is not None else ts_ns
                if one.instrument == tick["instrument"] and (one.opened_ns or 0) <= ts_ns <= until:
                    marks[pos_id] = int(tick["price_paise"])
        if breach is None and total() <= -limit_paise:
            breach = (ts_ns, total())
    return breach, marks


instants = st.integers(0, 59).map(lambda second: START + second * SECOND)
prices = st.integers(900, 1_100)


@st.composite
def drawn_holding(draw: st.DrawFn, pos_id: str) -> RiskHolding:
    opened_ns = draw(st.one_of(st.just(START - SECOND), instants))
    lasts_seconds = draw(st.one_of(st.none(), st.integers(0, 90)))
    return holding(
        pos_id, instrument=draw(st.integers(1, 3)), side=draw(st.sampled_from(Side)), quantity=draw(st.integers(1, 20)),
        mark_paise=draw(st.one_of(st.just(0), prices)), opened_ns=opened_ns,
        closed_ns=None if lasts_seconds is None else opened_ns + lasts_seconds * SECOND,
        net_pnl_paise=draw(st.integers(-2_000, 2_000)),
    )  # fmt: skip


@st.composite
def situations(draw: st.DrawFn) -> tuple[RiskState, Records]:
    holdings = [draw(drawn_holding(f"p{number}")) for number in range(draw(st.integers(1, 4)))]
    rows = draw(st.lists(st.tuples(instants, st.integers(1, 4), prices), max_size=30))
    return state_of(*holdings, realised_before=draw(st.integers(-2_000, 2_000))), ticks(*rows)


@given(situations(), st.integers(1, 4_000))
def test_the_breach_is_at_the_first_tick_or_close_a_plain_loop_finds(
    given_case: tuple[RiskState, Records], limit_paise: int
) -> None:
    state, batch = given_case
    end_ns = START + 60 * SECOND
    chosen = select(batch, sorted(held_instruments(state)))
    marked = mark(state, chosen, end_ns=end_ns, loss_limit_paise=limit_paise)
    breach, marks = plain_loop(state, chosen, end_ns=end_ns, limit_paise=limit_paise)
    found = marked.breach and (marked.breach.ts_ns, marked.breach.total_paise)
    assert found == breach
    assert {pos_id: one.mark_paise for pos_id, one in marked.state.holdings.items()} == {
        pos_id: price
        for pos_id, price in marks.items()
        if (until := state.holdings[pos_id].closed_ns) is None or until >= end_ns
    }


@given(situations())
def test_marking_in_two_batches_is_marking_in_one(given_case: tuple[RiskState, Records]) -> None:
    state, batch = given_case
    chosen = select(batch, sorted(held_instruments(state)))
    middle, end_ns = START + 30 * SECOND, START + 60 * SECOND
    early = chosen["ts_event_ns"] < middle
    half = mark(state, chosen[early], end_ns=middle, loss_limit_paise=None).state
    whole = mark(state, chosen, end_ns=end_ns, loss_limit_paise=None).state
    assert mark(half, chosen[~early], end_ns=end_ns, loss_limit_paise=None).state == whole


def test_ticks_that_come_out_of_order_are_marked_in_the_order_of_event_time() -> None:
    batch = ticks((START + 2 * SECOND, 1, 900), (START + SECOND, 1, 1_100), (START, 2, 5))
    chosen = select(batch, [1])
    assert list(chosen["price_paise"]) == [1_100, 900]
    assert mark(state_of(holding("p1")), chosen, end_ns=START + 60 * SECOND, loss_limit_paise=None).state.holdings[
        "p1"
    ].mark_paise == 900  # fmt: skip


def test_ticks_before_the_opening_do_not_count() -> None:
    state = state_of(holding("p1", opened_ns=START + 5 * SECOND))
    batch = every_second(START, STOCK, [1, 1, 1, 1, 1, 999, 1_000])
    marked = mark(state, batch, end_ns=START + 60 * SECOND, loss_limit_paise=11)
    assert marked.breach is None
    assert marked.state.holdings["p1"].mark_paise == 1_000


def test_a_halt_comes_at_the_exact_tick_and_its_exits_at_the_slices_end() -> None:
    now = situation(daily_max_loss_paise=1_000)
    state = on_fact(RiskState(), opened("p1", ts_ns=START, quantity=10, price_paise=1_000), now).state
    state = on_fact(state, opened("p2", ts_ns=START, quantity=10, price_paise=500, instrument=OTHER), now).state
    stock = every_second(START + SECOND, STOCK, [950, 940, 949, 940])
    other = every_second(START + SECOND, OTHER, [501, 460, 450, 460])
    batch = np.concatenate([stock, other])
    step = on_ticks(state, select(batch, [1, 2]), now, end_ns=START + 60 * SECOND)
    # Totals: -490, -1000 with the second tick of OTHER (same instant, later in the batch).
    assert [(verdict.kind, verdict.pos_id) for verdict in step.verdicts] == [
        (VerdictKind.HALT, None), (VerdictKind.EXIT, "p1"), (VerdictKind.EXIT, "p2"),
    ]  # fmt: skip
    assert step.verdicts[0].ts_event_ns == START + 2 * SECOND
    assert "-₹10.00" in step.verdicts[0].detail
    assert {verdict.ts_event_ns for verdict in step.verdicts[1:]} == {START + 60 * SECOND}
    assert step.state.halted_rule == "daily_max_loss"


@pytest.mark.parametrize(("last_price", "halts"), [(901, False), (900, True)])
def test_a_loss_of_one_paisa_less_does_not_halt(last_price: int, halts: bool) -> None:
    now = situation(daily_max_loss_paise=1_000)
    state = on_fact(RiskState(), opened("p1", ts_ns=START, quantity=10, price_paise=1_000), now).state
    step = on_ticks(state, every_second(START + SECOND, STOCK, [last_price]), now, end_ns=START + 60 * SECOND)
    assert (step.state.halted_rule is not None) is halts


def test_a_session_halts_once_a_day() -> None:
    now = situation(daily_max_loss_paise=1_000)
    state = on_fact(RiskState(), opened("p1", ts_ns=START, quantity=10, price_paise=1_000), now).state
    once = on_ticks(state, every_second(START + SECOND, STOCK, [800]), now, end_ns=START + 60 * SECOND)
    twice = on_ticks(once.state, every_second(START + 60 * SECOND, STOCK, [700]), now, end_ns=START + 120 * SECOND)
    assert twice.verdicts == ()
    assert twice.state.holdings["p1"].mark_paise == 700


def test_a_close_counts_from_its_own_instant_on_among_the_ticks_of_the_others() -> None:
    now = situation(daily_max_loss_paise=1_000)
    state = on_fact(RiskState(), opened("p1", ts_ns=START, quantity=10, price_paise=1_000), now).state
    state = on_fact(state, opened("p2", ts_ns=START, quantity=10, price_paise=500, instrument=OTHER), now).state
    step = on_fact(state, closed("p2", ts_ns=START + 3 * SECOND, net_pnl_paise=-600, instrument=OTHER), now)
    assert step.verdicts == ()  # judged with the next slice, at the right tick
    batch = every_second(START + SECOND, STOCK, [950, 960, 960, 960])
    halted = on_ticks(step.state, batch, now, end_ns=START + 60 * SECOND)
    assert halted.verdicts[0].ts_event_ns == START + 3 * SECOND
    assert set(halted.state.holdings) == {"p1"}


def test_a_batch_without_anything_of_ours_changes_nothing() -> None:
    state = replace(state_of(holding("p1")), day=date(2024, 1, 10))
    assert mark(state, ticks(), end_ns=START, loss_limit_paise=1).state is state
    assert on_ticks(state, ticks(), situation(), end_ns=START).state is state
