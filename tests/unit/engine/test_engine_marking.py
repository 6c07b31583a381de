"""Marks that were put off come to what marks slice by slice come to, and a loss limit is hit at the same tick."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testkit.engine import market_of, run_engine, session
from testkit.histories import write_history

from tradebus.contracts.sessions import PaperSettings, ScopeLimits, StrategySpec
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    days = (date(2024, 1, 1), date(2024, 1, 2))
    return write_history(tmp_path_factory.mktemp("history") / "bars.csv", ("BANKNIFTY", "NIFTY"), days, seed=11)


def run_marking_every_slice(path: Path, sessions) -> Engine:
    market, master = market_of(path)
    eager = EngineSettings(slice_by_slice=True)
    engine = Engine(sessions, master, history=MinuteHistory(market.minutes), settings=eager)
    for _ in engine.run(market.days(sorted(engine.strategies.timeframes_seconds))):
        pass
    engine.finish()
    return engine


@pytest.mark.parametrize("loss", [200_000, 1_000_000])
def test_a_symbol_and_a_strategy_are_halted_at_the_same_slice(path: Path, loss: int) -> None:
    own = StrategySpec(name="orb", limits=ScopeLimits(daily_max_loss_paise=loss, consecutive_losses_limit=2))
    sessions = [
        session(
            "asha", ("BANKNIFTY", "NIFTY"), (own, "ema_20_50"), daily_max_loss_pct=None, symbol_max_loss_paise=loss,
            risk_per_trade_pct=5.0, cooldown_seconds=0, max_trades_per_symbol_per_day=50,
        )
    ]  # fmt: skip
    put_off, every_slice = run_engine(path, sessions).record, run_marking_every_slice(path, sessions).record
    assert list(put_off.verdicts) == list(every_slice.verdicts)
    assert any("symbol_max_loss" in row for row in every_slice.verdicts)


@given(
    loss=st.integers(50_000, 3_000_000), concurrent=st.integers(1, 4), probability=st.sampled_from([0.0, 0.2, 1.0]),
    risk=st.sampled_from([0.5, 1.0, 5.0]),
)  # fmt: skip
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_put_off_or_not_the_verdicts_are_the_same(
    path: Path, loss: int, concurrent: int, probability: float, risk: float
) -> None:
    sessions = [
        session(
            "asha", ("BANKNIFTY", "NIFTY"), ("orb", "ema_20_50"), daily_max_loss_paise=loss, daily_max_loss_pct=None,
            max_concurrent_trades=concurrent, risk_per_trade_pct=risk, cooldown_seconds=0,
            max_trades_per_symbol_per_day=50, consecutive_losses_limit=None,
            paper=PaperSettings(partial_fill_probability=probability),
        )
    ]  # fmt: skip
    put_off, every_slice = run_engine(path, sessions).record, run_marking_every_slice(path, sessions).record
    assert list(put_off.verdicts) == list(every_slice.verdicts)
    assert list(put_off.fills) == list(every_slice.fills)
