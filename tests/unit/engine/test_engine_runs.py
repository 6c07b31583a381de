"""What an engine's run comes to: the same each time, limits of each user apart, nothing left behind."""

from datetime import date, time
from pathlib import Path

import pytest
from testkit.engine import market_of, run_engine, session
from testkit.histories import write_history

from services.cli.reports.engine_report import report_of
from tradebus.contracts.sessions import Sizing, SizingMode, StrategySpec
from tradebus.engine.history import MinuteHistory
from tradebus.kernel.time import ist_date, ist_time

DAYS = (date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3))


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write_history(tmp_path_factory.mktemp("history") / "bars.csv", ("BANKNIFTY", "NIFTY"), DAYS, seed=5)


def test_a_run_made_again_is_the_same_run(path: Path) -> None:
    sessions = [session("asha", ("BANKNIFTY", "NIFTY"), ("orb", "ema_20_50"))]
    first, second = (report_of(run_engine(path, sessions).record, sessions) for _ in range(2))
    assert first.decision_log_hash == second.decision_log_hash
    assert first.total.trades > 0


def test_another_seed_fills_otherwise(path: Path) -> None:
    sessions = [session("asha", ("BANKNIFTY",), ("orb",))]
    fills = {seed: [row[7] for row in run_engine(path, sessions, seed=seed).record.fills] for seed in (1, 2)}
    assert fills[1] != fills[2]


def test_each_user_is_held_to_limits_of_their_own(path: Path) -> None:
    asha = session("asha", ("BANKNIFTY",), ("orb",))
    ravi = session("ravi", ("BANKNIFTY",), ("orb",), max_trades_per_symbol_per_day=1)
    together = report_of(run_engine(path, [asha, ravi]).record, [asha, ravi])
    alone = {
        one.user_id: report_of(run_engine(path, [one]).record, [one]).sessions[0].figures for one in (asha, ravi)
    }  # fmt: skip
    assert {one.user_id: one.figures for one in together.sessions} == alone
    assert alone["ravi"].trades < alone["asha"].trades
    assert alone["ravi"].blocks_by_rule["max_trades_per_symbol_per_day"] > 0


def test_every_position_is_flat_by_the_close_and_adds_up(path: Path) -> None:
    sessions = [session("asha", ("BANKNIFTY", "NIFTY"), ("orb",))]
    engine = run_engine(path, sessions)
    for trade in engine.record.trades.values():
        assert trade.ended
        assert trade.open_quantity == 0
        if trade.entry_quantity:
            gross = trade.side.sign * (trade.exit_value_paise - trade.entry_value_paise)
            assert trade.net_pnl_paise == gross - trade.charges_paise
            assert trade.charges_paise > 0


def test_a_strategy_that_raises_is_recorded_and_the_others_go_on(tmp_path: Path, path: Path) -> None:
    file = tmp_path / "raising.py"
    file.write_text(
        "from tradebus.strategies.protocol import Strategy, StrategyParameters\n"
        "class Raising(Strategy[StrategyParameters]):\n"
        "    NAME = 'raising'\n"
        "    PARAMETERS = StrategyParameters\n"
        "    def on_candle(self, candle, context):\n"
        "        raise RuntimeError('no')\n"
    )
    sessions = [session("asha", ("BANKNIFTY",), ("orb", StrategySpec(name="raising", path=str(file))))]
    record = run_engine(path, sessions).record
    assert ["RuntimeError: no" in failure for failure in record.failures.values()] == [True]
    reasons = {row[5] for row in record.decisions.rows() if row[2] == "raising"}
    assert reasons == {"strategy_error: RuntimeError: no"}
    count = sum(row[2] == "raising" for row in record.decisions.rows())
    assert record.broken == {"raising": (count, "strategy_error: RuntimeError: no")}
    assert any(trade.entry_quantity for trade in record.trades.values())


def test_a_day_that_breaks_off_is_flat_at_the_last_price_before_its_close(tmp_path: Path) -> None:
    """The data ends at 12:00 with positions open: they are closed at the last price, in hours, not on the next day."""
    path = write_history(tmp_path / "short.csv", ("BANKNIFTY",), DAYS, seed=5, minutes=165)
    engine = run_engine(path, [session("asha", ("BANKNIFTY",), ("orb",), max_concurrent_trades=1)])
    trades = [trade for trade in engine.record.trades.values() if trade.entry_quantity]
    assert trades
    for trade in trades:
        assert trade.ended
        assert ist_date(trade.opened_ns or 0) == ist_date(trade.closed_ns or 0)
        assert ist_time(trade.closed_ns or 0) < time(15, 30)


def test_a_strategy_of_ticks_trades_between_candles(path: Path) -> None:
    file = Path(__file__).parents[3] / "examples" / "strategies" / "tick_threshold.py"
    wanted = StrategySpec(name="tick_threshold", path=str(file), parameters={"every_ticks": 700})
    record = run_engine(path, [session("asha", ("BANKNIFTY",), (wanted,))]).record
    instants = {row[0] % 60_000_000_000 for row in record.decisions.rows()}
    assert len(instants) > 10
    assert any(trade.entry_quantity for trade in record.trades.values())


def test_sizes_by_the_daily_range_begin_when_enough_days_are_known(tmp_path: Path) -> None:
    days = [date(2024, 1, day) for day in (1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15, 16, 17, 18, 19)]
    path = write_history(tmp_path / "bars.csv", ("RELIANCE",), days, seed=5)
    own = StrategySpec(name="orb", sizing=Sizing(mode=SizingMode.ATR, atr_multiple=1.5))
    asha = session("asha", ("RELIANCE",), (own,), max_leverage=100.0, max_exposure_pct=1.0, daily_max_loss_pct=None)
    entries = [row for row in run_engine(path, [asha]).record.verdicts if row[4] in ("ALLOW", "BLOCK")]
    early, late = ([row for row in entries if (ist_date(row[0]) < days[14]) is before] for before in (True, False))
    assert {row[5] for row in early} == {"atr_unknown"}
    (range_paise,) = {MinuteHistory(market_of(path)[0].minutes).atr_paise(0, ts_ns=row[0]) for row in late}
    assert range_paise is not None
    [first, *_] = [row for row in late if row[4] == "ALLOW"]
    assert first[6] == 200_000_000 // 100 // -(-range_paise * 3 // 2)
