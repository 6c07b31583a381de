"""One-minute bars into Postgres and back."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import CANDLE, Records
from tradebus.store.candles import decode, encode, read_candles, upsert_candles
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


MINUTES = st.one_of(st.integers(0, 40), st.integers(-20_000_000, 20_000_000))
VALUE_SEEDS = st.one_of(st.integers(0, 100), st.integers(-(2**59), 2**59))
BATCH = st.lists(st.tuples(st.integers(0, 2), MINUTES, VALUE_SEEDS), max_size=30)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(BATCH, max_size=4), copies=st.lists(st.booleans(), min_size=4, max_size=4))
async def test_what_was_upserted_last_is_what_is_read(
    filled: Store, batches: list[list[tuple[int, int, int]]], copies: list[bool]
) -> None:
    await filled.pool.execute("DELETE FROM candles_1m")
    model: dict[tuple[int, int], int] = {}
    for rows, copied in zip(batches, copies, strict=False):
        # A batch padded with one more instrument's bars is long enough to go by COPY.
        padding = [(2, 30_000_000 + number, number) for number in range(400)] if copied else []
        await upsert_candles(filled.pool, bars([*rows, *padding]))
        model |= {(place, minute): seed for place, minute, seed in [*rows, *padding]}
    for place, instrument in enumerate(INSTRUMENTS):
        found = await read_candles(filled.pool, instrument=instrument, from_ns=0, to_ns=2**63 - 1)
        expected = [(place, minute, model[owner, minute]) for owner, minute in sorted(model) if owner == place]
        assert found.tobytes() == bars(expected).tobytes()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.sets(st.integers(0, 30), max_size=20),
    bounds=st.tuples(st.integers(-1, 31), st.integers(-1, 31)),
    nudge_ns=st.sampled_from([-1, 0, 1, 999, 1000]),
    limit=st.one_of(st.none(), st.integers(0, 25)),
)
async def test_a_range_is_read_with_its_start_without_its_end_and_the_newest_of_it_when_limited(
    filled: Store, minutes: set[int], bounds: tuple[int, int], nudge_ns: int, limit: int | None
) -> None:
    await filled.pool.execute("DELETE FROM candles_1m")
    await upsert_candles(filled.pool, bars([(0, minute, minute) for minute in minutes]))
    await upsert_candles(filled.pool, bars([(1, minute, minute) for minute in range(31)]))
    from_ns, to_ns = (START_NS + bound * MINUTE_NS + nudge_ns for bound in bounds)
    found = await read_candles(filled.pool, instrument=INSTRUMENTS[0], from_ns=from_ns, to_ns=to_ns, limit=limit)
    within = [minute for minute in sorted(minutes) if from_ns <= START_NS + minute * MINUTE_NS < to_ns]
    newest = within if limit is None else within[max(0, len(within) - limit) :]
    assert found.tobytes() == bars([(0, minute, minute) for minute in newest]).tobytes()


async def test_a_large_batch_goes_in_whole_and_again_without_harm(filled: Store) -> None:
    records = bars([(0, minute, minute) for minute in range(30_000)])
    for _ in range(2):
        await upsert_candles(filled.pool, records)
    assert await filled.pool.fetchval("SELECT count(*) FROM candles_1m") == 30_000
    found = await read_candles(filled.pool, instrument=INSTRUMENTS[0], from_ns=0, to_ns=2**63 - 1)
    assert found.tobytes() == records.tobytes()


@pytest.mark.parametrize("count", [5, 1000])
async def test_bars_join_the_callers_transaction(filled: Store, count: int) -> None:
    async def write_and_fail() -> None:
        async with filled.begin() as transaction:
            await upsert_candles(transaction.connection, bars([(0, minute, 1) for minute in range(count)]))
            found = await read_candles(transaction.connection, instrument=INSTRUMENTS[0], from_ns=0, to_ns=2**63 - 1)
            assert len(found) == count
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_fail()
    assert await filled.pool.fetchval("SELECT count(*) FROM candles_1m") == 0


async def test_the_documented_view_shows_rupees_and_the_symbol(filled: Store) -> None:
    await upsert_candles(filled.pool, bars([(1, 0, 1000)]))
    row = await filled.pool.fetchrow("SELECT symbol, ts::text, open::text, close::text, volume, oi FROM candles")
    assert tuple(row) == ("S1", "2024-01-01 03:45:00+00", "70.00", "70.03", 7004, 7005)


async def test_other_timeframes_are_refused(filled: Store) -> None:
    records = bars([(0, 0, 1), (0, 5, 1)])
    records["timeframe_seconds"][1] = 300
    with pytest.raises(ValueError, match="one-minute"):
        await upsert_candles(filled.pool, records)
    assert await filled.pool.fetchval("SELECT count(*) FROM candles_1m") == 0


def test_a_stream_that_is_cut_short_is_not_taken_for_a_whole_one() -> None:
    whole = encode(bars([(0, 0, 1), (0, 1, 2)]))
    assert len(decode(whole)) == 2
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="not a complete"):
            decode(whole[:length])
