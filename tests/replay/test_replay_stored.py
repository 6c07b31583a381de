"""Recorded days through the engine come to the figures that are stored beside them, whoever changes what.

Runs of two ways (services and engine) are compared elsewhere; a change that alters both alike is seen here. Where it is
meant, say why in the commit and store the new figures: `python -m pytest tests/replay --store`.
"""

import csv
import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from testkit.engine import run_engine, session

from services.cli.reports.engine_report import report_of
from tradebus.calendar import session_for
from tradebus.contracts.sessions import PaperSettings, SessionSpec, StrategySpec, Trailing
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_datetime

STORED = Path(__file__).with_name("stored.json")
EXAMPLES = Path(__file__).parents[2] / "examples" / "strategies"
DAYS = tuple(date(2024, 1, day) for day in (1, 2, 3, 4, 5, 8, 9, 10))
# By symbol: the class, the first price in paise, and the largest step of a minute in ticks of 5 paise.
SYMBOLS = {
    "BANKNIFTY": ("derivative", 4_800_000, 500), "NIFTY": ("derivative", 2_170_000, 220),
    "RELIANCE": ("equity_fno", 258_000, 30),
}  # fmt: skip
LOOSE: dict[str, Any] = {
    "cooldown_seconds": 0, "consecutive_losses_limit": None, "daily_max_loss_pct": None,
    "max_trades_per_symbol_per_day": 20, "max_concurrent_trades": 6,
}  # fmt: skip
IN_PARTS = PaperSettings(partial_fill_probability=1.0)
SESSIONS: dict[str, list[SessionSpec]] = {
    "orb": [session("asha", ("BANKNIFTY",), ("orb",))],
    "two strategies, three symbols": [session("asha", tuple(SYMBOLS), ("orb", "ema_20_50"), **LOOSE)],
    "two users, one with a file, partial fills": [
        session("asha", ("NIFTY", "RELIANCE"), ("ema_20_50",), paper=IN_PARTS, **LOOSE),
        session(
            "ravi", ("BANKNIFTY",), (StrategySpec(name="ema_pullback", path=str(EXAMPLES / "ema_pullback.py")),),
            **LOOSE | {"max_trades_per_symbol_per_day": 3, "daily_max_loss_pct": 1},
        ),
    ],
    "trailing": [session("asha", ("BANKNIFTY", "NIFTY"), ("orb",), trailing=Trailing(distance_paise=20_000), **LOOSE)],
}  # fmt: skip


def whole_numbers(state: int) -> Iterator[int]:
    """The same on every processor: no floating point, no library's generator."""
    while True:
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        yield state >> 33


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Minutes of some days, trending now and then."""
    path = tmp_path_factory.mktemp("recorded") / "bars.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ts", "symbol", "open", "high", "low", "close", "volume"])
        for number, (symbol, (kind, price, step)) in enumerate(SYMBOLS.items()):
            drawn = whole_numbers(number + 1)
            for day in DAYS:
                hours = session_for(day, kind)
                assert hours is not None
                drift = 0
                for minute in range((hours.close_ns - hours.open_ns) // (60 * NANOSECONDS_PER_SECOND)):
                    drift = (next(drawn) % 5 - 2) * step // 4 if minute % 45 == 0 else drift
                    moves = [(next(drawn) % (2 * step + 1) - step + drift) * 5 for _ in range(3)]
                    prices = [price, *(price + move for move in moves)]
                    price = prices[-1]
                    stamp = ist_datetime(hours.open_ns + minute * 60 * NANOSECONDS_PER_SECOND)
                    rupees = [one / 100 for one in (prices[0], max(prices), min(prices), price)]
                    rows.writerow([f"{stamp:%Y-%m-%d %H:%M:%S}", symbol, *rupees, 10_000 + next(drawn) % 50_000])
    return path


@pytest.mark.parametrize("name", sorted(SESSIONS))
def test_a_recorded_run_comes_to_what_is_stored(name: str, recorded: Path) -> None:
    report = report_of(run_engine(recorded, SESSIONS[name]).record, SESSIONS[name])
    found = {
        "decision_log_hash": report.decision_log_hash, "bars": report.bars, "trades": len(report.trades),
        "net_pnl_paise": [one.figures.net_pnl_paise for one in report.sessions],
    }  # fmt: skip
    assert found["trades"]
    if os.environ.get("REPLAY_STORE"):
        stored = json.loads(STORED.read_text()) if STORED.is_file() else {}
        STORED.write_text(json.dumps(stored | {name: found}, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(STORED.read_text())[name]
