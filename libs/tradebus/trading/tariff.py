"""What the dated rows of charges say of one broker, segment and day: rates as exact integers, never floats.

Invariants: the rules of one charge ascend by date, and every rate is a whole number of billionths of the traded
value. The rows are market rules like any other: a person may override them, and `review` tells which are provisional.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from tradebus.calendar import forgotten_on_install
from tradebus.calendar.charging.rows import BrokerageRow, ChargeKind, ChargeRow
from tradebus.calendar.rules import begun, current, in_force
from tradebus.contracts.orders import Tariff

_EVERY = "*"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rates of one segment on one day, in billionths of the traded value; GST of the charges it is levied on."""

    brokerage: BrokerageRow
    stt_buy: int
    stt_sell: int
    stamp_buy: int
    stamp_sell: int
    transaction: int
    ipft: int
    sebi: int
    gst: int


@forgotten_on_install
@lru_cache(maxsize=4096)
def schedule_for(segment: str, day: date, tariff: Tariff = Tariff.ZERODHA) -> Schedule:
    """The rates in force on `day`. Raises InvalidInput for a day before the tariff begins, and KeyError for NONE, which
    has no rates."""
    stt = _rule(ChargeKind.STT, segment, day, what="securities transaction tax")
    stamp = _rule(ChargeKind.STAMP, segment, day, what="stamp duty")
    return Schedule(
        brokerage=in_force(current().brokerage[f"{tariff} {segment}"], day, what="brokerage"),
        stt_buy=stt.buy,
        stt_sell=stt.sell,
        stamp_buy=stamp.buy,
        stamp_sell=stamp.sell,
        transaction=_rule(ChargeKind.TRANSACTION, segment, day, what="exchange transaction charge").buy,
        ipft=_rule(ChargeKind.IPFT, segment, day, what="investor protection fund charge").buy,
        sebi=_rule(ChargeKind.SEBI, _EVERY, day, what="SEBI fee").buy,
        gst=_rule(ChargeKind.GST, _EVERY, day, what="GST").buy,
    )


def exercise_rule(day: date) -> ChargeRow | None:
    """The tax on an exercised option; None before the first rate that is known."""
    return begun(current().charges[f"{ChargeKind.EXERCISE} OPTION"], day)


def _rule(charge: ChargeKind, segment: str, day: date, *, what: str) -> ChargeRow:
    return in_force(current().charges[f"{charge} {segment}"], day, what=what)
