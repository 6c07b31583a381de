"""An engine on a history file, for tests: what `tradebus backtest` builds, without the command line."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from services.market_data.feeds.simulation import SimulatedMarket, TickMarket, simulated
from services.market_data.settings import WARMUP_MINUTES
from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.sessions import PaperSettings, RiskLimits, SessionSpec, StrategySpec, Trailing
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.history.loading import load_history
from tradebus.symbols.descriptions import describe, instrument_of


def session(
    user_id: str, symbols: Sequence[str], strategies: Sequence[str | StrategySpec], *, capital_paise: int = 200_000_000,
    paper: PaperSettings | None = None, trailing: Trailing | None = None, **limits: Any,
) -> SessionSpec:  # fmt: skip
    named = [StrategySpec(name=one) if isinstance(one, str) else one for one in strategies]
    return SessionSpec(
        session_id=f"session-{user_id}", user_id=user_id, symbols=tuple(symbols), strategies=tuple(named),
        capital_paise=capital_paise, limits=RiskLimits(**limits), paper=paper or PaperSettings(),
        trailing=trailing,
    )  # fmt: skip


Market = tuple[SimulatedMarket | TickMarket, InstrumentMaster]


def market_of(
    path: Path, *, symbols: Sequence[str] = (), from_date: date | None = None, seed: int = 1, ticks_per_minute: int = 30
) -> Market:
    """The market in a file, and its instruments; what lies before `from_date` is known and not traded."""
    history = load_history(
        path, symbols=symbols, from_date=from_date, to_date=None, warmup_minutes=WARMUP_MINUTES
    )  # fmt: skip
    instruments = [instrument_of(describe(name), number) for number, name in enumerate(history.columns.names)]
    return (
        simulated(history, instruments, ticks_per_minute=ticks_per_minute, seed=seed), InstrumentMaster(instruments)
    )  # fmt: skip


def run_engine(path: Path, sessions: Sequence[SessionSpec], *, seed: int = 1) -> Engine:
    """The engine, after its last day and STOP_TRADING."""
    market, master = market_of(path, seed=seed)
    engine = Engine(
        sessions, master, history=MinuteHistory(market.minutes), settings=EngineSettings(), first_day=market.first_day
    )
    for _ in engine.run(market.days(sorted(engine.strategies.timeframes_seconds))):
        pass
    engine.finish()
    return engine
