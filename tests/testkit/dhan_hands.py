"""Two ways to the sandbox's Dhan face: the official SDK itself, and our adapter. What both say of an order is one type.

The SDK's side has its own small tables of words, so that agreement is not an echo of the adapter's.
"""

from typing import Any

from dhanhq import DhanContext, dhanhq

from testkit import broker_hands
from testkit.broker_hands import Facts, GatewayHand, Loop, facts_of
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.calls import Pacer
from tradebus.brokers.dhan import (
    DhanAccount,
    DhanClient,
    DhanEndpoints,
    DhanOrders,
    DhanReference,
    DhanSession,
    DhanSettings,
)
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerOrder, BrokerStatus, OrderRequest, Outcome, Product, Result

Reply = dict[str, Any]
PRODUCTS = {Product.INTRADAY: "INTRADAY", Product.CARRY: "MARGIN", Product.DELIVERY: "CNC"}
TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.SL: "STOP_LOSS",
    OrderType.SL_M: "STOP_LOSS_MARKET",
}
_STATUSES = {
    "TRANSIT": BrokerStatus.PENDING, "PENDING": BrokerStatus.OPEN, "PART_TRADED": BrokerStatus.OPEN,
    "TRADED": BrokerStatus.FILLED, "CANCELLED": BrokerStatus.CANCELLED, "EXPIRED": BrokerStatus.CANCELLED,
    "REJECTED": BrokerStatus.REJECTED,
}  # fmt: skip
# Codes after which an order may nevertheless live: the server's own trouble, not its judgement.
_UNDECIDED = frozenset({"DH-908", "DH-909", "DH-910", None})
Ask = broker_hands.Ask[ListedInstrument]


class Listings:
    """The face's master by key and by Dhan's words; an instrument's small integer is its place in the list."""

    def __init__(self, listed: list[ListedInstrument]) -> None:
        self.listed = listed
        self._places = {(each.broker_segment, each.token): place for place, each in enumerate(listed)}
        self._keys = {str(each.key): each for each in listed}

    def __getitem__(self, key: str) -> ListedInstrument:
        return self._keys[key]

    def place_of(self, segment: str, token: str) -> int | None:
        return self._places.get((segment, token))

    def at(self, place: int) -> ListedInstrument:
        if not 0 <= place < len(self.listed):
            raise KeyError(place)
        return self.listed[place]


class SdkHand:
    """The official client, unchanged, pointed by its URL attribute."""

    def __init__(self, url: str, token: str, *, account: str, timeout_seconds: float = 5.0) -> None:
        self.context = DhanContext(account, token)
        http = self.context.get_dhan_http()
        http.base_url, http.timeout = f"{url}/v2", timeout_seconds
        self.dhan = dhanhq(self.context)

    def place(self, ask: Ask) -> Outcome:
        return outcome(
            self.dhan.place_order(
                security_id=ask.instrument.token, exchange_segment=ask.instrument.broker_segment,
                transaction_type=ask.transaction.value, quantity=ask.quantity, order_type=TYPES[ask.order_type],
                product_type=PRODUCTS[ask.product], price=_rupees(ask.price_paise),
                trigger_price=_rupees(ask.trigger_paise), tag=ask.tag,
            )
        )  # fmt: skip

    def modify(
        self, order_id: str, *, quantity: int, price_paise: int | None = None, trigger_paise: int | None = None
    ) -> Outcome:
        plain, stop = ("LIMIT", "STOP_LOSS") if price_paise else ("MARKET", "STOP_LOSS_MARKET")
        word = stop if trigger_paise else plain
        return outcome(
            self.dhan.modify_order(
                order_id, word, "ENTRY_LEG", quantity, _rupees(price_paise), _rupees(trigger_paise), 0, "DAY"
            )
        )

    def cancel(self, order_id: str) -> Outcome:
        return outcome(self.dhan.cancel_order(order_id))

    def facts(self, order_id: str) -> Facts | None:
        return self._facts(self.dhan.get_order_by_id(order_id))

    def find(self, tag: str) -> Facts | None:
        return self._facts(self.dhan.get_order_by_correlationID(tag))

    def _facts(self, reply: Reply) -> Facts | None:
        if reply["status"] != "success":
            return None
        row = reply["data"]
        trades = data(self.dhan.get_trade_book(row["orderId"]))
        assert sum(trade["tradedQuantity"] for trade in trades) == row["filledQty"]
        status = _STATUSES[row["orderStatus"]]
        if status is BrokerStatus.OPEN and row["filledQty"] == 0 and row["orderType"].startswith("STOP_LOSS"):
            status = BrokerStatus.TRIGGER_PENDING
        return Facts(
            row["orderId"], row["correlationId"], row["securityId"], Transaction(row["transactionType"]), status,
            row["quantity"], row["filledQty"],
            sum(trade["tradedQuantity"] * round(trade["tradedPrice"] * 100) for trade in trades),
            round(row["triggerPrice"] * 100) or None, row["omsErrorDescription"] or "",
        )  # fmt: skip


