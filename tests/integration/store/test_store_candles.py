"""Of one-minute bars what only Postgres has: the view people query, the bytes of a COPY."""

import pytest
from testkit.minute_bars import bars, register

from tradebus.store.candles import decode, encode, upsert_candles
from tradebus.store.store import Store


@pytest.fixture
async def filled(store: Store) -> Store:
    await register(store)
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
