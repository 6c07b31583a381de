"""A client's desk at the sandbox's Dhan face: both hands on one account, the market's prices, and what must hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import requests

from testkit.broker_hands import Facts, Hand, Loop
from testkit.dhan_hands import AdapterHand, Ask, Listings, SdkHand
from testkit.sandbox import Box, sandbox
from tradebus.brokers.dhan import parse_instruments
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Outcome, Product, Result

STATUSES_OF_TYPE = {
    OrderType.MARKET: BrokerStatus.FILLED,
    OrderType.LIMIT: BrokerStatus.OPEN,
    OrderType.SL: BrokerStatus.TRIGGER_PENDING,
    OrderType.SL_M: BrokerStatus.TRIGGER_PENDING,
}


_PATIENCE_SECONDS = 60  # of the market


@dataclass(frozen=True, slots=True)
class Touch:
    """An instrument's market, in paise."""

    bid: int
    ask: int
    last: int
    tick: int
    lower: int
    upper: int


class Market:
    """One sandbox whose market stands still between `advance` and `shock`, with its master read by our adapter."""

    def __init__(self, box: Box, run: Loop) -> None:
        self.box, self.run = box, run
        body = requests.get(f"{box.dhan_url}/api-data/api-scrip-master-detailed.csv", timeout=10).content
        listed, left_out = parse_instruments(body)
        assert left_out == 0, "our adapter could not read every row of the face's master"
        self.listings = Listings(listed)
        self._accounts = count(1_100_000_001)
        self._desks: list[Desk] = []
        self.share = self.listings["NSE:HDFCBANK"]
        self.index = self.listings["INDEX:NIFTY"]
        self.future = next(each for each in listed if str(each.key).startswith("NFO:NIFTY:") and not each.key.right)
        self.option = self._at_the_money()

    def desk(self, hand: str = "sdk") -> "Desk":
        """A new client's, which acts with the hand named, in books that nobody has taken from yet."""
        for listing in (self.share, self.index):
            self.box.shock(self.place_in_exchange(listing), 0.0)
        self._desks.append(Desk(self, str(next(self._accounts)), hand))
        return self._desks[-1]

    def close(self) -> None:
        for desk in self._desks:
            desk.adapter.client.close()

    def place_in_exchange(self, listing: ListedInstrument) -> int:
        """The exchange's index of an instrument."""
        found = self.box.exchange.by_key(str(listing.key))
        assert found is not None
        return found.index

    def touch(self, listing: ListedInstrument) -> Touch:
        place = self.place_in_exchange(listing)
        quote = self.box.exchange.quotes[place]
        lower, upper = self.box.exchange.price_band_paise(place)
        return Touch(
            int(quote["bid_paise"][0]), int(quote["ask_paise"][0]), int(quote["price_paise"]),
            listing.tick_size_paise, lower, upper,
        )  # fmt: skip

    def advance(self, seconds: int) -> None:
        """Moves the clock in steps between which the sandbox's sockets get their turn: who lags loses batches."""
        for _ in range(2 * seconds):
            self.box.advance(0.5)

    def shock(self, listing: ListedInstrument, share: float) -> None:
        """Moves what it derives from by so much, and lets the quote follow."""
        place = self.place_in_exchange(listing)
        self.box.shock(place, share)
        shocked_ns = self.box.exchange.now_ns
        for _ in range(_PATIENCE_SECONDS):
            self.box.advance(1)
            if self.box.exchange.quotes["ts_last_trade_ns"][place] > shocked_ns:
                return
        raise AssertionError(f"{listing.symbol} did not trade for {_PATIENCE_SECONDS} s")

    def _at_the_money(self) -> ListedInstrument:
        spot = self.touch(self.index).last
        calls = [each for each in self.listings.listed if str(each.key).startswith("NFO:NIFTY:") and each.key.right]
        return min(calls, key=lambda each: (each.key.expiry, abs((each.key.strike_paise or 0) - spot), each.key.right))


class Desk:
    """One client. `hand` acts; both hands look, and must see the same."""

    def __init__(self, market: Market, account: str, hand: str) -> None:
        self.market, self.account = market, account
        self.token = market.box.token("dhan", account)
        self.sdk = SdkHand(market.box.dhan_url, self.token, account=account)
        self.adapter = AdapterHand(
            market.box.dhan_url, self.token, account=account, listings=market.listings, run=market.run
        )
        self.hand: Hand = self.sdk if hand == "sdk" else self.adapter
        self.other: Hand = self.adapter if hand == "sdk" else self.sdk

    def ask(self, listing: ListedInstrument, order_type: OrderType, **given: Any) -> Ask:
        """An order of one lot that waits (or, at the market, fills): prices twenty ticks away unless given."""
        side, touch = given.get("transaction", Transaction.BUY), self.market.touch(listing)
        away = 20 * touch.tick * (1 if side is Transaction.BUY else -1)
        made: dict[str, Any] = {"transaction": side, "quantity": listing.lot_size, "tag": "t"}
        if order_type is OrderType.LIMIT:
            made["price_paise"] = (touch.bid if side is Transaction.BUY else touch.ask) - away
        if order_type in (OrderType.SL, OrderType.SL_M):
            made["trigger_paise"] = touch.last + away
        if order_type is OrderType.SL:
            made["price_paise"] = touch.last + away + away // 4
        return Ask(listing, order_type=order_type, **(made | given))

    def place(self, ask: Ask, result: Result = Result.ACCEPTED) -> str:
        """The order's id, "" where the outcome is another."""
        found = self.hand.place(ask)
        assert found.result is result, found.reason
        return found.broker_order_id or ""

    def must(self, found: Outcome, result: Result) -> None:
        assert found.result is result, found.reason

    def facts(
        self, order_id: str, status: BrokerStatus, *, quantity: int | None = None, filled: int | None = None
    ) -> Facts:
        """Both hands' word for the order, which must be one, with what is expected of it."""
        by_sdk, by_adapter = self.sdk.facts(order_id), self.adapter.facts(order_id)
        assert by_sdk is not None
        assert by_sdk == by_adapter
        assert by_sdk.status is status, by_sdk
        assert quantity is None or by_sdk.quantity == quantity
        assert filled is None or by_sdk.filled_quantity == filled
        return by_sdk

    def refused(self, ask: Ask) -> None:
        """Both hands get a no, and there is no order."""
        self.place(ask, Result.REFUSED)
        self.must(self.other.place(ask), Result.REFUSED)
        assert self.adapter.book() == []

    def rejected(self, ask: Ask) -> None:
        """The order is in the book, and the exchange has turned it down."""
        order_id = self.place(ask)
        facts = self.facts(order_id, BrokerStatus.REJECTED, filled=0)
        assert facts.reason


def bought(desk: Desk, listing: ListedInstrument, quantity: int, product: Product = Product.INTRADAY) -> None:
    """Holds so much of it now."""
    ask = replace(desk.ask(listing, OrderType.MARKET), quantity=quantity, product=product, tag="bought")
    desk.facts(desk.place(ask), BrokerStatus.FILLED)


@contextmanager
def dhan_market(**options: Any) -> Iterator[Market]:
    """A still market without request limits."""
    run = Loop()
    try:
        with sandbox(**({"speed": 0, "limit_scale": 0, "instruments": 1200} | options)) as box:
            box.advance(2)
            market = Market(box, run)
            yield market
            market.close()
    finally:
        run.close()
