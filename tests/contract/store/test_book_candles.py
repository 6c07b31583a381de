"""One-minute bars into the book and back. On both books."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testkit.minute_bars import INSTRUMENTS, MINUTE_NS, START_NS, bars, register

from tradebus.contracts.records import Records
from tradebus.store.book import Book
from tradebus.store.books import candles_book
from tradebus.store.store import Store


@pytest.fixture
async def filled(book: Book) -> Book:
    await register(book)
    return book


async def empty(book: Book) -> None:
    """The port deletes nothing, but every example begins with none."""
    async with book.begin() as transaction:
        if isinstance(book, Store):
            await transaction.connection.execute("DELETE FROM candles_1m")
        else:
            transaction.table("candles_1m").clear()


async def everything(book: Book, place: int) -> Records:
    return await candles_book(book).read(instrument=INSTRUMENTS[place], from_ns=0, to_ns=2**63 - 1)


MINUTES = st.one_of(st.integers(0, 40), st.integers(-20_000_000, 20_000_000))
VALUE_SEEDS = st.one_of(st.integers(0, 100), st.integers(-(2**59), 2**59))
BATCH = st.lists(st.tuples(st.integers(0, 2), MINUTES, VALUE_SEEDS), max_size=30)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(BATCH, max_size=4), copies=st.lists(st.booleans(), min_size=4, max_size=4))
async def test_what_was_upserted_last_is_what_is_read(
    filled: Book, batches: list[list[tuple[int, int, int]]], copies: list[bool]
) -> None:
    await empty(filled)
    model: dict[tuple[int, int], int] = {}
    for rows, copied in zip(batches, copies, strict=False):
        # A batch padded with one more instrument's bars is long enough to go by COPY.
        padding = [(2, 30_000_000 + number, number) for number in range(400)] if copied else []
        await candles_book(filled).upsert(bars([*rows, *padding]))
        model |= {(place, minute): seed for place, minute, seed in [*rows, *padding]}
    for place, instrument in enumerate(INSTRUMENTS):
        found = await candles_book(filled).read(instrument=instrument, from_ns=0, to_ns=2**63 - 1)
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
    filled: Book, minutes: set[int], bounds: tuple[int, int], nudge_ns: int, limit: int | None
) -> None:
    await empty(filled)
    await candles_book(filled).upsert(bars([(0, minute, minute) for minute in minutes]))
    await candles_book(filled).upsert(bars([(1, minute, minute) for minute in range(31)]))
    from_ns, to_ns = (START_NS + bound * MINUTE_NS + nudge_ns for bound in bounds)
    found = await candles_book(filled).read(instrument=INSTRUMENTS[0], from_ns=from_ns, to_ns=to_ns, limit=limit)
    within = [minute for minute in sorted(minutes) if from_ns <= START_NS + minute * MINUTE_NS < to_ns]
    newest = within if limit is None else within[max(0, len(within) - limit) :]
    assert found.tobytes() == bars([(0, minute, minute) for minute in newest]).tobytes()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=40),
    wanted=st.lists(st.integers(0, 2), max_size=4),
    bounds=st.tuples(st.integers(-1, 31), st.integers(-1, 31)),
    limit=st.one_of(st.none(), st.integers(0, 25)),
)
async def test_many_are_read_as_each_would_be(
    filled: Book, rows: set[tuple[int, int]], wanted: list[int], bounds: tuple[int, int], limit: int | None
) -> None:
    await empty(filled)
    await candles_book(filled).upsert(bars([(place, minute, minute) for place, minute in rows]))
    from_ns, to_ns = (START_NS + bound * MINUTE_NS for bound in bounds)
    found = await candles_book(filled).read_many(
        instruments=[INSTRUMENTS[place] for place in wanted], from_ns=from_ns, to_ns=to_ns, limit=limit
    )
    each = [
        await candles_book(filled).read(instrument=instrument, from_ns=from_ns, to_ns=to_ns, limit=limit)
        for instrument in sorted({INSTRUMENTS[place] for place in wanted})
    ]
    assert found.tobytes() == b"".join(one.tobytes() for one in each)


async def test_a_large_batch_goes_in_whole_and_again_without_harm(filled: Book) -> None:
    records = bars([(0, minute, minute) for minute in range(30_000)])
    for _ in range(2):
        await candles_book(filled).upsert(records)
    found = await candles_book(filled).read(instrument=INSTRUMENTS[0], from_ns=0, to_ns=2**63 - 1)
    assert found.tobytes() == records.tobytes()


@pytest.mark.parametrize("count", [5, 1000])
async def test_bars_join_the_callers_transaction(filled: Book, count: int) -> None:
    async def write_and_fail() -> None:
        async with filled.begin() as transaction:
            await candles_book(filled).upsert(bars([(0, minute, 1) for minute in range(count)]), transaction)
            found = await candles_book(filled).read(
                instrument=INSTRUMENTS[0], from_ns=0, to_ns=2**63 - 1, transaction=transaction
            )
            assert len(found) == count
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_fail()
    assert len(await everything(filled, 0)) == 0


async def test_other_timeframes_are_refused(filled: Book) -> None:
    records = bars([(0, 0, 1), (0, 5, 1)])
    records["timeframe_seconds"][1] = 300
    with pytest.raises(ValueError, match="one-minute"):
        await candles_book(filled).upsert(records)
    assert len(await everything(filled, 0)) == 0


async def test_bars_of_an_instrument_that_nobody_registered_are_refused_and_none_is_kept(filled: Book) -> None:
    records = bars([(0, 0, 1), (1, 0, 1)])
    records["instrument"][1] = 77
    with pytest.raises(Exception):  # noqa: B017, PT011 - each book in its own words
        await candles_book(filled).upsert(records)
    assert len(await everything(filled, 0)) == 0


async def test_what_is_read_is_the_readers_own(filled: Book) -> None:
    await candles_book(filled).upsert(bars([(0, 0, 1)]))
    (await everything(filled, 0))["close_paise"] = 0
    assert (await everything(filled, 0)).tobytes() == bars([(0, 0, 1)]).tobytes()


async def test_no_bars_are_no_work(filled: Book) -> None:
    await candles_book(filled).upsert(bars([]))
    assert len(await everything(filled, 0)) == 0
