"""Several symbols and timeframes: what a strategy asks for is found, and comes to it in one order, replayed or live."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.strategy_days import Day, generated_days, of_timeframe

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import CANDLE, Records
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.info import StrategyInfo, info_of
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSession, ActiveSessions, found_class, open_session
from tradebus.strategies.needs import Call, Future, Needs, Series, Symbol, Underlying
from tradebus.strategies.protocol import Candle, Context, Decision, Strategy, StrategyParameters, hold

DAY = date(2024, 1, 2)


def instrument(
    number: int, symbol: str, kind: Any, expiry: date | None = None, underlying: str = "NIFTY"
) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=symbol, kind=kind, market_class="index", underlying=underlying, tick_size_paise=5,
        expiry=expiry,
    )  # fmt: skip


INSTRUMENTS = InstrumentMaster(
    [
        instrument(0, "NIFTY", "INDEX"),
        instrument(1, "NIFTY23DECFUT", "FUTURE", date(2023, 12, 28)),
        instrument(2, "NIFTY24FEBFUT", "FUTURE", date(2024, 2, 29)),
        instrument(3, "NIFTY24JANFUT", "FUTURE", date(2024, 1, 25)),
        instrument(4, "INDIA VIX", "INDEX", underlying="INDIA VIX"),
    ]
)


class Spread(Strategy[StrategyParameters]):
    """Says what it has heard, in the order it heard it."""

    NAME = "spread"
    WARMUP_CANDLES = 3
    PARAMETERS = StrategyParameters
    NEEDS = Needs(instruments=(Future(), Symbol("INDIA VIX")), timeframes_seconds=(300,))

    def __init__(self, parameters: StrategyParameters) -> None:
        super().__init__(parameters)
        self.heard: list[tuple[str, int, int]] = []

    def on_input(self, candle: Candle, series: Series, context: Context) -> None:
        self.heard.append((series.role, series.timeframe_seconds, candle.close_paise))

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        return hold(repr(self.heard[-6:]))


def opened(strategy: type[Strategy[Any]], symbol: str = "NIFTY", day: date | None = DAY) -> ActiveSession:
    spec = SessionSpec(
        session_id="s", user_id="u", symbols=(symbol,), strategies=(StrategySpec(name=strategy.NAME),), capital_paise=1
    )
    return open_session(
        spec,
        instruments=INSTRUMENTS,
        book=PositionBook(),
        paused=False,
        day=day,
        found=[found_class(info_of(strategy), lambda: strategy(strategy.PARAMETERS()))],
    )


def records_of(day: Day, number: int, seconds: int) -> Records:
    candles = of_timeframe(day, seconds // 60).candles
    records = np.zeros(len(candles), CANDLE)
    for row, one in zip(records, candles, strict=True):
        row["ts_open_ns"], row["ts_close_ns"], row["close_paise"] = one.ts_open_ns, one.ts_close_ns, one.close_paise
        row["open_paise"] = row["high_paise"] = row["low_paise"] = one.close_paise
    records["instrument"], records["timeframe_seconds"] = number, seconds
    return records


def test_roles_are_found_by_their_place_and_in_every_timeframe():
    (runner,) = opened(Spread).runners
    assert runner.asking.inputs == {
        (300, 0): (Series("own", "NIFTY", 300),),
        (60, 3): (Series("future", "NIFTY24JANFUT", 60),),
        (300, 3): (Series("future", "NIFTY24JANFUT", 300),),
        (60, 4): (Series("INDIA VIX", "INDIA VIX", 60),),
        (300, 4): (Series("INDIA VIX", "INDIA VIX", 300),),
    }


def reasons(active: ActiveSessions, batches: list[Records], *, without: int = 0) -> list[str]:
    found = []
    for batch in batches:
        for candle, listener in active.hear(batch.tolist()):
            runner = listener.runner
            if runner.needs_rebuild(candle.ts_open_ns):
                assert runner.rebuild(candle.ts_open_ns, ()) is None
            if listener.series is not None:
                assert runner.on_input(candle, listener.series) is None
            elif (settled := runner.on_candle(candle, paused=False)) is not None:
                found.append(settled.decision.reason)
    return found[without:]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100), st.data())
def test_a_batch_in_any_order_and_a_replay_give_the_same_inputs_in_the_same_order(seed, data):
    day = generated_days(1, seed=seed)[0]
    parts = [records_of(day, number, seconds) for number in (0, 3, 4) for seconds in (60, 300)]
    whole = np.concatenate(parts)
    minutes = sorted({int(one) for one in whole["ts_close_ns"]})[:40]
    batches = [whole[whole["ts_close_ns"] == close] for close in minutes]
    generator = np.random.default_rng(seed)
    ordered, shuffled = ActiveSessions(), ActiveSessions()
    ordered.add(opened(Spread))
    shuffled.add(opened(Spread))
    wanted = reasons(ordered, batches)
    mixed = [batch[generator.permutation(len(batch))] for batch in batches]
    assert reasons(shuffled, mixed) == wanted
    cut = data.draw(st.integers(1, len(minutes) - 1))
    late = ActiveSessions()
    late.add(opened(Spread))
    (runner,) = late.all()[0].runners
    before = [pair for batch in batches[:cut] for pair in late.hear(batch.tolist())]
    own = [candle for candle, listener in before if listener.series is None]
    inputs = [(candle, listener.series) for candle, listener in before if listener.series is not None]
    assert runner.rebuild(int(minutes[cut]) - 1, own, inputs) is None
    assert reasons(late, batches[cut:]) == wanted[cut:]


class NeedsCalls(Spread):
    NAME = "needs_calls"
    NEEDS = Needs(instruments=(Call(1),))


class NeedsStranger(Spread):
    NAME = "needs_stranger"
    NEEDS = Needs(instruments=(Symbol("INDIA VX"),))


class NeedsUnderlying(Spread):
    NAME = "needs_underlying"
    NEEDS = Needs(instruments=(Underlying(),))


def test_what_cannot_be_met_is_refused_with_the_nearest_that_can():
    with pytest.raises(InvalidInput, match=r"strategy 'needs_stranger' needs 'INDIA VX', .*did you mean 'INDIA VIX'"):
        opened(NeedsStranger)
    with pytest.raises(InvalidInput, match=r"needs a future of NIFTY that has not expired: known are NIFTY \(index\)"):
        opened(Spread, day=date(2024, 3, 1))
    with pytest.raises(InvalidInput, match=r"needs a future of INDIA VIX that has not expired"):
        opened(Spread, "INDIA VIX")
    with pytest.raises(InvalidInput, match=r"needs call\+1 of NIFTY: no CE of it expires on 2024-01-02 or later"):
        opened(NeedsCalls)
    (runner,) = opened(NeedsUnderlying, "NIFTY24JANFUT").runners
    assert list(runner.asking.inputs.values()) == [(Series("underlying", "NIFTY", 60),)]


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        (Needs(instruments=[Future()]), "must be tuples"),  # type: ignore[arg-type]
        (Needs(instruments=("NIFTY",)), "is no role"),  # type: ignore[arg-type]
        (Needs(instruments=(Call(99),)), "within ±20"),
        (Needs(instruments=(Future(), Future())), "each once"),
        (Needs(instruments=(Symbol(""),)), "needs a symbol"),
        (Needs(timeframes_seconds=(61,)), "timeframes_seconds must be of"),
    ],
)
def test_needs_that_are_no_needs_are_named(needs, said):
    assert said in (needs.problem() or "")


def test_what_is_said_about_a_strategy_survives_the_way_to_another_process():
    info = info_of(Spread)
    assert StrategyInfo.from_json(info.as_json()) == info
    with pytest.raises(ValueError, match="timeframes_seconds"):
        Needs.from_json({**info.needs.as_json(), "timeframes_seconds": [7]})
