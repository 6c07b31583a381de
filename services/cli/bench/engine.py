"""`tradebus bench engine`: a month through six processes and through the engine in one run, then ten years.

generated month ─► CSV ─► tradebus trade (processes) ─┬─► the same hash, and how many times quicker
                      └─► the engine                 ─┘
generated decade ─► the engine ─► seconds, microseconds a bar, memory at the first year's end and at the last's
"""

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from services.cli.output import say
from services.cli.reports.engine_report import report_of
from services.market_data.feeds.simulation import SimulatedMarket, simulated
from services.market_data.settings import TICKS_PER_MINUTE, WARMUP_MINUTES
from tradebus.calendar import TradingSession, session_for
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.orders import FillModel, PriceOrigin
from tradebus.contracts.records import CANDLE, Records
from tradebus.contracts.sessions import PaperSettings, SessionSpec, StrategySpec
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.history.loading import load_history
from tradebus.indicators.synthetic import SyntheticInstrument, generate_day
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.time import ist_datetime
from tradebus.symbols.descriptions import describe, instrument_of

SYMBOL, STRATEGY, SEED = "BANKNIFTY", "orb", 1
MONTH = (date(2024, 1, 1), date(2024, 1, 31))
DECADE = (date(2013, 1, 1), date(2022, 12, 31))
CAPITAL_RUPEES = 1_000_000


def measure() -> dict[str, Any]:
    """Figures by name. Raises Unavailable where the processes do not come to an end."""
    with tempfile.TemporaryDirectory(prefix="tradebus-bench-") as folder:
        Path(folder).chmod(0o711)  # ours alone, but for the user whom Postgres runs as: it passes through
        path = _write(Path(folder) / "month.csv", MONTH)
        processes = _trade(path, Path(folder) / "state")
        month, seconds = _month(path)
    return {
        "month": {
            "bars": month.record.bars,
            "six_processes_seconds": processes["wall_seconds"],
            "engine_seconds": seconds,
            "times_quicker": processes["wall_seconds"] / seconds,
            "same_hash": _hash(month) == processes["decision_log_hash"],
        },
        "decade": _decade(),
    }


def _trade(path: Path, state: Path) -> dict[str, Any]:
    say("  six processes …")
    done = subprocess.run(
        [sys.executable, "-m", "services.cli.main", "--silent", "trade", "--history", str(path), "--strategy", STRATEGY,
         "--symbol", SYMBOL, "--seed", str(SEED), "--capital", str(CAPITAL_RUPEES), "--speed", "max", "--json"],
        env={**os.environ, "TRADEBUS_STATE_DIR": str(state)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Unavailable(f"bench engine: tradebus trade ended with {done.returncode}: {done.stderr[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _month(path: Path) -> tuple[Engine, float]:
    say("  the engine …")
    history = load_history(path, symbols=(SYMBOL,), from_date=None, to_date=None, warmup_minutes=WARMUP_MINUTES)
    instruments = [instrument_of(describe(SYMBOL), 0)]
    market = simulated(history, instruments, ticks_per_minute=TICKS_PER_MINUTE, seed=SEED)
    _run(market, instruments)  # once for what is compiled and looked up once a process
    began_ns = monotonic_ns()
    engine = _run(market, instruments)
    return engine, (monotonic_ns() - began_ns) / 1e9


def _decade() -> dict[str, Any]:
    say("  ten years …")
    instruments = [instrument_of(describe(SYMBOL), 0)]
    bars = np.concatenate([bars_of(session, number) for number, session in enumerate(sessions_between(*DECADE))])
    market = SimulatedMarket(instruments, bars={0: bars}, warmup={}, ticks_per_minute=TICKS_PER_MINUTE, seed=SEED)
    memory: list[float] = []
    began_ns = monotonic_ns()
    engine = _run(market, instruments, memory=memory)
    seconds = (monotonic_ns() - began_ns) / 1e9
    return {
        "bars": engine.record.bars,
        "seconds": seconds,
        "microseconds_a_bar": seconds * 1e6 / engine.record.bars,
        "memory_first_year_mib": memory[min(250, len(memory) - 1)],
        "memory_last_year_mib": memory[-1],
    }


def _run(market: Any, instruments: Sequence[Instrument], *, memory: list[float] | None = None) -> Engine:
    session = SessionSpec(
        session_id="bench", user_id="trader", symbols=(SYMBOL,), strategies=(StrategySpec(name=STRATEGY),),
        capital_paise=CAPITAL_RUPEES * 100,
        paper=PaperSettings(seed=SEED, fills=FillModel.CONSERVATIVE, prices=PriceOrigin.BARS),
    )  # fmt: skip
    engine = Engine(
        [session], InstrumentMaster(instruments), history=MinuteHistory(market.minutes), settings=EngineSettings()
    )
    for _ in engine.run(market.days(sorted(engine.strategies.timeframes_seconds))):
        if memory is not None:
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    engine.finish()
    return engine


def _hash(engine: Engine) -> str:
    return report_of(engine.record, []).decision_log_hash


def _write(path: Path, window: tuple[date, date]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ts", "open", "high", "low", "close", "volume"])
        for number, session in enumerate(sessions_between(*window)):
            for bar in bars_of(session, number).tolist():
                stamp = ist_datetime(bar[0]).strftime("%Y-%m-%d %H:%M:%S")
                rows.writerow([stamp, *(price / 100 for price in bar[2:6]), bar[6]])
    return path


def bars_of(session: TradingSession, number: int) -> Records:
    """A generated day of one-minute bars."""
    one = SyntheticInstrument(
        instrument=0, base_price_paise=4_800_000, annual_volatility=0.35, tick_size_paise=5, daily_volume=1_000_000
    )
    minutes = (session.close_ns - session.open_ns) // 60_000_000_000
    bars = generate_day([one], day_open_ns=session.open_ns, minutes=minutes, seed=number)
    return bars if len(bars) else np.zeros(0, CANDLE)


def sessions_between(first: date, last: date) -> list[TradingSession]:
    """Of the derivatives, on every trading day of the window; special ones with a break are left out."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    found = (session_for(day, describe(SYMBOL).market_class) for day in days)
    return [session for session in found if session is not None and len(session.windows) == 1]
