"""Option chains: the newest of each index and expiry. On both books."""

from datetime import date, time

from tradebus.kernel.time import ist_to_ns
from tradebus.store.book import Book
from tradebus.store.books import chains_book
from tradebus.store.books.chains import StoredChain

DAY = date(2024, 1, 20)
SEEN_NS = ist_to_ns(DAY, time(10)) + 123_456_000
PAST, NEAR, FAR = date(2024, 1, 18), date(2024, 1, 25), date(2024, 2, 29)


def chain(expiry: date, *, index: str = "NIFTY", seen_ns: int = SEEN_NS, strike: int = 0) -> StoredChain:
    strikes = [{"strike_paise": strike, "call": None, "put": {"implied_volatility": 12.5}}]
    return StoredChain(index, expiry, strikes, seen_ns)


async def test_what_was_put_last_of_an_expiry_is_what_is_read_to_the_microsecond(book: Book) -> None:
    chains = chains_book(book)
    assert await chains.of_expiry("NIFTY", NEAR) is None
    await chains.put(chain(NEAR, strike=1))
    await chains.put(chain(NEAR, strike=2, seen_ns=SEEN_NS + 1999))
    await chains.put(chain(FAR, strike=3))
    assert await chains.of_expiry("NIFTY", NEAR) == chain(NEAR, strike=2, seen_ns=SEEN_NS + 1000)
    assert await chains.of_expiry("NIFTY", PAST) is None
    assert await chains.of_expiry("BANKNIFTY", NEAR) is None


async def test_the_nearest_had_not_passed_when_the_index_was_last_seen(book: Book) -> None:
    chains = chains_book(book)
    assert await chains.nearest("NIFTY") is None
    await chains.put(chain(PAST))
    assert await chains.nearest("NIFTY") == chain(PAST), "there is no other"
    for expiry in (FAR, NEAR):
        await chains.put(chain(expiry))
    await chains.put(chain(date(2024, 1, 21), index="BANKNIFTY"))
    assert await chains.nearest("NIFTY") == chain(NEAR)


async def test_an_expiry_is_near_until_its_indian_day_is_over(book: Book) -> None:
    chains = chains_book(book)
    await chains.put(chain(PAST, seen_ns=ist_to_ns(PAST, time(23, 59))))
    await chains.put(chain(NEAR, seen_ns=ist_to_ns(PAST, time(9))))
    nearest = await chains.nearest("NIFTY")
    assert nearest is not None
    assert nearest.expiry == PAST
    await chains.put(chain(NEAR, seen_ns=ist_to_ns(date(2024, 1, 19), time(0, 1))))
    nearest = await chains.nearest("NIFTY")
    assert nearest is not None
    assert nearest.expiry == NEAR


async def test_the_newest_of_each_index_is_the_one_seen_last_and_of_those_the_nearest(book: Book) -> None:
    chains = chains_book(book)
    await chains.put(chain(PAST))
    for expiry in (FAR, NEAR):
        await chains.put(chain(expiry, seen_ns=SEEN_NS + 1000))
    await chains.put(chain(FAR, index="BANKNIFTY"))
    found = await chains.newest(["BANKNIFTY", "NIFTY", "SENSEX"])
    assert found == {"NIFTY": chain(NEAR, seen_ns=SEEN_NS + 1000), "BANKNIFTY": chain(FAR, index="BANKNIFTY")}
    assert await chains.newest([]) == {}
