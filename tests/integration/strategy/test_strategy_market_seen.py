"""Depth from md.quotes and the chain from the book reach the strategies that need them; a feed without is refused."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from testkit.strategy_days import generated_days
from testkit.strategy_service import Stage

from services.strategy.adapters.market import PostgresMarket
from services.strategy.adapters.seen import CHAIN_SECONDS_MAX, ChainReader, RunningMarketSeen
from services.strategy.adapters.tick_stream import QUOTES
from tradebus.bus.port import Outgoing
from tradebus.contracts.records import QUOTE, QUOTE_HAS_DEPTH
from tradebus.contracts.sessions import StrategySpec
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.store.store import Store
from tradebus.strategies.lane.sessions import ActiveSessions

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
    await store.pool.execute("INSERT INTO feeds VALUES (0, 'i', $1, $2)", spec, {})


def side(open_interest: int) -> dict[str, object]:
    names = ("price_paise", "bid_paise", "ask_paise", "volume", "previous_open_interest")
    return {**dict.fromkeys(names, 1), "open_interest": open_interest, "implied_volatility": None}


async def put_chain(store: Store, seen_ns: int) -> None:
    await store.pool.execute(
        "INSERT INTO option_chains VALUES ('NIFTY', $1, $2, $3)", date(2030, 1, 31),
        [{"strike_paise": 1, "call": side(100), "put": side(150)}],
        datetime.fromtimestamp(seen_ns / NANOSECONDS_PER_SECOND, UTC),
    )  # fmt: skip


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
    assert (await PostgresMarket(store).offered())[1] == date(2024, 1, 1)
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


async def test_an_old_chain_is_not_shown(store: Store) -> None:
    seen_ns = 1_700_000_000 * NANOSECONDS_PER_SECOND
    await put_chain(store, seen_ns)
    seen = RunningMarketSeen()
    await ChainReader(ActiveSessions(), PostgresMarket(store), seen).read()
    assert seen.chain_of(3, seen_ns) is None
    seen.take_chains(await PostgresMarket(store).newest(["NIFTY"]), {3: "NIFTY"})
    limit_ns = seen_ns + CHAIN_SECONDS_MAX * NANOSECONDS_PER_SECOND
    assert seen.chain_of(3, limit_ns) is not None
    assert seen.chain_of(3, limit_ns + 1) is None
