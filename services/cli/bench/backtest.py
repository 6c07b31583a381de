"""`tradebus bench backtest`: ema_cross over ten generated years: in bulk mode, in a sweep, in the engine, in pandas.

one pass     compiled decisions and accounting, market at hand        bars a second
sweep        200 pairs of lengths over all cores                      bars times sets a second
engine       every trade through risk, lifecycle and charges          trades a second, at three lengths of history
pandas       two exponential means, their crosses, profit by closes   bars a second: no orders, no costs, no lots
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from services.cli.bench.engine import bars_of, sessions_between
from services.cli.output import say
from services.cli.sweeping.run import ThreadPool
from services.market_data.feeds.simulation import SimulatedMarket
from services.market_data.settings import TICKS_PER_MINUTE
from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.records import Records
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.engine.bulk.grid import chosen_points, parse_grid
from tradebus.engine.bulk.market import bulk_market
from tradebus.engine.bulk.run import BulkRun
from tradebus.engine.bulk.sweep import many
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.kernel.clock import monotonic_ns
from tradebus.symbols.descriptions import describe, instrument_of

SYMBOL, FAST, SLOW, SEED = "BANKNIFTY", 9, 21, 1
WINDOW = (date(2013, 1, 1), date(2022, 12, 31))
DAYS = (65, 650)  # of the engine: its cost of a trade must not grow with the trades before it
PASSES, SETS_PER_CALL = 7, 25


def measure() -> dict[str, Any]:
    """Figures by name."""
    say("  ten years of minutes …")
    bars = np.concatenate([bars_of(session, number) for number, session in enumerate(sessions_between(*WINDOW))])
    instrument, spec, market = instrument_of(describe(SYMBOL), 0), _session(), _market(bars)
    run = BulkRun(
        bulk_market(
            market.days((60,)), instrument, MinuteHistory(market.minutes), spec=spec, timeframes_seconds=(60,)
        ),
        spec,
    )  # fmt: skip
    chosen, figures = run.parameters({"fast": FAST, "slow": SLOW}), dict[str, Any]()
    seconds = _best(lambda: run.run(chosen, trades=0))
    figures["one_pass"] = {
        "bars": len(bars), "trades": run.run(chosen, trades=0).figures().trades, "seconds": seconds,
        "bars_per_second": len(bars) / seconds,
    }  # fmt: skip
    figures["sweep"] = _sweep(run, len(bars))
    reference = _best(lambda: _pandas(bars))
    figures["pandas"] = {"seconds": reference, "bars_per_second": len(bars) / reference}
    for days in DAYS:
        figures[f"engine_{days}_days"] = _engine(bars, days)
    return figures


def _session() -> SessionSpec:
    """One lot, and no rule that keeps it from trading on."""
    return SessionSpec.model_validate(
        {
            "session_id": "bench", "user_id": "trader", "symbols": (SYMBOL,), "capital_paise": 10**11,
            "strategies": (StrategySpec(name="ema_cross", parameters={"fast": FAST, "slow": SLOW}),),
            "limits": {
                "max_lots_per_trade": 1, "daily_max_loss_pct": None, "consecutive_losses_limit": None,
                "cooldown_seconds": 0, "max_trades_per_symbol_per_day": 1_000,
            },
        }
    )  # fmt: skip


def _market(bars: Records) -> SimulatedMarket:
    return SimulatedMarket(
        [instrument_of(describe(SYMBOL), 0)], bars={0: bars}, warmup={}, ticks_per_minute=TICKS_PER_MINUTE, seed=SEED
    )


def _sweep(run: BulkRun, bars: int) -> dict[str, Any]:
    say("  200 pairs …")
    points = chosen_points(parse_grid(["fast=3:21:2", "slow=30:125:5"]), sample=None, seed=SEED)
    sets = [run.parameters(point) for point in points]
    parts = range(0, len(sets), SETS_PER_CALL)
    began_ns = monotonic_ns()
    done = list(ThreadPool().map(lambda first: (first, many(run, sets[first : first + SETS_PER_CALL])), parts))
    seconds = (monotonic_ns() - began_ns) / 1e9
    trades = sum(int(swept.figures[:, 0].sum()) for _, swept in done)
    return {"sets": len(sets), "trades": trades, "seconds": seconds, "bar_sets_per_second": bars * len(sets) / seconds}


def _engine(bars: Records, days: int) -> dict[str, Any]:
    say(f"  the engine, {days} days …")
    market = _market(bars[: days * 375])
    engine = Engine(
        [_session()], InstrumentMaster([instrument_of(describe(SYMBOL), 0)]), history=MinuteHistory(market.minutes),
        settings=EngineSettings(),
    )  # fmt: skip
    began_ns = monotonic_ns()
    for _ in engine.run(market.days((60,))):
        pass
    engine.finish()
    seconds = (monotonic_ns() - began_ns) / 1e9
    trades = sum(1 for trade in engine.record.trades.values() if trade.entry_quantity)
    return {"trades": trades, "seconds": seconds, "microseconds_a_trade": seconds * 1e6 / max(trades, 1)}


def _pandas(bars: Records) -> float:
    """What a notebook does: always in the market, in at the close of the cross."""
    closes = pd.Series(bars["close_paise"].astype(np.float64))
    fast, slow = (closes.ewm(span=length, adjust=False).mean() for length in (FAST, SLOW))
    side = np.sign(fast - slow).shift(1).fillna(0.0)
    return float((side * closes.diff().fillna(0.0)).sum())


def _best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of some passes: the first ones fill caches."""
    found = []
    for _ in range(PASSES):
        began_ns = monotonic_ns()
        work()
        found.append((monotonic_ns() - began_ns) / 1e9)
    return min(found)
