"""Bulk mode makes the engine's trades, one for one, over random parameters and generated markets."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.engine import Market, market_of, session
from testkit.histories import write_history

from services.market_data.feeds.simulation import SimulatedMarket
from tradebus.contracts.orders import Tariff
from tradebus.contracts.sessions import PaperSettings, SessionSpec, Sizing, SizingMode, StrategySpec
from tradebus.engine.bulk.market import BulkMarket, bulk_market
from tradebus.engine.bulk.run import BulkRun
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.kernel.errors import InvalidInput

DAYS = (date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3))
FREE = {
    "daily_max_loss_pct": None, "max_exposure_pct": 1.0, "max_leverage": 100.0,
}  # fmt: skip
Row = tuple[int, ...]


def without_minutes(path: Path, *, every: int) -> Path:
    """The file with every so many-th row left out: minutes in which nothing traded."""
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line for n, line in enumerate(lines[1:]) if n % every != every - 1)]) + "\n")
    return path


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bulk")
    return {
        "BANKNIFTY": write_history(folder / "index.csv", ("BANKNIFTY",), DAYS, seed=3),
        "RELIANCE": write_history(folder / "share.csv", ("RELIANCE",), DAYS, seed=4),
        "short": write_history(folder / "short.csv", ("BANKNIFTY",), DAYS, seed=5, minutes=200),
        "holes": without_minutes(write_history(folder / "holes.csv", ("BANKNIFTY",), DAYS, seed=6), every=7),
    }


def market(path: Path, seed: int, spec: SessionSpec) -> tuple[Market, BulkMarket]:
    found = market_of(path, seed=seed)
    simulated, (instrument,) = found
    assert isinstance(simulated, SimulatedMarket)
    made = bulk_market(
        simulated.days((60, 300)), instrument, MinuteHistory(simulated.minutes), spec=spec,
        timeframes_seconds=(60, 300),
    )  # fmt: skip
    return found, made


def engine_trades(found: Market, spec: SessionSpec) -> list[Row]:
    simulated, master = found
    engine = Engine(
        [spec], master, history=MinuteHistory(simulated.minutes), settings=EngineSettings(),
        first_day=simulated.first_day,
    )  # fmt: skip
    for _ in engine.run(simulated.days(sorted(engine.strategies.timeframes_seconds))):
        pass
    engine.finish()
    rows = (
        (one.side.sign, one.entry_quantity, one.opened_ns or 0, one.entry_value_paise, one.closed_ns or 0,
         one.exit_value_paise, one.charges_paise, one.net_pnl_paise or 0)
        for one in engine.record.trades.values() if one.entry_quantity
    )  # fmt: skip
    return sorted(rows, key=lambda row: row[4])


def bulk_trades(run: BulkRun, parameters: dict[str, Any]) -> list[Row]:
    books = run.run(run.parameters(parameters))
    rows = [
        (row["side"], row["quantity"], row["entry_ns"], row["entry_paise"] * row["quantity"], row["exit_ns"],
         row["exit_paise"] * row["quantity"], row["charges_paise"], row["net_pnl_paise"])
        for row in books.rows()
    ]  # fmt: skip
    figures = books.figures()
    assert figures.trades == len(rows)
    assert figures.net_paise == int(figures.daily_paise.sum()) == sum(row[7] for row in rows)
    return [tuple(int(one) for one in row) for row in rows]


CROSS = st.fixed_dictionaries(
    {
        "fast": st.integers(1, 12),
        "slow": st.integers(13, 60),
        "cross_window_candles": st.integers(1, 5),
        "stop_pct": st.sampled_from([0.02, 0.1, 0.4, 2.0]),
        "reward_multiple": st.sampled_from([None, 0.5, 2.0]),
    }
)
TREND = st.fixed_dictionaries(
    {
        "fast": st.integers(2, 8),
        "slow": st.integers(9, 20),
        "cross_window_candles": st.integers(1, 6),
        "rsi_stretched": st.sampled_from([75.0, 95.0]),
        "stop_atr": st.sampled_from([0.5, 2.0]),
        "reward_multiple": st.sampled_from([None, 0.5, 3.0]),
        "first_entry_minutes": st.sampled_from([0, 15]),
    }
)
ORB = st.fixed_dictionaries(
    {
        "range_minutes": st.sampled_from([1, 15, 60]),
        "volume_multiple": st.sampled_from([0.5, 1.5]),
        "stop_floor_atr": st.sampled_from([0.5, 4.0]),
        "reward_multiple": st.sampled_from([0.5, 2.0]),
        "lock_minutes": st.sampled_from([0, 5]),
    }
)
STRATEGIES = st.one_of(
    st.tuples(st.just("ema_cross"), CROSS), st.tuples(st.just("ema_20_50"), TREND), st.tuples(st.just("orb"), ORB)
)
LIMITS = st.fixed_dictionaries(
    {
        "cooldown_seconds": st.sampled_from([0, 300]),
        "max_trades_per_symbol_per_day": st.sampled_from([3, 10_000]),
        "consecutive_losses_limit": st.sampled_from([None, 2]),
        "max_slippage_pct": st.sampled_from([0.001, 0.5]),
    }
)
PAPER = st.builds(
    PaperSettings, latency_ms=st.sampled_from([0, 150, 3_000]), slippage_bps=st.sampled_from([0.0, 1.0, 7.35]),
    partial_fill_probability=st.just(0), charges=st.sampled_from(list(Tariff)),
)  # fmt: skip
SIZINGS = st.sampled_from(
    [Sizing(), Sizing(mode=SizingMode.FIXED_LOTS, lots=1), Sizing(mode=SizingMode.FIXED_LOTS, lots=3)]
)


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from(["BANKNIFTY", "BANKNIFTY", "RELIANCE", "short", "holes"]), st.integers(0, 5), STRATEGIES, LIMITS,
    PAPER, SIZINGS,
)  # fmt: skip
def test_bulk_makes_the_engines_trades(paths, name, seed, drawn, limits, paper, sizing):
    strategy, parameters = drawn
    symbol = "RELIANCE" if name == "RELIANCE" else "BANKNIFTY"
    asked = StrategySpec(name=strategy, parameters=parameters, sizing=sizing)
    spec = session("asha", (symbol,), (asked,), paper=paper, **{**FREE, **limits})
    found, made = market(paths[name], seed, spec)
    assert bulk_trades(BulkRun(made, spec), parameters) == engine_trades(found, spec)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"daily_max_loss_pct": 3.0}, "limit daily_max_loss_pct"),
        ({"paper": PaperSettings(partial_fill_probability=0.2)}, "partial fills"),
        ({"strategies": ("orb", "ema_cross")}, "one strategy"),
    ],
)
def test_what_has_no_bulk_form_is_refused_by_name(paths, changes, said):
    asked = {"strategies": ("ema_cross",), "daily_max_loss_pct": None, **changes}
    spec = session("asha", ("BANKNIFTY",), asked.pop("strategies"), **asked)
    _, made = market(paths["short"], 1, spec)
    with pytest.raises(InvalidInput, match=said):
        BulkRun(made, spec)
