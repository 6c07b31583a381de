"""Two ways to the sandbox's Upstox face: the official SDK itself, and our adapter. Both say what they see as one type.

The SDK's side has its own small tables of words, so that agreement is not an echo of the adapter's.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import upstox_client
from upstox_client.rest import ApiException

from services.sandbox.ports import SandboxInstrument
from testkit import broker_hands
from testkit.broker_hands import Facts, GatewayHand
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.calls import Pacer
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.upstox import (
    UpstoxAccount,
    UpstoxClient,
    UpstoxEndpoints,
    UpstoxOrders,
    UpstoxReference,
    UpstoxSession,
    UpstoxSettings,
)
from tradebus.contracts.orders import Transaction
from tradebus.trading.orders import BrokerStatus, OrderRequest, Outcome, Product, Result

API_KEY = "sandboxkey"
VERSION = "2.0"
PRODUCTS = {Product.INTRADAY: "I", Product.CARRY: "D", Product.DELIVERY: "D"}
_STATUSES = {
    "validation pending": BrokerStatus.PENDING, "after market order req received": BrokerStatus.PENDING,
    "open": BrokerStatus.OPEN, "trigger pending": BrokerStatus.TRIGGER_PENDING, "complete": BrokerStatus.FILLED,
    "cancelled": BrokerStatus.CANCELLED, "cancelled after market order": BrokerStatus.CANCELLED,
    "rejected": BrokerStatus.REJECTED,
}  # fmt: skip
Ask = broker_hands.Ask[SandboxInstrument]


def listing_of(instrument: SandboxInstrument) -> ListedInstrument:
    """As our adapter's master has it."""
    return ListedInstrument(
        instrument.key, instrument.upstox_key, instrument.upstox_key.partition("|")[0], instrument.symbol,
        instrument.lot_size, instrument.tick_size_paise, instrument.freeze_quantity,
    )  # fmt: skip


def sdk_client(url: str, token: str) -> upstox_client.ApiClient:
    """The official client, pointed at the sandbox.

    `Configuration()` gives out copies of the first one ever made, so every address is set on the copy and looked at.
    """
    configuration = upstox_client.Configuration()
    configuration.access_token = token
    configuration.host = configuration.order_host = url
    client = upstox_client.ApiClient(configuration)
    assert client.configuration.host == client.configuration.order_host == url, "orders would go to the real host"
    return client


class SdkHand:
    """The official client, unchanged. `instruments` are the exchange's, to name what a key stands for."""

    def __init__(self, client: upstox_client.ApiClient, instruments: Sequence[SandboxInstrument]) -> None:
        self.client = client
        self._by_key = {item.upstox_key: item.index for item in instruments}
        self.v3, self.v2 = upstox_client.OrderApiV3(client), upstox_client.OrderApi(client)

    def place(self, ask: Ask) -> Outcome:
        return _outcome(lambda: self.place_raw(self.request(ask)).data.order_ids[0])

    def request(self, ask: Ask, **more: Any) -> upstox_client.PlaceOrderV3Request:
        given = {
            "quantity": ask.quantity, "product": PRODUCTS[ask.product], "validity": "DAY",
            "price": (ask.price_paise or 0) / 100, "tag": ask.tag or None, "slice": False,
            "instrument_token": ask.instrument.upstox_key, "order_type": ask.order_type.value,
            "transaction_type": ask.transaction.value, "disclosed_quantity": 0,
            "trigger_price": (ask.trigger_paise or 0) / 100, "is_amo": False,
            "market_protection": ask.protection_pct,
        }  # fmt: skip
        return upstox_client.PlaceOrderV3Request(**{**given, **more})

    def place_raw(self, request: upstox_client.PlaceOrderV3Request) -> Any:
        return self.v3.place_order(request, _request_timeout=5)

    def modify(
        self, order_id: str, *, quantity: int, price_paise: int | None = None, trigger_paise: int | None = None
    ) -> Outcome:
        row = self.row(order_id)
        order_type = row.order_type
        request = upstox_client.ModifyOrderRequest(
            quantity=quantity, validity=row.validity, order_id=order_id, order_type=order_type,
            price=row.price if price_paise is None else price_paise / 100, disclosed_quantity=0,
            trigger_price=row.trigger_price if trigger_paise is None else trigger_paise / 100,
        )  # fmt: skip
        return _outcome(lambda: self.v3.modify_order(request).data.order_id)

    def cancel(self, order_id: str) -> Outcome:
        return _outcome(lambda: self.v3.cancel_order(order_id).data.order_id)

    def row(self, order_id: str) -> Any:
        """The order as the SDK returns it."""
        return self.v2.get_order_status(order_id=order_id).data

    def rows(self) -> list[Any]:
        return self.v2.get_order_book(VERSION).data

    def facts(self, order_id: str) -> Facts | None:
        return self._facts(lambda row: row.order_id == order_id)

    def find(self, tag: str) -> Facts | None:
        return self._facts(lambda row: row.tag == tag)

    def _facts(self, wanted: Callable[[Any], bool]) -> Facts | None:
        row = next((row for row in self.rows() if wanted(row)), None)
        if row is None:
            return None
        trades = self.v2.get_trades_by_order(row.order_id, VERSION).data
        assert sum(trade.quantity for trade in trades) == row.filled_quantity
        return Facts(
            row.order_id, row.tag or "", self._by_key[row.instrument_token], Transaction(row.transaction_type),
            _STATUSES[row.status], row.quantity, row.filled_quantity,
            sum(trade.quantity * round(trade.average_price * 100) for trade in trades),
            round(row.trigger_price * 100) or None, row.status_message or "",
        )  # fmt: skip


