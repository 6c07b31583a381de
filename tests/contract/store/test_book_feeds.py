"""The feed of the market-data streams, and how far it has got. On both books."""

from tradebus.store.book import Book
from tradebus.store.books import feeds_book
from tradebus.store.books.feeds import FeedRow

SPEC = {"feed": "live", "full": ("NIFTY", "TCS"), "seed": 5, "share": 0.25, "day": None}
ROW = FeedRow("one", SPEC, {"state": "waiting"})


async def test_what_began_last_is_read_in_the_types_that_json_has(book: Book) -> None:
    feeds = feeds_book(book)
    assert await feeds.read() is None
    await feeds.begin(ROW)
    found = await feeds.read()
    assert found == FeedRow("one", {**SPEC, "full": ["NIFTY", "TCS"]}, {"state": "waiting"})
    await feeds.begin(FeedRow("two", {"feed": "history"}, {}))
    assert await feeds.read() == FeedRow("two", {"feed": "history"}, {})


async def test_progress_is_kept_beside_what_the_feed_is(book: Book) -> None:
    feeds = feeds_book(book)
    await feeds.begin(ROW)
    await feeds.progress({"state": "running", "bars": 3})
    found = await feeds.read()
    assert found is not None
    assert (found.identity, found.spec["seed"], found.status) == ("one", 5, {"state": "running", "bars": 3})


async def test_progress_makes_no_feed(book: Book) -> None:
    feeds = feeds_book(book)
    await feeds.progress({"state": "running"})
    assert await feeds.read() is None


async def test_each_shard_has_a_feed_of_its_own(book: Book) -> None:
    feeds = feeds_book(book)
    await feeds.begin(ROW, shard=1)
    assert await feeds.read() is None
    await feeds.begin(FeedRow("zero", {}, {}))
    await feeds.progress({"bars": 1}, shard=1)
    zero, one = await feeds.read(), await feeds.read(shard=1)
    assert zero is not None
    assert one is not None
    assert (zero.identity, zero.status, one.identity, one.status) == ("zero", {}, "one", {"bars": 1})


async def test_another_process_reads_it_and_what_is_read_is_the_readers_own(book: Book) -> None:
    await feeds_book(book).begin(ROW)
    found = await feeds_book(book).read()
    assert found is not None
    dict(found.spec)["full"].append("MORE")
    again = await feeds_book(book).read()
    assert again is not None
    assert again.spec["full"] == ["NIFTY", "TCS"]
