"""What a fill costs in India (SPEC 12), by the rates in force on its day.

Parts: brokerage, STT (sell side; both sides for delivery), exchange transaction charge, investor protection fund
(since 2023-04-01), SEBI fee, stamp duty (buy side), GST of brokerage, exchange, fund and SEBI fee.

Brokerage is that of a broker's tariff, everything else is the same at all of them; the tariff NONE charges nothing.

An option that is exercised costs its holder STT: of what it is in the money by, until August 2019 of the settlement
price; its writer nothing.

Rounding: every part is rounded to the paisa, halves up, on its own, and the total is the sum of the parts. The
exchange rounds STT and stamp duty to whole rupees per client and day on the contract note, which no single fill can
know; the difference is below one rupee a day.

Invariants, property-tested: no part is negative; the total is the sum of the parts; costs grow with value; the
brokerage of an order filled in pieces adds up to what one fill would have paid.
"""

from dataclasses import dataclass, fields
from datetime import date

from tradebus.calendar.charging.rows import BILLIONTHS, BrokerageRow, ExerciseBasis
from tradebus.contracts.orders import Tariff, Transaction
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.trading.tariff import exercise_rule, schedule_for

# An INDEX is the history of an index traded as its front-month future.
_SEGMENTS = {"FUTURE": "FUTURE", "INDEX": "FUTURE", "OPTION": "OPTION", "EQUITY": "EQUITY_INTRADAY"}


@dataclass(frozen=True, slots=True)
class Charges:
    """The parts, in paise."""

    brokerage_paise: int = 0
    stt_paise: int = 0
    transaction_paise: int = 0
    ipft_paise: int = 0
    sebi_paise: int = 0
    stamp_paise: int = 0
    gst_paise: int = 0

    @property
    def parts(self) -> dict[str, int]:
        """Every part by its name."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def __add__(self, other: "Charges") -> "Charges":
        return Charges(
            self.brokerage_paise + other.brokerage_paise, self.stt_paise + other.stt_paise,
            self.transaction_paise + other.transaction_paise, self.ipft_paise + other.ipft_paise,
            self.sebi_paise + other.sebi_paise, self.stamp_paise + other.stamp_paise,
            self.gst_paise + other.gst_paise,
        )  # fmt: skip

    @property
    def total_paise(self) -> int:
        return (
            self.brokerage_paise + self.stt_paise + self.transaction_paise + self.ipft_paise
            + self.sebi_paise + self.stamp_paise + self.gst_paise
        )  # fmt: skip


def charges_paise(
    *,
    day: date,
    kind: str,
    transaction: Transaction,
    quantity: int,
    price_paise: int,
    order_value_before_paise: int = 0,
    delivery: bool = False,
    tariff: Tariff = Tariff.ZERODHA,
) -> Charges:
    """The charges of one fill of `quantity` units at `price_paise`.

    `kind` is the instrument's (EQUITY, INDEX, FUTURE, OPTION). `order_value_before_paise` is what earlier fills of the
    same order were worth, because brokerage is charged per order. Raises InvalidInput for an unknown kind, for
    delivery of anything but EQUITY, for a quantity or price that is not positive and for a day before the tariff.
    """
    if quantity <= 0 or price_paise <= 0:
        raise InvalidInput(f"charges: quantity {quantity} and price {price_paise} must both be positive")
    segment = _segment(kind, delivery=delivery)
    if tariff is Tariff.NONE:
        return Charges()
    rates = schedule_for(segment, day, tariff)
    value_paise = quantity * price_paise
    buying = transaction is Transaction.BUY
    before = _brokerage(rates.brokerage, order_value_before_paise)
    brokerage = _brokerage(rates.brokerage, order_value_before_paise + value_paise) - before
    exchange, fund, sebi = (_part(value_paise, rate) for rate in (rates.transaction, rates.ipft, rates.sebi))
    return Charges(
        brokerage_paise=brokerage,
        stt_paise=_part(value_paise, rates.stt_buy if buying else rates.stt_sell),
        transaction_paise=exchange,
        ipft_paise=fund,
        sebi_paise=sebi,
        stamp_paise=_part(value_paise, rates.stamp_buy if buying else rates.stamp_sell),
        gst_paise=_part(brokerage + exchange + fund + sebi, rates.gst),
    )


def exercise_stt_paise(*, day: date, quantity: int, worth_paise: int, settlement_paise: int) -> int:
    """What the holder of `quantity` option units owes when they are exercised, each in the money by `worth_paise` where
    the underlying settles at `settlement_paise`. Nothing out of the money, nor before the first rate that is known.
    Raises InvalidInput for negative values."""
    if quantity < 0 or worth_paise < 0 or settlement_paise < 0:
        raise InvalidInput(
            f"exercise: quantity {quantity}, worth {worth_paise} and settlement {settlement_paise} must not be negative"
        )
    rule = exercise_rule(day)
    if rule is None or worth_paise == 0:
        return 0
    basis_paise = settlement_paise if rule.basis is ExerciseBasis.SETTLEMENT else worth_paise
    return _part(quantity * basis_paise, rule.sell)


def _segment(kind: str, *, delivery: bool) -> str:
    segment = _SEGMENTS.get(kind)
    if segment is None:
        raise InvalidInput(f"kind: {kind!r} is not one of {', '.join(_SEGMENTS)}{nearest(kind, _SEGMENTS)}")
    if not delivery:
        return segment
    if kind != "EQUITY":
        raise InvalidInput(f"delivery: {kind} is never delivered; only EQUITY is")
    return "EQUITY_DELIVERY"


def _part(value_paise: int, rate: int) -> int:
    """`rate` billionths of the value, to the paisa, halves up."""
    return (2 * value_paise * rate + BILLIONTHS) // (2 * BILLIONTHS)


def _brokerage(tariff: BrokerageRow, order_value_paise: int) -> int:
    if order_value_paise == 0:
        return 0
    if tariff.rate is None:
        return tariff.cap_paise
    return min(tariff.cap_paise, _part(order_value_paise, tariff.rate))
