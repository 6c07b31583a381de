"""/alerts/orders: orders that wait for a price. The sandbox watches PRICE_WITH_VALUE; it has no indicators."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from fastapi import APIRouter, Request

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body, Caller, named_instrument
from services.sandbox.faces.dhan.fields import Fields, rupees
from services.sandbox.faces.dhan.order_requests import new_order
from services.sandbox.faces.dhan.order_rows import Row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.watching import QuoteWatcher
from services.sandbox.ports import Exchange, NewOrder, Refusal
from tradebus.contracts.instrument_key import Segment
from tradebus.kernel.time import ist_date, utc_iso

router = APIRouter()
# price before, price now, value: whether the condition is met
Comparison = Callable[[int, int, int], bool]
_OPERATORS: Mapping[str, Comparison] = {
    "CROSSING_UP": lambda before, now, value: before < value <= now,
    "CROSSING_DOWN": lambda before, now, value: before > value >= now,
    "CROSSING_ANY_SIDE": lambda before, now, value: before < value <= now or before > value >= now,
    "GREATER_THAN": lambda before, now, value: now > value,
    "LESS_THAN": lambda before, now, value: now < value,
    "GREATER_THAN_EQUAL": lambda before, now, value: now >= value,
    "LESS_THAN_EQUAL": lambda before, now, value: now <= value,
    "EQUAL": lambda before, now, value: now == value,
    "NOT_EQUAL": lambda before, now, value: now != value,
}
_FREQUENCIES = {"ONCE": False, "ALWAYS": True}
_ON_CASH = (Segment.NSE, Segment.BSE, Segment.INDEX)


@dataclass(frozen=True, slots=True)
class Condition:
    """On one share's or index' price, in paise. `last_day` is the last on which it is watched."""

    instrument: int
    holds: Comparison
    value_paise: int
    repeats: bool
    last_day: date | None
    told: Mapping[str, object]  # as the client wrote it


@dataclass
class Alert:
    alert_id: str
    account: str
    condition: Condition
    orders: tuple[NewOrder, ...]
    orders_told: list[object]
    created_ns: int
    status: str = "ACTIVE"
    triggered_ns: int | None = None
    before_paise: int = 0
    refusals: list[str] = field(default_factory=list)


class Alerts:
    """The face's own state."""

    def __init__(self, exchange: Exchange, watcher: QuoteWatcher) -> None:
        self._exchange, self._watcher = exchange, watcher
        self.held: dict[str, Alert] = {}

    def add(self, account: str, condition: Condition, orders: tuple[NewOrder, ...], told: list[object]) -> Alert:
        number = str(len(self.held) + 1)
        alert = Alert(number, account, condition, orders, told, self._exchange.now_ns)
        self.held[number] = alert
        self.watch(alert)
        return alert

    def watch(self, alert: Alert) -> None:
        """From the price of now on."""
        alert.before_paise = self._price(alert)
        self._watcher.add(f"alert {alert.alert_id}", lambda: self._look(alert))

    def get(self, account: str, alert_id: str) -> Alert:
        alert = self.held.get(alert_id)
        if alert is None or alert.account != account:
            raise DhanProblem("DH-907", f"no alert {alert_id[:20]!r}")
        return alert

    def _price(self, alert: Alert) -> int:
        return int(self._exchange.quotes["price_paise"][alert.condition.instrument])

    def _look(self, alert: Alert) -> bool:
        condition, now_ns = alert.condition, self._exchange.now_ns
        if alert.status != "ACTIVE":
            return False
        if condition.last_day is not None and ist_date(now_ns) > condition.last_day:
            alert.status = "EXPIRED"
            return False
        price, before = self._price(alert), alert.before_paise
        alert.before_paise = price
        if not condition.holds(before, price, condition.value_paise):
            return True
        alert.triggered_ns = now_ns
        if not condition.repeats:
            alert.status = "TRIGGERED"
        for order in alert.orders:
            try:
                self._exchange.place(alert.account, order)
            except Refusal as refusal:
                alert.refusals.append(refusal.text)
        return condition.repeats


@router.post("/alerts/orders")
async def place(request: Request, caller: AuthorisedCaller, body: Body) -> Row:
    condition, orders, told = _condition(caller, body), *_orders(caller, body)
    return _answer(_alerts(request).add(caller.account, condition, orders, told))


@router.put("/alerts/orders/{alert_id}")
async def modify(request: Request, caller: AuthorisedCaller, alert_id: str, body: Body) -> Row:
    alerts = _alerts(request)
    alert = alerts.get(caller.account, alert_id)
    if alert.status != "ACTIVE":
        raise DhanProblem("DH-906", f"the alert is {alert.status}")
    alert.condition = _condition(caller, body)
    if body.has("orders"):
        alert.orders, alert.orders_told = _orders(caller, body)
    alerts.watch(alert)
    return _answer(alert)


@router.delete("/alerts/orders/{alert_id}")
async def cancel(request: Request, caller: AuthorisedCaller, alert_id: str) -> Row:
    alert = _alerts(request).get(caller.account, alert_id)
    if alert.status != "ACTIVE":
        raise DhanProblem("DH-906", f"the alert is {alert.status}")
    alert.status = "CANCELLED"
    return _answer(alert)


@router.get("/alerts/orders")
async def book(request: Request, caller: AuthorisedCaller) -> list[Row]:
    return [_row(caller, alert) for alert in _alerts(request).held.values() if alert.account == caller.account]


@router.get("/alerts/orders/{alert_id}")
async def one(request: Request, caller: AuthorisedCaller, alert_id: str) -> Row:
    return _row(caller, _alerts(request).get(caller.account, alert_id))


def _alerts(request: Request) -> Alerts:
    alerts: Alerts = request.app.state.alerts
    return alerts


def _condition(caller: Caller, body: Fields) -> Condition:
    asked = body.mapping("condition")
    if asked.text("comparisonType") != "PRICE_WITH_VALUE":
        raise DhanProblem("DH-905", "comparisonType: the sandbox watches PRICE_WITH_VALUE and no indicators")
    instrument = named_instrument(caller.exchange, asked)
    if instrument.key.segment not in _ON_CASH:
        raise DhanProblem("DH-905", "conditions are supported only for equities and indices")
    last = ist_date(asked.moment_ns("expDate")) if asked.has("expDate") else None
    return Condition(
        instrument.index, asked.word("operator", _OPERATORS), asked.paise("comparingValue", None),
        asked.word("frequency", _FREQUENCIES, "ONCE"), last, asked.told(),
    )  # fmt: skip


def _orders(caller: Caller, body: Fields) -> tuple[tuple[NewOrder, ...], list[object]]:
    told = body.items("orders")
    orders = []
    for each in told:
        fields = Fields(each)
        order = new_order(fields, named_instrument(caller.exchange, fields))
        orders.append(replace(order, disclosed_quantity=fields.whole("discQuantity", 0)))
    return tuple(orders), told


def _answer(alert: Alert) -> Row:
    return {"alertId": alert.alert_id, "alertStatus": alert.status}


def _row(caller: Caller, alert: Alert) -> Row:
    last = rupees(int(caller.exchange.quotes["price_paise"][alert.condition.instrument]))
    return _answer(alert) | {
        "createdTime": utc_iso(alert.created_ns),
        "triggeredTime": utc_iso(alert.triggered_ns) if alert.triggered_ns else None,
        "lastPrice": f"{last:.2f}",
        "condition": dict(alert.condition.told),
        "orders": alert.orders_told,
    }
