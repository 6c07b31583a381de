"""The instrument master. On both books."""

import asyncio
from datetime import date

import pytest

from tradebus.contracts.instruments import Instrument
from tradebus.kernel.errors import InvalidInput
from tradebus.store.book import Book
from tradebus.store.books import instruments_book


def instrument(number: int, symbol: str, *, tick_size_paise: int | None = 5) -> Instrument:
    return Instrument(instrument_id=number, symbol=symbol, kind="FUTURE", market_class="derivative", underlying="NIFTY",
                      tick_size_paise=tick_size_paise, expiry=date(2024, 1, 25))  # fmt: skip


async def test_what_was_registered_is_loaded_with_its_aliases(book: Book) -> None:
    rows = [instrument(0, "NIFTY24JANFUT"), instrument(1, "NIFTY24FEBFUT")]
    async with book.begin() as transaction:
        told = await instruments_book(book).register(transaction, rows, aliases={"NIFTY": "NIFTY24JANFUT"})
    loaded = await instruments_book(book).load()
    assert list(loaded) == list(told) == rows
    assert loaded.aliases == told.aliases == {"NIFTY": "NIFTY24JANFUT"}
    assert loaded.find("nifty") == rows[0]


async def test_registering_again_changes_nothing_but_what_may_change(book: Book) -> None:
    for tick_size_paise in (5, None, None, 10):
        async with book.begin() as transaction:
            await instruments_book(book).register(
                transaction, [instrument(0, "A", tick_size_paise=tick_size_paise)], aliases={"B": "A"}
            )
    assert list(await instruments_book(book).load()) == [instrument(0, "A", tick_size_paise=10)]


async def test_an_alias_may_move_to_another_instrument(book: Book) -> None:
    async with book.begin() as transaction:
        await instruments_book(book).register(transaction, [instrument(0, "JAN"), instrument(1, "FEB")],
                                   aliases={"NIFTY": "JAN"})  # fmt: skip
    async with book.begin() as transaction:
        told = await instruments_book(book).register(transaction, [], aliases={"NIFTY": "FEB"})
    assert told.find("NIFTY").symbol == (await instruments_book(book).load()).find("NIFTY").symbol == "FEB"


@pytest.mark.parametrize(
    ("row", "aliases"),
    [
        (instrument(0, "B"), {}),
        (instrument(1, "A"), {}),
        (instrument(1, "NIFTY"), {}),
        (instrument(1, "B"), {"A": "B"}),
        (instrument(1, "B"), {"C": "D"}),
    ],
    ids=["id taken", "symbol has another id", "symbol is an alias", "alias is a symbol", "alias of nothing"],
)
async def test_what_would_mean_two_things_is_refused_and_nothing_is_registered(
    book: Book, row: Instrument, aliases: dict[str, str]
) -> None:
    async with book.begin() as transaction:
        await instruments_book(book).register(transaction, [instrument(0, "A")], aliases={"NIFTY": "A"})
    with pytest.raises(InvalidInput):
        async with book.begin() as transaction:
            await instruments_book(book).register(transaction, [instrument(2, "C"), row], aliases=aliases)
    assert [known.symbol for known in await instruments_book(book).load()] == ["A"]


async def test_ids_are_given_out_densely_once_and_for_ever(book: Book) -> None:
    async def register(*symbols: str) -> dict[str, int]:
        async with book.begin() as transaction:
            ids = await instruments_book(book).allocate(transaction, symbols)
            await instruments_book(book).register(transaction, [instrument(ids[name], name) for name in symbols])
        return ids

    assert await register("B", "A", "B") == {"B": 0, "A": 1}
    assert await register("C", "A") == {"C": 2, "A": 1}
    given = await asyncio.gather(*(register(f"N{number}", f"N{number + 1}") for number in range(8)))
    ids = {symbol: number for found in given for symbol, number in found.items()}
    assert sorted(ids.values()) == list(range(3, 12))
    assert all(ids[symbol] == number for found in given for symbol, number in found.items())


async def test_an_instrument_is_its_key_for_ever(book: Book) -> None:
    first = instrument(0, "NIFTY-Dec2026-26550-CE").model_copy(
        update={"instrument_key": "NFO:NIFTY:2026-12-01:26550:CE"}
    )
    async with book.begin() as transaction:
        await instruments_book(book).register(transaction, [first])
    other = first.model_copy(update={"instrument_key": "NFO:NIFTY:2026-12-08:26550:CE"})
    with pytest.raises(InvalidInput, match="is NFO:NIFTY:2026-12-01:26550:CE, and not NFO:NIFTY:2026-12-08:26550:CE"):
        async with book.begin() as transaction:
            await instruments_book(book).register(transaction, [other])
    twin = other.model_copy(update={"instrument_id": 1, "symbol": "B", "instrument_key": first.instrument_key})
    with pytest.raises(InvalidInput, match="would name both"):
        async with book.begin() as transaction:
            await instruments_book(book).register(transaction, [twin])
    assert (await instruments_book(book).load()).find("nfo:nifty:2026-12-01:26550:ce") == first
