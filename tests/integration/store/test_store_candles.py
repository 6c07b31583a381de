"""Of one-minute bars what only Postgres has: the view people query, the bytes of a COPY."""

import numpy as np
import pytest

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import CANDLE, Records
from tradebus.store.candles import decode, encode, upsert_candles
from tradebus.store.instruments import register_instruments
from tradebus.store.store import Store

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


@pytest.fixture
async def filled(store: Store) -> Store:
    async with store.begin() as transaction:
        await register_instruments(
            transaction.connection,
            [
                Instrument(instrument_id=number, symbol=f"S{number}", kind="INDEX", market_class="index",
                           underlying="S", tick_size_paise=5)
                for number in INSTRUMENTS
            ],
        )  # fmt: skip
    return store


async def test_the_documented_view_shows_rupees_and_the_symbol(filled: Store) -> None:
    await upsert_candles(filled.pool, bars([(1, 0, 1000)]))
    row = await filled.pool.fetchrow("SELECT symbol, ts::text, open::text, close::text, volume, oi FROM candles")
    assert tuple(row) == ("S1", "2024-01-01 03:45:00+00", "70.00", "70.03", 7004, 7005)


def test_a_stream_that_is_cut_short_is_not_taken_for_a_whole_one() -> None:
    whole = encode(bars([(0, 0, 1), (0, 1, 2)]))
    assert len(decode(whole)) == 2
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="not a complete"):
            decode(whole[:length])
