"""Depth from md.quotes and the chain from the book reach the strategies that need them; a feed without is refused."""

from datetime import date
from pathlib import Path

import numpy as np
from testkit.strategy_days import generated_days
from testkit.strategy_service import Stage

from services.strategy.adapters.tick_stream import QUOTES
from tradebus.bus.port import Outgoing
from tradebus.contracts.records import QUOTE, QUOTE_HAS_DEPTH
from tradebus.contracts.sessions import StrategySpec
from tradebus.store.books import chains_book, feeds_book
from tradebus.store.books.chains import StoredChain
from tradebus.store.books.feeds import FeedRow
from tradebus.store.store import Store

DAY = generated_days(1, seed=5)[0]
FILE = """
from tradebus.strategies.needs import Needs
from tradebus.strategies.protocol import Strategy, StrategyParameters, hold

class Looks(Strategy[StrategyParameters]):
    NAME = "looks"
    PARAMETERS = StrategyParameters
    NEEDS = Needs(quotes=True, chain=True)

    def on_candle(self, candle, context):
        bid = context.quote and context.quote.bids[0].price_paise
        return hold(f"{bid} {context.put_call_ratio}")
"""


async def feed(store: Store, **spec: object) -> None:
    await feeds_book(store).begin(FeedRow("i", spec, {}))


def side(open_interest: int) -> dict[str, object]:
    names = ("price_paise", "bid_paise", "ask_paise", "volume", "previous_open_interest")
    return {**dict.fromkeys(names, 1), "open_interest": open_interest, "implied_volatility": None}


async def put_chain(store: Store, seen_ns: int) -> None:
    strikes = [{"strike_paise": 1, "call": side(100), "put": side(150)}]
    await chains_book(store).put(StoredChain("NIFTY", date(2030, 1, 31), strikes, seen_ns))


async def test_a_strategy_file_is_shown_the_newest_quote_and_chain(stage: Stage, store: Store, tmp_path: Path) -> None:
    stage.paced = False
    (tmp_path / "looks.py").write_text(FILE)
    first = DAY.candles[0]
    await feed(store, feed="live", broker="kite", full=["TEST"], chains=["NIFTY"])
    await put_chain(store, first.ts_open_ns)
    await stage.start_service()
    await stage.start_session([StrategySpec(name="looks", path=str(tmp_path / "looks.py"))])
    quotes = np.zeros(2, QUOTE)
    quotes["instrument"], quotes["ts_event_ns"], quotes["fields"] = 3, first.ts_open_ns, QUOTE_HAS_DEPTH
    quotes["bid_paise"][:, 0], quotes["bid_quantity"][:, 0] = (500, 505), 1
    await stage.bus.publish([Outgoing(QUOTES, "quotes", quotes.tobytes())])
    await stage.settle()
    await stage.publish_slice(DAY, first)
    await stage.turn_until(first.ts_close_ns)
    await stage.settle()
    rows = await stage.decisions(strategy="looks")
    assert [row[2] for row in rows] == ["505 1.5"]


async def test_a_recorded_market_refuses_it_and_says_who_has_it(stage: Stage, store: Store, tmp_path: Path) -> None:
    stage.paced = False
    (tmp_path / "looks.py").write_text(FILE)
    await feed(store, feed="history", **{"from": "2024-01-01"})
    await stage.start_service()
    await stage.start_session(
        [StrategySpec(name="looks", path=str(tmp_path / "looks.py"))], status="STARTING", wait=False
    )
    reason = None
    for _ in range(400):
        assert stage.component is not None
        await stage.component.turn(block_ms=20)
        reason = await store.pool.fetchval("SELECT reason FROM sessions")
        if reason:
            break
    assert "this history has no depth: feed kite, dhan or upstox in full mode has" in reason
