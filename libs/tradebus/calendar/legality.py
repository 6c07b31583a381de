"""What the exchange accepts at an instant (SPEC 4, 10): the one answer that risk, execution, paper and the sandbox
ask for.

The rules are asked in the order of the table and the first that refuses decides:

    not_tradable         an index is watched, not traded
    contract_expired     its last day is over, or its trading on it
    market_closed        no session that day
    outside_session      before the first phase, after the last, or in the break of a two-window session
    order_entry_pause    phases in which nothing is accepted: reference price, matching
    pre_open             orders of types that gather before the open; we open no position there
    closing_auction      the same after continuous trading; stops never, nor IOC orders and disclosed quantities
    auction_band         a price outside the closing auction's band around its reference price
    post_close           the session at the closing price: nothing is entered in it
    market_protection    2026-04-01: MARKET and SL-M orders from an API need market protection
    option_stop_market   2021-09-27: no SL-M orders in options: their stop is an SL order with a limit
    quantity             not positive
    lot_size             not a multiple of the contract's lot
    freeze_quantity      more than one order may have
    price, trigger       missing or not positive where the type needs one
    tick_size            a price off the contract's tick
    stop_limit           a stop's limit on the wrong side of its trigger
    price_protection     an option's limit so far from the price it is measured from that it dies when it matches

Invariants, property-tested: the answer depends on nothing but the arguments and the rules; protection never makes a
legal order illegal; on a day without a session nothing is legal; what is legal is legal in each of its parts.
"""

from dataclasses import dataclass
from datetime import date

from tradebus.calendar.rows import MarketClass, Phase
from tradebus.calendar.rules import begun, current
from tradebus.calendar.sessions import TradingSession, session_for
from tradebus.calendar.terms import Contract, session_of
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.kernel.time import ist_date, ist_time

_PRICED = (OrderType.LIMIT, OrderType.SL)
_TRIGGERED = (OrderType.SL, OrderType.SL_M)
AUCTION_PHASES = (Phase.AUCTION, Phase.AUCTION_LIMIT)  # in which orders gather for the close
_PRE_OPEN = (Phase.PRE_OPEN, Phase.PRE_OPEN_LIMIT)


@dataclass(frozen=True, slots=True)
class Legality:
    """`rule` is the rule that refused, "all_passed" where none did; `detail` is for people."""

    allowed: bool
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """An order before it leaves. Prices in paise, quantity in units, None where the type has none.

    `has_protection` says whether a MARKET or SL-M order carries market protection. `reference_paise` is the price that
    bands are measured from, where one is known: an option's average price for its protection, whose stop's is its
    trigger; the reference price of a stock's closing auction.
    """

    role: OrderRole
    transaction: Transaction
    order_type: OrderType
    quantity: int
    price_paise: int | None = None
    trigger_paise: int | None = None
    has_protection: bool = False
    reference_paise: int | None = None
    is_ioc: bool = False
    disclosed_quantity: int = 0


_LEGAL = Legality(True, "all_passed", "")


def order_legal(contract: Contract, order: ProposedOrder, *, ts_ns: int) -> Legality:
    """Whether the exchange would accept a new order, or a changed one, at `ts_ns`. Raises InvalidInput for an unknown
    market class and for days before the rules."""
    return time_legal(contract, order, ts_ns=ts_ns) or values_legal(contract, order, day=ist_date(ts_ns)) or _LEGAL


def time_legal(contract: Contract, order: ProposedOrder, *, ts_ns: int) -> Legality | None:
    """What stands against the order at this instant whatever it asks for, None where nothing does."""
    day = ist_date(ts_ns)
    if contract.market_class == MarketClass.INDEX:
        return _refused("not_tradable", f"{contract.symbol} is an index and cannot be traded")
    if contract.expiry is not None and contract.expiry < day:
        return _refused("contract_expired", f"{contract.symbol} has expired on {contract.expiry}")
    session = session_of(contract, day)
    if session is None:
        return _refused("market_closed", f"no session on {day}")
    return None if session.contains(ts_ns) else _outside(contract, session, order, ts_ns)


def values_legal(contract: Contract, order: ProposedOrder, *, day: date) -> Legality | None:
    """What stands against the order's type, quantity and prices on that day, None where nothing does."""
    return (
        _type_refusal(contract, order, day)
        or _quantity_refusal(contract, order)
        or _price_refusal(contract, order)
        or _protection_refusal(contract, order, day)
    )


def _refused(rule: str, detail: str) -> Legality:
    return Legality(False, rule, detail)


def _outside(contract: Contract, session: TradingSession, order: ProposedOrder, ts_ns: int) -> Legality | None:
    window = session.window_at(ts_ns)
    if window is None:
        own = session_for(session.day, session.market_class)
        if contract.expiry == session.day and own is not None and session.close_ns <= ts_ns < own.close_ns:
            detail = f"{contract.symbol} stopped trading at {_clock(session.close_ns)}, on its last day"
            return _refused("contract_expired", detail)
        detail = f"{ist_time(ts_ns):%H:%M:%S} is outside continuous trading ({session.label})"
        return _refused("outside_session", detail)
    if window.phase is Phase.POST_CLOSE:
        detail = f"nothing is entered in the post-close session ({_clock(window.start_ns)} to {_clock(window.end_ns)})"
        return _refused("post_close", detail)
    if not window.order_types:
        return _refused("order_entry_pause", f"no order entry until {_clock(window.end_ns)} ({window.phase})")
    if order.role is not OrderRole.EXIT or order.order_type not in window.order_types:
        rule = "pre_open" if window.phase in _PRE_OPEN else "closing_auction"
        return _refused(rule, f"a {order.role} {order.order_type} order is not for this phase ({window.phase})")
    return _auction_refusal(contract, session, order) if window.phase in AUCTION_PHASES else None


