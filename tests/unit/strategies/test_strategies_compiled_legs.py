"""Legs of a compiled strategy: named by a number, entered, held and left as a plain strategy's are."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.compiled_straddle import CALL, PUT, Straddle, StraddleLane, StraddleParameters
from testkit.strategy_days import Day, generated_days

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import Records
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.strategies.info import info_of
from tradebus.strategies.lane.asking import InputCandle, Settled
from tradebus.strategies.lane.legs import signals_of
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import Found, found_class, open_session
from tradebus.strategies.lane.shared import Shared, SharedRunner, compiled_info
from tradebus.strategies.opinions import ENTER_LEGS, OPINION, Int64s
from tradebus.strategies.protocol import Action, Candle, RoleLeg
from tradebus.trading.facts import EntrySignal, ExitSignal, PositionClosed, PositionOpened, Signal


def option(number: int, symbol: str, right: Any) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=symbol, kind="OPTION", market_class="derivative", underlying="NIFTY",
        tick_size_paise=5, expiry=date(2024, 1, 4), strike_paise=2_170_000, right=right,
    )  # fmt: skip


NIFTY = Instrument(
    instrument_id=0, symbol="NIFTY", kind="INDEX", market_class="derivative", underlying="NIFTY", tick_size_paise=5
)
MASTER = InstrumentMaster([NIFTY, option(1, CALL.symbol, "CE"), option(2, PUT.symbol, "PE")])
PARAMETERS = st.builds(
    StraddleParameters,
    every_minutes=st.integers(2, 40),
    exit_minutes=st.integers(0, 20),
    stop_pct=st.sampled_from([0.001, 30.0, 99.0, 120.0]),  # of a bought leg, the last is no stop
    target_pct=st.sampled_from([None, 0.5, 40.0]),
    alone=st.booleans(),
)


def plain(parameters: StraddleParameters) -> Found:
    return found_class(info_of(Straddle), lambda: Straddle(parameters))


def compiled(parameters: StraddleParameters, lane: type[StraddleLane] = StraddleLane) -> Found:
    shared = Shared(lane, parameters)
    return Found(compiled_info(lane), lambda asking: SharedRunner(asking, shared))


class Trading:
    """One session, whose entries are filled and legs stopped as drawn: by the signal's ids, so alike for twins."""

    def __init__(self, found: Found, *, fills: list[bool], stops: list[bool]) -> None:
        self.book = PositionBook()
        spec = SessionSpec(
            session_id="s", user_id="u", symbols=("NIFTY",), strategies=(StrategySpec(name=found.info.name),),
            capital_paise=1,
        )  # fmt: skip
        (self.runner,) = open_session(
            spec, instruments=MASTER, book=self.book, paused=False, day=date(2024, 1, 2), found=[found]
        ).runners
        self.runner: Runner
        self._fills, self._stops = fills, stops
        self._open: dict[str, EntrySignal] = {}
        self.settled: list[Settled] = []
        self.signals: list[Signal] = []

    def rebuild(self, ts_ns: int, own: list[Candle], inputs: list[InputCandle]) -> None:
        assert self.runner.rebuild(ts_ns, own, inputs) is None

    def hear(self, number: int, candle: Candle) -> list[InputCandle]:
        heard = self.runner.asking.inputs[60, number]
        for series in heard:
            assert self.runner.on_input(candle, series) is None
        return [(candle, series) for series in heard]

    def take(self, candle: Candle, place: int) -> None:
        settled = self.runner.on_candle(candle, paused=False)
        assert settled is not None
        self.settled.append(settled)
        if self._stops[place % len(self._stops)] and self._open:
            self._close(next(iter(self._open)), candle)
        made = signals_of(
            settled.decision, self.runner.source, settled.moment, position=settled.position, group=settled.group,
            legs=settled.legs,
        )  # fmt: skip
        self.signals += made
        for number, signal in enumerate(made):
            if isinstance(signal, ExitSignal):
                self._close(signal.pos_id, candle)
            elif isinstance(signal, EntrySignal) and self._fills[(place + number) % len(self._fills)]:
                self._open[signal.pos_id] = signal
                self.book.apply(opened(signal, candle.ts_close_ns + 1))

    def _close(self, pos_id: str, candle: Candle) -> None:
        entry = self._open.pop(pos_id, None)
        if entry is not None:
            self.book.apply(closed(entry, candle.ts_close_ns + 2))


def opened(signal: EntrySignal, ts_ns: int) -> PositionOpened:
    return PositionOpened(
        event_id=f"o{signal.pos_id}", ts_event_ns=ts_ns, trace_id="t", session_id=signal.session_id, user_id="u",
        pos_id=signal.pos_id, group_id=signal.group_id, strategy=signal.strategy, symbol=signal.symbol,
        instrument=signal.instrument, side=signal.side, quantity=50, average_price_paise=signal.price_paise,
        stop_paise=signal.stop_paise, target_paise=None,
    )  # fmt: skip


