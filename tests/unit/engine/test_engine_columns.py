"""Days decided in columns, and slices passed over, come to the run of an engine that asks candle by candle."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testkit.drawn_parameters import EMA, ORB
from testkit.engine import market_of, session
from testkit.histories import write_history

from tradebus.contracts.sessions import PaperSettings, StrategySpec
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.strategies.lane.conflicts import Conflicts

EXAMPLE = Path(__file__).parents[3] / "examples" / "strategies" / "ema_pullback.py"
DAYS = (date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3))


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("histories")
    symbols = ("BANKNIFTY", "NIFTY", "RELIANCE")
    return [write_history(folder / f"bars{seed}.csv", symbols, DAYS, seed=seed) for seed in (3, 8)]


def run(path: Path, sessions: list[Any], *, slice_by_slice: bool, conflicts: Conflicts) -> dict[str, list[Any]]:
    market, master = market_of(path)
    engine = Engine(
        sessions, master, history=MinuteHistory(market.minutes), first_day=market.first_day,
        settings=EngineSettings(slice_by_slice=slice_by_slice, conflicts=conflicts),
    )  # fmt: skip
    for _ in engine.run(market.days(sorted(engine.strategies.timeframes_seconds))):
        pass
    engine.finish()
    rows = {kind: list(rows) for kind, rows in engine.record.log_rows().items()}
    rows["decision"].sort(key=repr)  # by column, or in the order they were made
    rows["figures"] = [engine.record.sessions, [engine.record.decisions.of_session(one.session_id) for one in sessions]]
    return rows


WITH_FILE = st.sampled_from([(), (StrategySpec(name="ema_pullback", path=str(EXAMPLE)),)])


@given(
    which=st.integers(0, 1), orb=ORB, ema=EMA, other=WITH_FILE, conflicts=st.sampled_from(list(Conflicts)),
    concurrent=st.integers(1, 6), partial=st.sampled_from([0.0, 1.0]), latency_ms=st.sampled_from([0, 50, 70_000]),
)  # fmt: skip
@settings(max_examples=14, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_columns_or_one_by_one_the_run_is_the_same(
    paths, which, orb, ema, other, conflicts, concurrent, partial, latency_ms
):
    strategies = (StrategySpec(name="orb", parameters=orb), StrategySpec(name="ema_20_50", parameters=ema), *other)
    paper = PaperSettings(partial_fill_probability=partial, latency_ms=latency_ms)
    loose: dict[str, Any] = {
        "max_concurrent_trades": concurrent, "cooldown_seconds": 0, "max_trades_per_symbol_per_day": 50,
        "consecutive_losses_limit": None, "paper": paper,
    }  # fmt: skip
    sessions = [
        session("asha", ("BANKNIFTY", "RELIANCE"), strategies, **loose),
        session("ravi", ("NIFTY", "BANKNIFTY"), strategies[:2], **{**loose, "max_concurrent_trades": 1}),
    ]
    columns = run(paths[which], sessions, slice_by_slice=False, conflicts=conflicts)
    one_by_one = run(paths[which], sessions, slice_by_slice=True, conflicts=conflicts)
    for kind, rows in one_by_one.items():
        assert columns[kind] == rows, kind
    assert columns["trade"]