def _auction_refusal(contract: Contract, session: TradingSession, order: ProposedOrder) -> Legality | None:
    if order.is_ioc or order.disclosed_quantity:
        what = "an IOC order" if order.is_ioc else "a disclosed quantity"
        return _refused("closing_auction", f"{what} is not for the closing auction")
    reference, price, percent = order.reference_paise, order.price_paise, session.auction_band_pct
    if reference is None or price is None or percent is None or order.order_type not in _PRICED:
        return None
    if abs(price - reference) * 100 <= reference * percent:
        return None
    detail = (
        f"price {price / 100:.2f} of {contract.symbol} is more than {percent:g} % from the closing auction's "
        f"reference price of {reference / 100:.2f}"
    )
    return _refused("auction_band", detail)


def _clock(ts_ns: int) -> str:
    return f"{ist_time(ts_ns):%H:%M}"


def _type_refusal(contract: Contract, order: ProposedOrder, day: date) -> Legality | None:
    kind = order.order_type
    if market_protection_required(day, kind) and not order.has_protection:
        since = begun(current().tables.market_protection, day)
        return _refused("market_protection", f"{kind} orders need market protection since {since and since.first}")
    refused = begun(current().tables.option_refused_types, day)
    if contract.is_option and refused is not None and kind in refused.order_types:
        return _refused("option_stop_market", f"no {kind} orders in options since {refused.first}")
    return None


def _quantity_refusal(contract: Contract, order: ProposedOrder) -> Legality | None:
    quantity, lot, freeze = order.quantity, contract.lot_size, contract.freeze_quantity
    if quantity <= 0:
        return _refused("quantity", f"quantity must be positive, not {quantity}")
    if quantity % lot:
        return _refused("lot_size", f"quantity {quantity} of {contract.symbol} is not a multiple of the lot of {lot}")
    if freeze is not None and quantity > freeze:
        detail = f"quantity {quantity} of {contract.symbol} is above the freeze quantity of {freeze}"
        return _refused("freeze_quantity", detail)
    return None


def _price_refusal(contract: Contract, order: ProposedOrder) -> Legality | None:
    named = [("price", order.price_paise)] if order.order_type in _PRICED else []
    named += [("trigger", order.trigger_paise)] if order.order_type in _TRIGGERED else []
    for name, paise in named:
        if paise is None or paise <= 0:
            return _refused(name, f"a {order.order_type} order needs a {name} above zero")
        if paise % contract.tick_size_paise:
            tick = contract.tick_size_paise
            detail = f"{name} {paise / 100:.2f} of {contract.symbol} is not a multiple of the tick of {tick / 100:.2f}"
            return _refused("tick_size", detail)
    if order.order_type is not OrderType.SL or order.price_paise is None or order.trigger_paise is None:
        return None
    buys, beyond = order.transaction is Transaction.BUY, order.price_paise - order.trigger_paise
    if beyond and (beyond < 0) == buys:
        where = "above" if buys else "below"
        detail = f"trigger price of a {order.transaction.lower()} stop-limit order must not be {where} its price"
        return _refused("stop_limit", detail)
    return None


def _protection_refusal(contract: Contract, order: ProposedOrder, day: date) -> Legality | None:
    reference = order.trigger_paise if order.order_type is OrderType.SL else order.reference_paise
    if order.order_type not in _PRICED or order.price_paise is None or reference is None:
        return None
    band = protection_band(contract, reference, day)
    if band is None or band[0] <= order.price_paise <= band[1]:
        return None
    detail = (
        f"price {order.price_paise / 100:.2f} of {contract.symbol} is outside {band[0] / 100:.2f} to "
        f"{band[1] / 100:.2f}: it would be cancelled when it matches"
    )
    return _refused("price_protection", detail)


def protection_band(contract: Contract, reference_paise: int, day: date) -> tuple[int, int] | None:
    """The lowest and highest price an option's order may match at, measured from its average price; None for what has
    no such band. Not rounded to ticks."""
    rule = begun(current().tables.option_price_protection, day) if contract.is_option else None
    if rule is None:
        return None
    width = rule.width_below_paise
    if reference_paise > rule.premium_above_paise:
        width = reference_paise * rule.percent // 100
    return reference_paise - width, reference_paise + width


def protective_limit_paise(
    contract: Contract, *, transaction: Transaction, trigger_paise: int, day: date
) -> int | None:
    """The limit of a stop order that has to be an SL (an option's): half the protection band beyond its trigger, so
    that it is still inside when the average price lags behind; at least one tick. None where an SL-M order is taken."""
    refused = begun(current().tables.option_refused_types, day)
    band = protection_band(contract, trigger_paise, day)
    if band is None or refused is None or OrderType.SL_M not in refused.order_types:
        return None
    tick, half = contract.tick_size_paise, (band[1] - trigger_paise) // 2
    if transaction is Transaction.BUY:
        return (trigger_paise + half) // tick * tick
    return max(tick, -(-(trigger_paise - half) // tick) * tick)


def market_protection_required(day: date, order_type: OrderType) -> bool:
    """Whether an API order of this type must carry market protection (2026-04-01)."""
    rule = begun(current().tables.market_protection, day)
    return rule is not None and order_type in rule.order_types
