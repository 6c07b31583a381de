"""The rows of charges and of brokerage: rates as exact integers, never floats."""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from tradebus.calendar.rows import DatedRow
from tradebus.calendar.written import Whole
from tradebus.contracts.orders import Tariff

BILLIONTHS = 1_000_000_000


def _billionths(percent: object) -> int:
    try:
        scaled = Decimal(percent) * BILLIONTHS / 100 if isinstance(percent, str) else None
    except InvalidOperation:
        scaled = None
    if scaled is None or not scaled.is_finite() or scaled != scaled.to_integral_value() or scaled < 0:
        raise ValueError(f'{percent!r} is no percentage in quotes such as "0.05", to a billionth at most')
    return int(scaled)


def _optional_billionths(percent: object) -> int | None:
    return None if percent is None else _billionths(percent)


def _charging_broker(name: object) -> object:
    if name == Tariff.NONE:
        raise ValueError("none has no brokerage; name a broker")
    return name


Rate = Annotated[int, BeforeValidator(_billionths)]
OptionalRate = Annotated[int | None, BeforeValidator(_optional_billionths)]


class ChargeKind(StrEnum):
    STT = "stt"
    EXERCISE = "exercise"  # STT of what an option is in the money by that is exercised
    TRANSACTION = "transaction"
    IPFT = "ipft"
    SEBI = "sebi"
    STAMP = "stamp"
    GST = "gst"  # of other charges


class ChargeSegment(StrEnum):
    EVERY = "*"
    FUTURE = "FUTURE"
    OPTION = "OPTION"
    EQUITY_INTRADAY = "EQUITY_INTRADAY"
    EQUITY_DELIVERY = "EQUITY_DELIVERY"


class ExerciseBasis(StrEnum):
    """What the tax on an exercised option is a share of."""

    SETTLEMENT = "settlement"  # the underlying's settlement price
    WORTH = "worth"  # what the option is in the money by


class ChargeRow(DatedRow):
    """Billionths of the traded value, of one side; `percent` in a file stands for both. `basis` is of exercise."""

    charge: ChargeKind
    segment: ChargeSegment
    buy: Rate
    sell: Rate
    basis: ExerciseBasis = ExerciseBasis.WORTH

    @property
    def key(self) -> str:
        return f"{self.charge} {self.segment}"

    @model_validator(mode="before")
    @classmethod
    def _of_both_sides(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "percent" not in given:
            return given
        rest = {name: value for name, value in given.items() if name != "percent"}
        if "buy" in rest or "sell" in rest:
            raise ValueError("percent stands for buy and sell: give it, or those two")
        return {**rest, "buy": given["percent"], "sell": given["percent"]}


class BrokerageRow(DatedRow):
    """`rate` of the order's value, at most `cap_paise` per executed order; without a rate, the cap flat. Of a row that
    names no broker it is Zerodha's."""

    broker: Annotated[Tariff, BeforeValidator(_charging_broker)] = Tariff.ZERODHA
    segment: ChargeSegment
    rate: OptionalRate = Field(alias="percent")
    cap_paise: Whole = Field(ge=0)

    @property
    def key(self) -> str:
        return f"{self.broker} {self.segment}"
