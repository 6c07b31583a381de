"""Two ways to the sandbox's Kite face: the official SDK itself, and our adapter. What both say of an order is one type.

The SDK's side has its own small tables of words, so that agreement is not an echo of the adapter's.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors

from testkit import broker_hands
from testkit.broker_hands import Facts, GatewayHand
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.calls import Pacer
from tradebus.brokers.kite import (
    KiteAccount,
    KiteClient,
    KiteEndpoints,
    KiteOrders,
    KiteReference,
    KiteSession,
    KiteSettings,
)
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, OrderRequest, Outcome, Product, Result

API_KEY = "sandboxkey"
PRODUCTS = {Product.INTRADAY: "MIS", Product.CARRY: "NRML", Product.DELIVERY: "CNC"}
_STATUSES = {
    "VALIDATION PENDING": BrokerStatus.PENDING, "AMO REQ RECEIVED": BrokerStatus.PENDING, "OPEN": BrokerStatus.OPEN,
    "TRIGGER PENDING": BrokerStatus.TRIGGER_PENDING, "COMPLETE": BrokerStatus.FILLED,
    "CANCELLED": BrokerStatus.CANCELLED, "CANCELLED AMO": BrokerStatus.CANCELLED, "REJECTED": BrokerStatus.REJECTED,
}  # fmt: skip
_UNKNOWN = (kite_errors.NetworkException, kite_errors.DataException)
Ask = broker_hands.Ask[ListedInstrument]


class SdkHand:
    """The official client, unchanged."""

    def __init__(self, url: str, token: str, *, timeout_seconds: float = 5.0) -> None:
        self.kite = KiteConnect(API_KEY, access_token=token, root=url, timeout=timeout_seconds)

    def place(self, ask: Ask) -> Outcome:
        given = {
            "price": _rupees(ask.price_paise), "trigger_price": _rupees(ask.trigger_paise), "tag": ask.tag or None,
            "market_protection": ask.protection_pct,
        }  # fmt: skip
        if ask.protection_pct is None and ask.order_type in (OrderType.MARKET, OrderType.SL_M):
            given["market_protection"] = -1
        return self.place_raw(
            variety="regular", exchange=ask.instrument.broker_segment, tradingsymbol=ask.instrument.symbol,
            transaction_type=ask.transaction.value, quantity=ask.quantity, product=PRODUCTS[ask.product],
            order_type=ask.order_type.value, **given,
        )  # fmt: skip

    def place_raw(self, **fields: Any) -> Outcome:
        """As the SDK's user writes it."""
        return _outcome(lambda: self.kite.place_order(**fields))

    def modify(
        self, order_id: str, *, quantity: int, price_paise: int | None = None, trigger_paise: int | None = None
    ) -> Outcome:
        price, trigger = _rupees(price_paise), _rupees(trigger_paise)
        return _outcome(
            lambda: self.kite.modify_order("regular", order_id, quantity=quantity, price=price, trigger_price=trigger)
        )

    def cancel(self, order_id: str) -> Outcome:
        return _outcome(lambda: self.kite.cancel_order("regular", order_id))

    def facts(self, order_id: str) -> Facts | None:
        return self._facts(lambda row: row["order_id"] == order_id)

    def find(self, tag: str) -> Facts | None:
        return self._facts(lambda row: row["tag"] == tag)

    def row(self, order_id: str) -> dict[str, Any]:
        """The order as the SDK returns it."""
        found: dict[str, Any] = next(row for row in self.kite.orders() if row["order_id"] == order_id)
        return found

    def _facts(self, wanted: Callable[[dict[str, Any]], bool]) -> Facts | None:
        row = next((row for row in self.kite.orders() if wanted(row)), None)
        if row is None:
            return None
        trades = self.kite.order_trades(row["order_id"])
        assert sum(trade["quantity"] for trade in trades) == row["filled_quantity"]
        return Facts(
            row["order_id"], row["tag"] or "", row["instrument_token"], Transaction(row["transaction_type"]),
            _STATUSES[row["status"]], row["quantity"], row["filled_quantity"],
            sum(trade["quantity"] * round(trade["average_price"] * 100) for trade in trades),
            round(row["trigger_price"] * 100) or None, row["status_message"] or "",
        )  # fmt: skip


class AdapterHand(GatewayHand):
    """Our adapter; `run` runs its coroutines."""

    def __init__(
        self, url: str, token: str, *, account: str, run: Callable[[Coroutine[Any, Any, Any]], Any],
        request_seconds: float = 5.0,
    ) -> None:  # fmt: skip
        super().__init__(account, run)
        self._listings: dict[int, ListedInstrument] = {}
        settings = KiteSettings(API_KEY, "sandbox-secret", token, KiteEndpoints.at(url))
        self.client = KiteClient(
            settings, timers=WALL_TIMERS, request_seconds=request_seconds, first_delay_seconds=0.02
        )
        # The sandbox counts by its own clock; the tests need not wait for Kite's read limits.
        self.client.quotes_pacer = self.client.history_pacer = self.client.other_pacer = Pacer(1000, timers=WALL_TIMERS)
        self.settings, self.reference = settings, KiteReference(self.client)
        self.account, self.session = (
            KiteAccount(self.client),
            KiteSession(self.client),
        )
        self.orders = self.new_orders()

    def new_orders(self) -> KiteOrders:
        """A gateway with a pace of its own."""
        return KiteOrders(
            self.client, listing_of=self.listing_of, settle_seconds=0.0, instrument_of=self.instrument_of
        )  # fmt: skip

    def listing_of(self, instrument: int) -> ListedInstrument:
        return self._listings[instrument]

    def instrument_of(self, _exchange: str, token: str) -> int | None:
        return int(token) if int(token) in self._listings else None

    def know(self, listing: ListedInstrument) -> int:
        """The instrument's small integer, which here is its token."""
        self._listings[int(listing.token)] = listing
        return int(listing.token)

    def place(self, ask: Ask) -> Outcome:
        request = OrderRequest(
            account=self.account_name, tag=ask.tag, instrument=self.know(ask.instrument), symbol=ask.instrument.symbol,
            transaction=ask.transaction, order_type=ask.order_type, quantity=ask.quantity,
            lot_size=ask.instrument.lot_size, tick_size_paise=ask.instrument.tick_size_paise, at_ns=0,
            price_paise=ask.price_paise, trigger_paise=ask.trigger_paise, market_protection_pct=ask.protection_pct,
            product=ask.product,
        )  # fmt: skip
        outcome: Outcome = self.run(self.orders.place(request))
        return outcome


def _rupees(paise: int | None) -> float | None:
    return None if paise is None else paise / 100


def _outcome(call: Callable[[], str]) -> Outcome:
    """What an exception of the SDK means for an order, by the SDK's documentation."""
    try:
        return Outcome(Result.ACCEPTED, call())
    except kite_errors.KiteException as error:
        unknown = error.code >= 500 or (isinstance(error, _UNKNOWN) and error.code != 429)
        return Outcome(Result.UNKNOWN if unknown else Result.REFUSED, reason=str(error))
    except requests.RequestException as error:
        return Outcome(Result.UNKNOWN, reason=type(error).__name__)
