"""An option's history is traded as an option: its lot, its charges, its hours."""

import json
from dataclasses import replace
from datetime import date, time
from pathlib import Path

import pytest
from testkit.feeds import write_bars

from services.cli.reports.present import run_title
from services.cli.runs.backtesting import BacktestRequest, run_backtest
from tradebus.kernel.errors import InvalidInput

STRATEGY = """
from tradebus.strategies.protocol import Action, Decision, Strategy, StrategyParameters, hold


class Parameters(StrategyParameters):
    pass


class Buys(Strategy[Parameters]):
    NAME = "buys"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = 0
    PARAMETERS = Parameters

    def on_candle(self, candle, context):
        minutes = (candle.ts_close_ns - context.session_open_ns) // 60_000_000_000
        if context.position is None and minutes == 5:
            stop_paise = candle.close_paise // 1000 * 990
            return Decision(Action.ENTER_LONG, "fifth minute", stop_paise=stop_paise, confidence=0.6)
        return hold("nothing")
"""


def request(tmp_path: Path, symbol: str, trades: Path) -> BacktestRequest:
    path = tmp_path / "buys.py"
    path.write_text(STRATEGY)
    return BacktestRequest(
        history=write_bars(tmp_path / "b.parquet", (date(2026, 6, 8), time(9, 15), 375)), stored=None,
        symbols=(symbol,), from_date=None, to_date=None, seed=1, trades=trades, json=True,
        users={
            "trader": {
                "strategies": [{"name": "buys", "path": str(path)}], "capital": 50_000_000, "paper": {"fills": "touch"}
            }
        },
    )  # fmt: skip


def test_an_options_history_is_traded_as_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {}
    for symbol in ("NIFTY26JUN19400CE", "RELIANCE"):
        trades = tmp_path / f"{symbol}.csv"
        run_backtest(request(tmp_path, symbol, trades))
        head, row = (line.split(",") for line in trades.read_text().splitlines())
        made = dict(zip(head, row, strict=True))
        value = float(made["entry_value"]) + float(made["exit_value"])
        figures[symbol] = (int(made["entry_quantity"]), float(made["charges"]) / value, made["symbol"])
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["trades"] == 1
    (quantity, share_of_value, named), (_, of_a_share, _) = figures.values()
    assert named == "NIFTY26JUN19400CE"
    assert quantity > 0
    assert quantity % 65 == 0
    assert share_of_value > 2 * of_a_share  # 0.15 % of a sale's premium, 3,552 a crore at the exchange


@pytest.mark.parametrize("symbol", ["NIFTY25JUL24FUT", "360ONE26DECFUT", "NIFTY26JUN999CE"])
def test_a_contract_that_cannot_be_traded_is_refused_before_anything_runs(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(InvalidInput, match=symbol):
        run_backtest(request(tmp_path, symbol, tmp_path / "t.csv"))


def test_a_strategy_whose_answers_cannot_count_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trades = tmp_path / "trades.csv"
    asked = request(tmp_path, "RELIANCE", tmp_path / "good.csv")
    run_backtest(asked)
    (tmp_path / "buys.py").write_text(STRATEGY.replace("* 990", "* 1010"))
    capsys.readouterr()
    run_backtest(replace(asked, trades=trades, json=False))
    shown = capsys.readouterr()
    assert "strategy 'buys': answers that could not count and became HOLD: 1\n" in shown.err
    assert "strategy 'buys' FAILED: this run says little about it\n" in shown.err
    assert "RELIANCE · 2026-06-08 to 2026-06-08\n" in shown.out
    assert trades.read_text().splitlines() == (tmp_path / "good.csv").read_text().splitlines()[:1]  # no trade: the head


def test_of_many_symbols_the_title_has_the_first() -> None:
    day = date(2026, 6, 8)
    assert run_title(list("ABCDEF"), day, day).startswith("A, B, C, D, E, F · ")
    assert run_title(list("ABCDEFGH"), day, day).startswith("A, B, C, D, E, F and 2 more · ")
