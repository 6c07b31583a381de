"""One-minute bars of a few instruments, for whoever tries how a book keeps them."""

import numpy as np

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import CANDLE, Records
from tradebus.store.book import Book
from tradebus.store.books import instruments_book

MINUTE_NS = 60_000_000_000
START_NS = 1_704_080_700_000_000_000  # 2024-01-01 09:15 in India
VALUES = ("open_paise", "high_paise", "low_paise", "close_paise", "volume", "open_interest")
INSTRUMENTS = (3, 1, 2**31 - 1)


def bars(rows: list[tuple[int, int, int]]) -> Records:
    """One bar per (place in INSTRUMENTS, minute, seed of the values)."""
    records = np.zeros(len(rows), dtype=CANDLE)
    records["instrument"] = [INSTRUMENTS[place] for place, _, _ in rows]
    records["ts_open_ns"] = [START_NS + minute * MINUTE_NS for _, minute, _ in rows]
    records["ts_close_ns"] = records["ts_open_ns"] + MINUTE_NS
    records["timeframe_seconds"] = 60
    for place, name in enumerate(VALUES):
        records[name] = [seed * 7 + place for _, _, seed in rows]
    return records


async def register(book: Book) -> None:
    """INSTRUMENTS into the book."""
    async with book.begin() as transaction:
        await instruments_book(book).register(
            transaction,
            [
                Instrument(instrument_id=number, symbol=f"S{number}", kind="INDEX", market_class="index",
                           underlying="S", tick_size_paise=5)
                for number in INSTRUMENTS
            ],
        )  # fmt: skip
