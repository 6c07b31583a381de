"""What the exchange accepts at an instant (SPEC 4, 10).

The rules are asked in the order of the table and the first that refuses decides:

    market_closed        no session that day
    outside_session      before the open, after the close, or in the break of a two-window session
    order_entry_pause    2026-08-03, F&O stocks: 15:15 to 15:20 nothing is accepted, and the tail of the auction
    closing_auction      2026-08-03, F&O stocks: 15:20 to 15:28 only market and limit orders, and we open nothing there
    market_protection    2026-04-01: MARKET and SL-M orders from an API need market protection
    option_stop_market   2021-09-27: no SL-M orders in options

Invariants, property-tested: the answer depends on nothing but the arguments; protection never makes a legal order
illegal; on a day without a session nothing is legal.
"""

from dataclasses import dataclass
from datetime import date

from tradebus.calendar.rules import ORDER_RULES
from tradebus.calendar.sessions import TradingSession, session_for
from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.kernel.time import ist_date, ist_time, ist_to_ns


@dataclass(frozen=True, slots=True)
class Legality:
    """`rule` is the rule that refused, "all_passed" where none did; `detail` is for people."""

    allowed: bool
    rule: str
    detail: str


_LEGAL = Legality(True, "all_passed", "")


def order_legal(
    *,
    market_class: str,
    role: OrderRole,
    order_type: OrderType,
    has_protection: bool,
    ts_ns: int,
    is_option: bool = False,
) -> Legality:
    """Whether a new order of this sort would be accepted at `ts_ns`. Raises InvalidInput for an unknown class."""
    day = ist_date(ts_ns)
    session = session_for(day, market_class)
    if session is None:
        return Legality(False, "market_closed", f"no session on {day}")
    refusal = None if session.contains(ts_ns) else _outside(session, role=role, order_type=order_type, ts_ns=ts_ns)
    return refusal or _type_refusal(day, order_type, has_protection=has_protection, is_option=is_option) or _LEGAL


def stops_cancelled_ns(day: date, market_class: str) -> int | None:
    """The instant at which the exchange itself cancels untriggered stops, None where it does not that day."""
    auction = ORDER_RULES.closing_auction
    if not _has_auction(session_for(day, market_class)):
        return None
    return ist_to_ns(day, auction.stops_cancelled_at)


def _has_auction(session: TradingSession | None) -> bool:
    """The closing auction follows an ordinary session only: it begins where continuous trading ends."""
    auction = ORDER_RULES.closing_auction
    return (
        session is not None
        and session.market_class is auction.market_class
        and session.day >= auction.first
        and session.close_ns == ist_to_ns(session.day, auction.stops_cancelled_at)
    )


def _outside(session: TradingSession, *, role: OrderRole, order_type: OrderType, ts_ns: int) -> Legality | None:
    auction = ORDER_RULES.closing_auction
    at = ist_time(ts_ns)
    if not _has_auction(session) or not session.close_ns <= ts_ns < ist_to_ns(session.day, auction.order_entry_until):
        return Legality(False, "outside_session", f"{at:%H:%M:%S} is outside continuous trading ({session.label})")
    if at < auction.order_entry_from:
        return Legality(False, "order_entry_pause", f"no order entry until {auction.order_entry_from:%H:%M}")
    if role is not OrderRole.EXIT or order_type not in auction.order_types:
        return Legality(False, "closing_auction", f"a {role} {order_type} order is not for the closing auction")
    return None


def _type_refusal(day: date, order_type: OrderType, *, has_protection: bool, is_option: bool) -> Legality | None:
    protection, stop_market = ORDER_RULES.market_protection, ORDER_RULES.option_stop_market
    if day >= protection.first and order_type in protection.order_types and not has_protection:
        detail = f"{order_type} orders need market protection since {protection.first}"
        return Legality(False, "market_protection", detail)
    if is_option and day >= stop_market.first and order_type in stop_market.order_types:
        return Legality(False, "option_stop_market", f"no {order_type} orders in options since {stop_market.first}")
    return None


def market_protection_required(day: date, order_type: OrderType) -> bool:
    """Whether an API order of this type must carry market protection (2026-04-01)."""
    return day >= ORDER_RULES.market_protection.first and order_type in ORDER_RULES.market_protection.order_types
