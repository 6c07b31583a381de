"""What strategies are told of the running market: its feed, last closes, option chains. On both books."""

from datetime import date, time
from typing import Any

import numpy as np
import pytest

from services.strategy.adapters.market import RunningMarketBook
from services.strategy.adapters.seen import CHAIN_SECONDS_MAX, ChainReader, RunningMarketSeen
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import CANDLE
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns
from tradebus.store.book import Book
from tradebus.store.books import candles_book, chains_book, feeds_book, instruments_book
from tradebus.store.books.chains import StoredChain
from tradebus.store.books.feeds import FeedRow
from tradebus.strategies.lane.sessions import ActiveSessions
from tradebus.strategies.roles import Offered

SEEN_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND
EXPIRY = date(2030, 1, 31)


def side(open_interest: int) -> dict[str, object]:
    names = ("price_paise", "bid_paise", "ask_paise", "volume", "previous_open_interest")
    return {**dict.fromkeys(names, 1), "open_interest": open_interest, "implied_volatility": None}


def chain(index: str, strikes: Any) -> StoredChain:
    return StoredChain(index, EXPIRY, strikes, SEEN_NS)


STRIKES = [{"strike_paise": 1, "call": side(100), "put": side(150)}]


@pytest.mark.parametrize(
    ("spec", "offered"),
    [
        (None, (Offered("the feed", depth=None, chains=None), None)),
        ({"feed": "history", "from": "2024-01-01"}, (Offered("this history"), date(2024, 1, 1))),
        ({"feed": "generated", "from": "2024-01-05"}, (Offered("the generated market"), date(2024, 1, 5))),
        ({"feed": "something"}, (Offered("this feed"), None)),
        (
            {"feed": "live", "broker": "kite", "full": ["TCS"], "chains": ["NIFTY"], "day": "2026-12-07"},
            (Offered("feed kite", frozenset({"TCS"}), frozenset({"NIFTY"})), None),
        ),
    ],
)
async def test_the_feed_brings_what_its_row_says(book: Book, spec: dict[str, Any] | None, offered: object) -> None:
    if spec is not None:
        await feeds_book(book).begin(FeedRow("i", spec, {}))
    assert await RunningMarketBook(book).offered() == offered


async def test_the_last_close_before_a_day_is_told_where_there_is_one(book: Book) -> None:
    monday, tuesday = date(2024, 1, 8), date(2024, 1, 9)
    rows = [
        Instrument(
            instrument_id=number, symbol=f"S{number}", kind="EQUITY", market_class="equity_fno",
            underlying=f"S{number}", tick_size_paise=5,
        )
        for number in (1, 2, 3)
    ]  # fmt: skip
    async with book.begin() as transaction:
        await instruments_book(book).register(transaction, rows)
    bars = np.zeros(4, CANDLE)
    bars["instrument"], bars["timeframe_seconds"] = (1, 1, 1, 2), 60
    bars["close_paise"] = (100, 110, 120, 200)
    bars["ts_open_ns"] = [
        ist_to_ns(monday, time(15, 28)), ist_to_ns(monday, time(15, 29)), ist_to_ns(tuesday, time(9, 15)),
        ist_to_ns(tuesday, time(9, 15)),
    ]  # fmt: skip
    bars["ts_close_ns"] = bars["ts_open_ns"] + 60 * NANOSECONDS_PER_SECOND
    await candles_book(book).upsert(bars)
    market = RunningMarketBook(book)
    assert await market.closes_paise([1, 2, 3], day=tuesday) == {1: 110}
    assert await market.closes_paise([1, 2, 3], day=date(2024, 1, 10)) == {1: 120, 2: 200}


async def test_a_chain_that_cannot_be_read_keeps_no_other_back(book: Book) -> None:
    chains = chains_book(book)
    await chains.put(chain("NIFTY", STRIKES))
    await chains.put(chain("BANKNIFTY", [{"strike_paise": 1}]))
    await chains.put(chain("SENSEX", STRIKES))
    found = await RunningMarketBook(book).newest(["NIFTY", "BANKNIFTY"])
    assert list(found) == ["NIFTY"]
    assert (found["NIFTY"].seen_ns, found["NIFTY"].expiry) == (SEEN_NS, EXPIRY)


async def test_an_old_chain_is_not_shown(book: Book) -> None:
    await chains_book(book).put(chain("NIFTY", STRIKES))
    market, seen = RunningMarketBook(book), RunningMarketSeen()
    await ChainReader(ActiveSessions(), market, seen).read()
    assert seen.chain_of(3, SEEN_NS) is None
    seen.take_chains(await market.newest(["NIFTY"]), {3: "NIFTY"})
    limit_ns = SEEN_NS + CHAIN_SECONDS_MAX * NANOSECONDS_PER_SECOND
    assert seen.chain_of(3, limit_ns) is not None
    assert seen.chain_of(3, limit_ns + 1) is None