def closed(entry: EntrySignal, ts_ns: int) -> PositionClosed:
    return PositionClosed(
        event_id=f"c{entry.pos_id}", ts_event_ns=ts_ns, trace_id="t", session_id=entry.session_id, user_id="u",
        pos_id=entry.pos_id, group_id=entry.group_id, strategy=entry.strategy, symbol=entry.symbol,
        instrument=entry.instrument, side=entry.side, quantity=50, entry_price_paise=1, exit_price_paise=1,
        gross_pnl_paise=0, charges_paise=0, net_pnl_paise=0, r_multiple=None, mae_r=None, mfe_r=None, reason="stop",
        opened_ts_ns=ts_ns,
    )  # fmt: skip


def market(seed: int) -> tuple[list[Day], list[list[Day]]]:
    return (
        generated_days(2, seed=seed, start_paise=2_170_000),
        [generated_days(2, seed=seed + leg, start_paise=9_000, step_bps=60.0) for leg in (1, 2)],
    )


def drawn_place(data: Any, length: int) -> int:
    return int(data.draw(st.integers(0, length - 1)))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000), PARAMETERS, st.lists(st.booleans(), min_size=1, max_size=5),
    st.lists(st.booleans(), min_size=1, max_size=30), st.data(),
)  # fmt: skip
def test_a_compiled_strategy_trades_legs_as_its_plain_twin(seed, parameters, fills, stops, data):
    """Contracts that begin to trade in mid-day, entries that are not filled, legs stopped alone, a restart."""
    (before, today), legs = market(seed)
    twins = [
        Trading(found(parameters), fills=fills, stops=stops) for found in (plain, compiled)
    ]  # fmt: skip
    traded_from = [drawn_place(data, 60), drawn_place(data, 60)]
    again = drawn_place(data, len(today.candles))
    heard: list[InputCandle] = []
    for one in twins:
        one.rebuild(today.open_ns, list(before.candles), [])
    for place, candle in enumerate(today.candles):
        if place == again:
            for one in twins:
                one.rebuild(candle.ts_open_ns, [*before.candles, *today.candles[:place]], list(heard))
        for number, days in enumerate(legs):
            if place >= traded_from[number]:
                for one in twins:
                    told = one.hear(number + 1, days[1].candles[place])
                heard += told
        for one in twins:
            one.take(candle, place)
        assert twins[0].settled[-1] == twins[1].settled[-1]
    assert twins[0].signals == twins[1].signals
    assert isinstance(twins[1].runner, SharedRunner)
    assert not isinstance(twins[0].runner, SharedRunner)


def test_days_that_are_drawn_have_groups_entered_held_stopped_and_left() -> None:
    (before, today), legs = market(7)
    parameters = StraddleParameters(every_minutes=30, exit_minutes=20, alone=True)
    one = Trading(compiled(parameters), fills=[True], stops=[False] * 9 + [True])
    one.rebuild(today.open_ns, list(before.candles), [])
    for place, candle in enumerate(today.candles):
        for number, days in enumerate(legs):
            one.hear(number + 1, days[1].candles[place])
        one.take(candle, place)
    reasons = {settled.decision.reason.partition(":")[0] for settled in one.settled}
    assert {"in_group", "in_position", "time_is_over", "alone", "not_the_minute"} <= reasons
    assert {Action.ENTER_LEGS, Action.ENTER_LONG, Action.EXIT, Action.HOLD} == {
        settled.decision.action for settled in one.settled
    }
    assert {len(settled.legs) for settled in one.settled} == {0, 1, 2}
    sides = {tuple(leg.side for leg in settled.group.legs) for settled in one.settled if settled.group is not None}
    assert sides == {(Side.SHORT, Side.SHORT), (Side.LONG, Side.SHORT)}
    for signal in one.signals:
        if isinstance(signal, EntrySignal):
            assert (signal.price_paise - signal.stop_paise) * signal.side.sign > 0


@pytest.mark.parametrize("number", [-1, 0, 3, 127])
def test_a_number_that_no_set_has_is_a_hold_that_says_so(number: int) -> None:
    class Astray(StraddleLane):
        def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
            made = np.zeros(len(slots), OPINION)
            made["flat"], made["legs"], made["occasion_ns"] = ENTER_LEGS, number, candles["ts_close_ns"]
            return made

    today = generated_days(1, seed=1)[0]
    one = Trading(compiled(StraddleParameters(), Astray), fills=[True], stops=[False])
    one.rebuild(today.open_ns, [], [])
    one.take(today.candles[0], 0)
    assert one.settled[0].decision.reason.startswith("strategy_error: ValueError: ENTER_LEGS needs legs")
    assert not one.signals


@pytest.mark.parametrize("price", [1, 3, 10_000, 10**15])
@pytest.mark.parametrize("side", list(Side))
def test_levels_in_per_cent_lie_on_their_sides_of_the_contracts_own_price(side: Side, price: int) -> None:
    leg = RoleLeg(CALL, side, stop_pct=25, target_pct=50.0)
    stop, target = leg.levels_at(price)
    assert stop is not None
    assert target is not None
    assert (price - stop) * leg.side.sign == max(1, round(price / 4))
    assert (target - price) * leg.side.sign == max(1, round(price / 2))
