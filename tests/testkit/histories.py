"""Generated markets as the history files a user would have."""

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tradebus.calendar import session_for
from tradebus.indicators.synthetic import SyntheticInstrument, generate_day
from tradebus.kernel.time import ist_datetime

BASE_PRICE_PAISE = {"BANKNIFTY": 4_800_000, "NIFTY": 2_170_000, "RELIANCE": 258_000, "TCS": 379_000, "INFY": 155_000}
_CLASSES = {"BANKNIFTY": "derivative", "NIFTY": "derivative"}


def write_history(path: Path, symbols: Sequence[str], days: Sequence[date], *, seed: int, minutes: int = 375) -> Path:
    """One-minute bars of generated days as CSV, with a column `symbol`; every day ends after `minutes`."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ts", "symbol", "open", "high", "low", "close", "volume"])
        for number, day in enumerate(days):
            for place, symbol in enumerate(symbols):
                session = session_for(day, _CLASSES.get(symbol, "equity_fno"))
                assert session is not None
                one = SyntheticInstrument(
                    instrument=0, base_price_paise=BASE_PRICE_PAISE[symbol], annual_volatility=0.35, tick_size_paise=5,
                    daily_volume=1_000_000,
                )  # fmt: skip
                bars = generate_day(
                    [one], day_open_ns=session.open_ns, minutes=minutes, seed=seed * 1000 + number * 10 + place
                )
                for bar in bars.tolist():
                    stamp = ist_datetime(bar[0]).strftime("%Y-%m-%d %H:%M:%S")
                    rows.writerow([stamp, symbol, *(price / 100 for price in bar[2:6]), bar[6]])
    return path