class AdapterHand(GatewayHand):
    """Our adapter; `run` runs its coroutines."""

    def __init__(
        self, url: str, token: str, *, account: str, instruments: Sequence[SandboxInstrument],
        run: Callable[[Coroutine[Any, Any, Any]], Any], request_seconds: float = 5.0,
    ) -> None:  # fmt: skip
        super().__init__(account, run)
        by_key = {item.upstox_key: item.index for item in instruments}
        self.settings = UpstoxSettings(
            api_key=API_KEY, api_secret="sandbox-secret", access_token=token, endpoints=UpstoxEndpoints.at(url)
        )
        self.client = UpstoxClient(
            self.settings, timers=WALL_TIMERS, request_seconds=request_seconds, first_delay_seconds=0.02
        )
        self.client.pacer = Pacer(1000, timers=WALL_TIMERS)  # the sandbox counts by its own clock
        self.reference = UpstoxReference(self.client)
        self.account = UpstoxAccount(self.client)
        self.session = UpstoxSession(self.client)
        self.orders = UpstoxOrders(
            self.client, listing_of=lambda index: listing_of(instruments[index]),
            instrument_of=lambda _segment, key: by_key.get(key), settle_seconds=0.0,
        )  # fmt: skip

    def place(self, ask: Ask) -> Outcome:
        item = ask.instrument
        request = OrderRequest(
            account=self.account_name, tag=ask.tag, instrument=item.index, symbol=item.symbol,
            transaction=ask.transaction, order_type=ask.order_type, quantity=ask.quantity, lot_size=item.lot_size,
            tick_size_paise=item.tick_size_paise, at_ns=0, price_paise=ask.price_paise,
            trigger_paise=ask.trigger_paise, market_protection_pct=ask.protection_pct, product=ask.product,
        )  # fmt: skip
        outcome: Outcome = self.run(self.orders.place(request))
        return outcome


def _outcome(call: Callable[[], str]) -> Outcome:
    """What an exception of the SDK means for an order."""
    try:
        return Outcome(Result.ACCEPTED, call())
    except ApiException as error:
        unknown = error.status >= 500 or error.status == 0
        return Outcome(Result.UNKNOWN if unknown else Result.REFUSED, reason=str(error.body))
    except Exception as error:  # the generated client lets out whatever its parts raise
        return Outcome(Result.UNKNOWN, reason=type(error).__name__)
