"""Generated markets as the history files a user would have."""

import csv
import math
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


def write_option_history(
    path: Path, days: Sequence[date], *, expiries: Sequence[str], seed: int, money: int | None = None
) -> tuple[str, ...]:
    """NIFTY and the calls and puts at its money on the second day (or at the strike `money`, in rupees) and one strike
    out, each bar as `write_history` has it; their symbols, calls first, for each of `expiries`, as names have them
    (`24104`)."""
    write_history(path, ("NIFTY",), days, seed=seed)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    before = [row for row in rows[1:] if row[0].startswith(days[0].isoformat())]
    if money is None:
        money = math.ceil(float(before[-1][5]) / 50 - 0.5) * 50  # of two equally near, the lower
    options = tuple(
        f"NIFTY{expiry}{strike}{right}" for expiry in expiries for strike, right in
        ((money, "CE"), (money + 50, "CE"), (money, "PE"), (money - 50, "PE"))
    )  # fmt: skip
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        for number, symbol in enumerate(options):
            for day in days:
                for stamp, *prices in _option_bars(
                    day, base_price_paise=15_000 - 4_000 * (number % 2), seed=seed + number
                ):
                    writer.writerow([stamp, symbol, *prices, 1_000])
    return options


def _option_bars(day: date, *, base_price_paise: int, seed: int) -> list[list[object]]:
    session = session_for(day, "derivative")
    assert session is not None
    one = SyntheticInstrument(
        instrument=0, base_price_paise=base_price_paise, annual_volatility=1.5, tick_size_paise=5, daily_volume=100_000
    )
    bars = generate_day([one], day_open_ns=session.open_ns, minutes=375, seed=seed)
    return [
        [ist_datetime(bar[0]).strftime("%Y-%m-%d %H:%M:%S"), *(price / 100 for price in bar[2:6])]
        for bar in bars.tolist()
    ]  # fmt: skip