class AdapterHand(GatewayHand):
    """Our adapter; `run` runs its coroutines."""

    def __init__(
        self, url: str, token: str, *, account: str, listings: Listings, run: Loop, request_seconds: float = 5.0
    ) -> None:
        super().__init__(account, run)
        self._listings = listings
        self.settings = DhanSettings(client_id=account, access_token=token, endpoints=DhanEndpoints.at(url))
        self.client = DhanClient(
            self.settings, timers=WALL_TIMERS, request_seconds=request_seconds, first_delay_seconds=0.01
        )
        # The sandbox counts by its own clock; the tests need not wait for Dhan's read limits.
        self.client.quotes_pacer = self.client.history_pacer = Pacer(1000, timers=WALL_TIMERS)
        self.client.chain_pacer = self.client.other_pacer = Pacer(1000, timers=WALL_TIMERS)
        self.reference = DhanReference(self.client)
        self.account = DhanAccount(self.client)
        self.session = DhanSession(self.client)
        self.orders = DhanOrders(
            self.client, listing_of=listings.at, instrument_of=listings.place_of,
            settle_seconds=0,
        )  # fmt: skip

    def place(self, ask: Ask) -> Outcome:
        place = self._listings.place_of(ask.instrument.broker_segment, ask.instrument.token)
        request = OrderRequest(
            account=self.account_name, tag=ask.tag, instrument=-1 if place is None else place,
            symbol=ask.instrument.symbol, transaction=ask.transaction, order_type=ask.order_type, quantity=ask.quantity,
            lot_size=ask.instrument.lot_size, tick_size_paise=ask.instrument.tick_size_paise, at_ns=0,
            price_paise=ask.price_paise, trigger_paise=ask.trigger_paise, product=ask.product,
        )  # fmt: skip
        return self.run(self.orders.place(request))

    def facts_of(self, order: BrokerOrder) -> Facts:
        """Of an order as our port tells it."""
        return facts_of(order, self._listings.at(order.instrument).token)


def outcome(reply: Reply) -> Outcome:
    """What the SDK's reply means for an order: an object as remarks is Dhan's word, a text is a swallowed exception."""
    if reply["status"] == "success":
        return Outcome(Result.ACCEPTED, reply["data"]["orderId"])
    remarks = reply["remarks"]
    undecided = isinstance(remarks, str) or remarks["error_code"] in _UNDECIDED
    return Outcome(Result.UNKNOWN if undecided else Result.REFUSED, reason=str(remarks))


def data(reply: Reply) -> Any:
    """The body of a reply that must be a success."""
    assert reply["status"] == "success", reply["remarks"]
    return reply["data"]


def code(reply: Reply) -> str:
    """Dhan's error code of a reply that must be a refusal."""
    assert reply["status"] == "failure"
    assert isinstance(reply["remarks"], dict), reply["remarks"]
    return str(reply["remarks"]["error_code"])


def _rupees(paise: int | None) -> float:
    return (paise or 0) / 100
