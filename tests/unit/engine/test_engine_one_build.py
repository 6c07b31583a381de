"""One build: the services on twins and the engine come to the same decisions, verdicts, fills and results.

The services are the real ones, in one process (`testkit.one_process`); markets, parameters, limits and the paper
broker's manners are drawn.
"""

import asyncio
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.drawn_parameters import EMA, ORB
from testkit.engine import market_of, session
from testkit.histories import write_history
from testkit.one_process import run_services

from tradebus.contracts.sessions import (
    PaperSettings,
    ScopeLimits,
    SessionSpec,
    Sizing,
    SizingMode,
    StrategySpec,
    Trailing,
)
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.strategies.lane.conflicts import Conflicts

SYMBOLS = st.sampled_from([("BANKNIFTY",), ("NIFTY", "RELIANCE"), ("BANKNIFTY", "TCS", "INFY")])
DAYS = st.sampled_from([(date(2024, 1, 1),), (date(2024, 1, 1), date(2024, 1, 2))])
LIMITS = st.fixed_dictionaries(
    {
        "max_concurrent_trades": st.integers(1, 5),
        "max_trades_per_symbol_per_day": st.sampled_from([2, 50]),
        "cooldown_seconds": st.sampled_from([0, 300]),
        "risk_per_trade_pct": st.sampled_from([0.5, 2.0]),
        "daily_max_loss_paise": st.sampled_from([200_000, 5_000_000]),
        "consecutive_losses_limit": st.sampled_from([None, 3]),
        "daily_max_loss_r": st.sampled_from([None, 2.0]),
        "symbol_max_loss_paise": st.sampled_from([None, 150_000]),
        "max_orders_per_minute": st.sampled_from([None, 1]),
        "max_positions": st.sampled_from([None, 2]),
        "max_data_age_seconds": st.sampled_from([None, 1, 5]),
        "max_price_distance_pct": st.sampled_from([None, 0.01]),
        "max_slippage_bps": st.sampled_from([None, 0.5]),
    }
)
OWN = st.builds(
    ScopeLimits, daily_max_loss_paise=st.sampled_from([None, 120_000]),
    consecutive_losses_limit=st.sampled_from([None, 2]), max_concurrent_trades=st.sampled_from([None, 1]),
)  # fmt: skip
SIZINGS = st.sampled_from(
    [None, Sizing(of_equity=True), Sizing(by_score=True), Sizing(mode=SizingMode.CAPITAL_PCT, capital_pct=150.0)]
)
TRAILS = st.sampled_from([
    None, Trailing(distance_r=0.5, step_pct=10), Trailing(distance_pct=0.1, after_r=0.3),
    Trailing(distance_paise=1_500, step_pct=100),
])  # fmt: skip
PAPER = st.builds(
    PaperSettings,
    seed=st.integers(1, 99),
    latency_ms=st.sampled_from([0, 50, 70_000]),
    slippage_bps=st.sampled_from([0.0, 2.0]),
    partial_fill_probability=st.sampled_from([0.0, 0.5, 1.0]),
)


def rows_of_engine(path: Path, sessions: list[SessionSpec], conflicts: Conflicts) -> dict[str, list[Any]]:
    """Before STOP_TRADING, as the services' rows are."""
    market, master = market_of(path)
    engine = Engine(
        sessions, master, history=MinuteHistory(market.minutes), settings=EngineSettings(conflicts=conflicts),
        first_day=market.first_day,
    )  # fmt: skip
    for _ in engine.run(market.days(sorted(engine.strategies.timeframes_seconds))):
        pass
    return {kind: list(rows) for kind, rows in engine.record.log_rows().items()}


@given(
    seed=st.integers(0, 10_000), symbols=SYMBOLS, days=DAYS, orb=ORB, ema=EMA, limits=st.tuples(LIMITS, LIMITS),
    paper=PAPER, conflicts=st.sampled_from(list(Conflicts)), own=OWN, sizing=SIZINGS,
    budget=st.sampled_from([None, 80_000_000]), trails=st.tuples(TRAILS, TRAILS),
)  # fmt: skip
@settings(max_examples=8, deadline=None)
def test_services_and_engine_come_to_the_same(
    seed, symbols, days, orb, ema, limits, paper, conflicts, own, sizing, budget, trails
):
    strategies = (
        StrategySpec(name="orb", parameters=orb, limits=own),
        StrategySpec(name="ema_20_50", parameters=ema, sizing=sizing, budget_paise=budget),
    )
    sessions = [
        session("asha", symbols, strategies, paper=paper, trailing=trails[0], **limits[0]),
        session("ravi", symbols[:1], strategies[:1], paper=paper, trailing=trails[1], **limits[1]),
    ]
    with TemporaryDirectory() as folder:
        path = write_history(Path(folder) / "bars.csv", symbols, days, seed=seed)
        services = asyncio.run(run_services(path, sessions, state_dir=Path(folder), conflicts=conflicts))
        engine = rows_of_engine(path, sessions, conflicts)
    assert services.keys() == engine.keys()
    for kind, rows in engine.items():
        assert sorted(services[kind], key=repr) == sorted(rows, key=repr), kind
    assert len(services["decision"]) > 300 * len(days)
