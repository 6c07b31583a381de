"""A broker in this process behind the ports: a master, a history, a feed that is fed by hand, an order book."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from tradebus.brokers.account import AccountMargins, BasketOrder, BrokerHolding, NetPosition, SessionState
from tradebus.brokers.audit.server_clock import ClockOffset
from tradebus.brokers.credentials import Credential
from tradebus.brokers.errors import BrokerError, NoAnswer, Refused
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.reference import ListedInstrument, OptionChain, PriceBand
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.contracts.records import (
    CANDLE,
    QUOTE,
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_EXCHANGE_TIME,
    QUOTE_HAS_PRICE,
    QUOTE_HAS_VOLUME,
    Records,
)
from tradebus.trading.orders import (
    BrokerFill,
    BrokerOrder,
    BrokerStatus,
    Lookup,
    OrderModification,
    OrderRequest,
    Outcome,
    Result,
)

NOVEMBER, DECEMBER = date(2026, 11, 30), date(2026, 12, 29)


def listing(key: InstrumentKey, symbol: str, token: int, *, lot=1, tick=5, freeze=None) -> ListedInstrument:
    return ListedInstrument(key, str(token), key.segment.value, symbol, lot, tick, freeze)


MASTER = [
    listing(InstrumentKey(Segment.INDEX, "NIFTY"), "NIFTY 50", 256265),
    listing(InstrumentKey(Segment.NSE, "RELIANCE"), "RELIANCE", 738561),
    listing(InstrumentKey(Segment.NSE, "SMALLCO"), "SMALLCO", 11),
    listing(InstrumentKey(Segment.NFO, "NIFTY", DECEMBER), "NIFTY26DECFUT", 502, lot=65, tick=10, freeze=1800),
    listing(InstrumentKey(Segment.NFO, "NIFTY", NOVEMBER), "NIFTY26NOVFUT", 501, lot=65, tick=10, freeze=1800),
    listing(InstrumentKey(Segment.NFO, "RELIANCE", NOVEMBER), "RELIANCE26NOVFUT", 503, lot=500),
    listing(
        InstrumentKey(Segment.NFO, "NIFTY", NOVEMBER, 2_600_000, Right.CALL), "NIFTY26NOV26000CE", 504, lot=65,
        freeze=1800,
    ),
]  # fmt: skip


def weeklies() -> list[ListedInstrument]:
    """Five contracts that Dhan gives one symbol, the farthest first."""
    return [
        listing(
            InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, day), 2_655_000, Right.CALL), "NIFTY-Dec2026-26550-CE",
            50_000 + day, lot=65,
        )
        for day in (29, 22, 15, 8, 1)
    ]  # fmt: skip


def quotes(instrument: int, times_ns: Sequence[int], prices: Sequence[int], *, volume: int = 0, timed=True) -> Records:
    rows = np.zeros(len(prices), QUOTE)
    rows["ts_event_ns"] = times_ns
    rows["ts_received_ns"] = times_ns
    rows["price_paise"] = prices
    rows["bid_paise"][:, 0] = np.asarray(prices) - 5
    rows["ask_paise"][:, 0] = np.asarray(prices) + 5
    rows["volume_cumulative"] = volume + 10 * np.arange(1, len(prices) + 1)
    rows["instrument"] = instrument
    rows["fields"] = QUOTE_HAS_PRICE | QUOTE_HAS_VOLUME | QUOTE_HAS_DEPTH | (QUOTE_HAS_EXCHANGE_TIME if timed else 0)
    return rows


def minute_candles(start_ns: int, prices: Sequence[int]) -> Records:
    rows = np.zeros(len(prices), CANDLE)
    rows["ts_open_ns"] = start_ns + np.arange(len(prices)) * 60_000_000_000
    rows["ts_close_ns"] = rows["ts_open_ns"] + 60_000_000_000
    for name in ("open_paise", "high_paise", "low_paise", "close_paise"):
        rows[name] = prices
    rows["volume"] = 100
    rows["timeframe_seconds"] = 60
    return rows


class FakeFeed:
    def __init__(self, broker: "FakeBroker") -> None:
        self.broker = broker
        self.items: asyncio.Queue[Records | FeedEvent | None] = asyncio.Queue()
        self.subscribed: dict[int, ListedInstrument] = {}
        self.modes: dict[int, FeedMode] = {}
        self.asked: list[list[int]] = []  # the instruments of each request

    async def subscribe(self, instruments: Mapping[int, ListedInstrument], mode: FeedMode) -> None:
        self.modes |= dict.fromkeys(instruments, mode)
        self.asked.append(sorted(instruments))
        if self.subscribed:
            self.subscribed.update(instruments)
            return
        self.subscribed.update(instruments)
        self.items.put_nowait(FeedEvent(FeedEventKind.CONNECTED, "fake"))

    async def unsubscribe(self, instruments: Sequence[int]) -> None:
        for instrument in instruments:
            self.subscribed.pop(instrument, None)

    async def batches(self) -> AsyncIterator[Records | FeedEvent]:
        while (item := await self.items.get()) is not None:
            yield item

    async def close(self) -> None:
        self.items.put_nowait(None)


class FakeUpdates:
    def __init__(self) -> None:
        self.items: asyncio.Queue[BrokerOrder | FeedEvent | None] = asyncio.Queue()

    async def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]:
        yield FeedEvent(FeedEventKind.CONNECTED, "fake")
        while (item := await self.items.get()) is not None:
            yield item

    async def close(self) -> None:
        self.items.put_nowait(None)


class FakeReference:
    def __init__(self, broker: "FakeBroker") -> None:
        self.broker = broker

    async def instruments(self) -> Sequence[ListedInstrument]:
        if self.broker.error is not None:
            raise self.broker.error
        return self.broker.master

    async def history(
        self, instrument: ListedInstrument, *, timeframe_seconds: int, from_ns: int, to_ns: int
    ) -> Records:
        await self.broker.history_answers.wait()
        if self.broker.error is not None:
            raise self.broker.error
        found = self.broker.candles.get(instrument.symbol, np.empty(0, CANDLE))
        return found[(found["ts_open_ns"] >= from_ns) & (found["ts_open_ns"] < to_ns)]

    async def quotes(self, instruments: Sequence[ListedInstrument]) -> Records:
        return np.concatenate([quotes(index, [1], [10_000]) for index, _ in enumerate(instruments)])

    async def price_bands(self, instruments: Sequence[ListedInstrument]) -> dict[int, PriceBand]:
        self.broker.bands_asked += 1
        if self.broker.bands is None:
            raise UNREACHABLE
        found = enumerate(self.broker.bands.get(one.symbol) for one in instruments)
        return {place: band for place, band in found if band is not None}

    async def expiries(self, underlying: ListedInstrument) -> Sequence[date]:
        return [NOVEMBER, DECEMBER]

    async def option_chain(self, underlying: ListedInstrument, expiry: date) -> OptionChain:
        return OptionChain(underlying.key, expiry, 10_000, ())


class FakeAccount:
    def __init__(self, broker: "FakeBroker") -> None:
        self.broker = broker

    async def margins(self) -> AccountMargins:
        self.broker.margins_asked += 1
        if self.broker.margins is None:
            raise UNREACHABLE
        return self.broker.margins

    async def basket_margin_paise(self, orders: Sequence[BasketOrder]) -> int:
        self.broker.baskets.append(orders)
        if self.broker.basket_margin_paise is None:
            raise UNREACHABLE
        return self.broker.basket_margin_paise

    async def kill_switch_engaged(self) -> bool | None:
        return self.broker.switched_off

    async def engage_kill_switch(self) -> None:
        if self.broker.switch_refused:
            raise Refused(self.broker.name, self.broker.switch_refused)
        self.broker.switched_off = True

    async def positions(self) -> Sequence[NetPosition]:
        self.broker.positions_asked += 1
        await self.broker.positions_answers.wait()
        return self.broker.book.positions()

    async def holdings(self) -> Sequence[BrokerHolding]:
        return []

    async def registered_addresses(self) -> Sequence[str] | None:
        return self.broker.addresses


class FakeSession:
    state = SessionState.VALID
    account = ""

    async def check(self) -> SessionState:
        return self.state

    def login_url(self, *, redirect: str = "", state: str = "") -> str | None:
        return "http://127.0.0.1:1/login"

    async def complete_login(self, answer: str) -> str:
        return f"token-for-{answer}"


class FakeBook:
    """One account's orders at the broker. `lose` makes the next placements end without an answer, after or before
    they reached the book; `readable` False makes the book unreadable, `positions_readable` the positions; `refused` is
    why nothing is placed, `changes_refused` why nothing is changed;
    `answering` is cleared while look-ups hang; `cancels_lost` is how many cancellations are accepted and forgotten."""

    def __init__(self) -> None:
        self.orders: dict[str, BrokerOrder] = {}
        self.requests: list[OrderRequest] = []
        self.changes: list[OrderModification] = []  # asked for
        self.lose: list[str] = []  # "after" or "before", one per placement
        self.readable = self.positions_readable = True
        self.refused = self.changes_refused = ""
        self.cancels_lost = 0
        self.answering = asyncio.Event()
        self.answering.set()
        self.known = None
        self.hand_made: list[NetPosition] = []
        self.definitive = True

    async def place(self, request: OrderRequest) -> Outcome:
        self.requests.append(request)
        if self.refused:
            return Outcome(Result.REFUSED, reason=self.refused)
        word = self.lose.pop(0) if self.lose else ""
        if word == "before":
            return Outcome(Result.UNKNOWN, reason="timeout")
        number = f"B{len(self.orders) + 1:04d}"
        waits = request.order_type in (OrderType.SL, OrderType.SL_M, OrderType.GTT)
        self.orders[number] = BrokerOrder(
            number, request.tag, request.account, request.instrument, request.transaction,
            BrokerStatus.TRIGGER_PENDING if waits else BrokerStatus.OPEN, request.quantity, 0, request.trigger_paise,
            (), request.at_ns,
        )  # fmt: skip
        if word == "after":
            return Outcome(Result.UNKNOWN, reason="timeout")
        return Outcome(Result.ACCEPTED, number)

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        self.changes.append(change)
        order = self.orders[broker_order_id]
        if order.status.final or self.changes_refused:
            return Outcome(Result.REFUSED, reason=self.changes_refused or "ended")
        waits = order.status is BrokerStatus.TRIGGER_PENDING and change.trigger_paise
        self.orders[broker_order_id] = replace(
            order, quantity=change.quantity, trigger_paise=change.trigger_paise,
            status=order.status if waits else BrokerStatus.OPEN,
        )  # fmt: skip
        return Outcome(Result.ACCEPTED, broker_order_id)

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        order = self.orders[broker_order_id]
        if order.status.final:
            return Outcome(Result.REFUSED, reason="ended")
        if self.cancels_lost:
            self.cancels_lost -= 1
            return Outcome(Result.ACCEPTED, broker_order_id)
        self.orders[broker_order_id] = replace(order, status=BrokerStatus.CANCELLED, as_of_ns=at_ns)
        return Outcome(Result.ACCEPTED, broker_order_id)

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        found = [order for order in self.orders.values() if order.tag == tag]
        await self.answering.wait()
        return Lookup(found[0] if found else None, definitive=self.definitive)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        return list(self.orders.values()) if self.readable else None

    def fill(self, broker_order_id: str, price_paise: int, *, at_ns: int, quantity: int | None = None) -> BrokerOrder:
        order = self.orders[broker_order_id]
        taken = order.quantity - order.filled_quantity if quantity is None else quantity
        fill = BrokerFill(f"{broker_order_id}-{len(order.fills)}", taken, price_paise, at_ns)
        filled = order.filled_quantity + taken
        status = BrokerStatus.FILLED if filled == order.quantity else BrokerStatus.OPEN
        self.orders[broker_order_id] = replace(
            order, status=status, filled_quantity=filled, fills=(*order.fills, fill), as_of_ns=at_ns
        )
        return self.orders[broker_order_id]

    def positions(self) -> list[NetPosition]:
        if not self.positions_readable:
            raise UNREACHABLE
        net: dict[int, int] = {}
        for order in self.orders.values():
            sign = 1 if order.transaction is Transaction.BUY else -1
            net[order.instrument] = net.get(order.instrument, 0) + sign * order.filled_quantity
        found = [
            NetPosition(*self._named(instrument), "INTRADAY", quantity, 0, 0, 0, 0, 0)
            for instrument, quantity in net.items()
        ]
        return [*found, *self.hand_made]

    def _named(self, instrument: int) -> tuple[str, str, str]:
        row = self.known.listing_of(instrument)
        return row.token, row.broker_segment, row.symbol


class FakeBroker:
    """Made by `open_fake(broker)`; keeps what the services asked of it. One login of it, by its `client_id`."""

    def __init__(
        self, name: str = "kite", master: Sequence[ListedInstrument] = MASTER, *, client_id: str = "key"
    ) -> None:
        self.name, self.master, self.client_id = name, list(master), client_id
        self.candles: dict[str, Records] = {}
        self.history_answers = asyncio.Event()  # cleared while history hangs
        self.history_answers.set()
        self.positions_answers = asyncio.Event()  # likewise of positions
        self.positions_answers.set()
        self.error: BrokerError | None = None
        self.feeds: list[FakeFeed] = []
        self.streams: list[FakeUpdates] = []
        self.book = FakeBook()
        self.credentials: list[Credential] = []
        self.offset: ClockOffset | None = ClockOffset(-1, 1)
        self.addresses: Sequence[str] | None = None
        self.margins: AccountMargins | None = AccountMargins(10**12, 0)  # None: they cannot be read
        self.basket_margin_paise: int | None = None  # None: it cannot be read
        self.baskets: list[Sequence[BasketOrder]] = []  # as they were asked for
        self.switched_off, self.switch_refused = False, ""  # its own kill switch, and why it does not engage it
        self.margins_asked = self.bands_asked = self.positions_asked = 0
        self.bands: dict[str, PriceBand] | None = {}  # by symbol; None: they cannot be read
        self.reference, self.account, self.session = FakeReference(self), FakeAccount(self), FakeSession()

    def clock_offset(self) -> ClockOffset | None:
        return self.offset

    def feed(self) -> FakeFeed:
        self.feeds.append(FakeFeed(self))
        return self.feeds[-1]

    def orders(self, known) -> FakeBook:
        self.book.known = known
        return self.book

    def updates(self, known) -> FakeUpdates:
        self.streams.append(FakeUpdates())
        return self.streams[-1]

    def close(self) -> None:
        return None

    def tell(self, order: BrokerOrder) -> None:
        self.streams[-1].items.put_nowait(order)


def opening(*brokers: FakeBroker):
    """An `open_broker` that knows these."""
    by_login = {(broker.name, broker.client_id): broker for broker in brokers}

    def open_fake(
        name: str, credential: Credential, *, url: str = "", timers, log, refresh=None, clock=None
    ) -> FakeBroker:
        opened = by_login.get((name, credential.client_id)) or by_login[name, "key"]
        opened.credentials.append(credential)
        return opened

    return open_fake


UNREACHABLE = NoAnswer("kite", "no answer in 10 s")
