"""The report as one HTML file: what it shows, what it says where nothing was traded, what hostile text does to it."""

import json
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from testkit.histories import write_history

from services.cli.runs.backtesting import BacktestRequest, run_backtest
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees

DAYS = (date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 31), date(2024, 2, 1))
STRATEGY = """
from tradebus.strategies.protocol import Strategy, StrategyParameters, hold


class Quiet(Strategy[StrategyParameters]):
    NAME = "quiet"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = 0
    PARAMETERS = StrategyParameters

    def on_candle(self, candle, context):
        ANSWER
"""


class Reader(HTMLParser):
    """What a browser would fetch or run, and the text a person reads."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.outside += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data):
        self.text += f"{data} "


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def request(tmp_path: Path, strategy: object, page: Path) -> BacktestRequest:
    return BacktestRequest(
        history=write_history(tmp_path / "bars.csv", ("BANKNIFTY",), DAYS, seed=5), stored=None, symbols=(),
        from_date=None, to_date=None, seed=1, trades=None, json=True, page=page,
        users={"asha": {"strategies": [strategy], "capital": 200_000_000}},
    )  # fmt: skip


def quiet(tmp_path: Path, answer: str) -> dict[str, str]:
    file = tmp_path / "quiet.py"
    file.write_text(STRATEGY.replace("ANSWER", answer))
    return {"name": "quiet", "path": str(file)}


def test_a_page_needs_no_other_file_and_says_what_the_terminal_says(tmp_path, capsys) -> None:

    run_backtest(request(tmp_path, "orb", tmp_path / "page.html"))
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    page = read(tmp_path / "page.html")
    assert figures["trades"] > 0
    assert page.outside == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 4  # equity, drawdown, trades by R, price
    assert format_rupees(figures["net_pnl_paise"]) in page.text
    assert figures["decision_log_hash"] in page.text
    assert len(re.findall(r"2024-\d\d-\d\d \d\d:\d\d:\d\d IST", page.text)) >= 2 * figures["trades"]
    assert "No trades." not in page.text


def test_a_page_changes_nothing_of_the_run(tmp_path, capsys) -> None:

    asked = request(tmp_path, "orb", tmp_path / "page.html")
    told = []
    for one in (asked, replace(asked, page=None)):
        run_backtest(one)
        told.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
        told[-1] = {key: told[-1][key] for key in told[-1].keys() - {"wall_seconds", "recorded"}}
    assert told[0] == told[1]


def test_where_nothing_was_traded_the_page_says_why(tmp_path) -> None:
    run_backtest(request(tmp_path, quiet(tmp_path, "return hold('waits for rain')"), tmp_path / "page.html"))
    text = read(tmp_path / "page.html").text
    assert "No trades." in text
    assert re.search(r"waits for rain\s+1,500\s+2024-01-01 09:16:00 IST", text)


def test_a_strategy_that_raises_is_on_the_page_with_file_and_line(tmp_path) -> None:
    run_backtest(request(tmp_path, quiet(tmp_path, "raise RuntimeError('no rain')"), tmp_path / "page.html"))
    text = read(tmp_path / "page.html").text
    assert f'File "{tmp_path / "quiet.py"}", line 12' in text
    assert re.search(r"strategy_error: RuntimeError: no rain\s+1,500\s", text)


def test_a_reason_that_is_markup_is_text_on_the_page(tmp_path) -> None:
    answer = "return hold('<script>alert(1)</script>')"
    run_backtest(request(tmp_path, quiet(tmp_path, answer), tmp_path / "page.html"))
    page = read(tmp_path / "page.html")
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_a_page_that_cannot_be_written_is_named(tmp_path) -> None:
    nowhere = tmp_path / "missing" / "page.html"
    with pytest.raises(InvalidInput, match=re.escape(str(nowhere))):
        run_backtest(request(tmp_path, "orb", nowhere))


def test_costs_are_said_by_kind_and_are_those_of_the_tariff(tmp_path, capsys) -> None:
    asked, found = request(tmp_path, "orb", tmp_path / "page.html"), {}
    for tariff in ("none", "dhan", "upstox"):
        paying = {name: {**data, "paper": {"charges": tariff}} for name, data in asked.users.items()}
        run_backtest(replace(asked, users=paying))
        found[tariff] = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert sum(found[tariff]["charges_by_kind_paise"].values()) == found[tariff]["charges_paise"]
    assert found["none"]["charges_paise"] == 0
    assert found["none"]["gross_pnl_paise"] == found["dhan"]["gross_pnl_paise"]
    paid = {name: one["charges_by_kind_paise"] for name, one in found.items()}
    assert paid["dhan"]["stt"] == paid["upstox"]["stt"] > 0
    text = read(tmp_path / "page.html").text
    for name, kind in (("brokerage", "brokerage"), ("STT", "stt"), ("GST", "gst"), ("exchange", "transaction")):
        assert f"{name} {format_rupees(paid['upstox'][kind])}" in text
