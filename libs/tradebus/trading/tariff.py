"""The dated tariff of `charges.json`, read once and validated: rates as exact integers, never floats.

Invariants: the rules of one charge ascend by date, and every rate is a whole number of billionths of the traded
value. A file that breaks one raises ValueError at import: it is shipped, so this is a defect, not a user's mistake.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from tradebus.calendar.rules import begun, in_force
from tradebus.contracts.base import Model

BILLIONTHS = 1_000_000_000


def _billionths(percent: object) -> int:
    scaled = Decimal(str(percent)) * BILLIONTHS / 100
    if scaled != scaled.to_integral_value() or scaled < 0:
        raise ValueError(f"{percent!r} percent is not a whole number of billionths")
    return int(scaled)


def _optional_billionths(percent: object) -> int | None:
    return None if percent is None else _billionths(percent)


Rate = Annotated[int, BeforeValidator(_billionths)]
OptionalRate = Annotated[int | None, BeforeValidator(_optional_billionths)]


class _Dated(Model):
    """`source` and `last_checked` (the day somebody last looked there) where it is not the file's `about`;
    `provisional` where the law's own text has not been read."""

    first: date = Field(alias="from")
    source: str | None = None
    last_checked: date | None = None
    provisional: bool = False


class RateRule(_Dated):
    rate: Rate = Field(alias="percent")


class SidedRule(_Dated):
    buy: Rate
    sell: Rate


class Brokerage(Model):
    """`rate` of the order's value, at most `cap_paise` per executed order; without a rate, the cap flat."""

    rate: OptionalRate = Field(alias="percent")
    cap_paise: int = Field(ge=0)


class SegmentTariff(Model):
    """`exercise` is the STT of what an option is worth that is exercised; no rate is known before its first rule."""

    brokerage: Brokerage
    stt: tuple[SidedRule, ...]
    exercise: tuple[RateRule, ...] = ()
    transaction: tuple[RateRule, ...]
    ipft: tuple[RateRule, ...]
    stamp: tuple[SidedRule, ...]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for rules in (self.stt, self.transaction, self.ipft, self.stamp):
            _check_ascending(rules)
        if self.exercise:
            _check_ascending(self.exercise)
        return self


class Tariff(Model):
    about: str
    gst: tuple[RateRule, ...]
    sebi: tuple[RateRule, ...]
    segments: Mapping[str, SegmentTariff]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        _check_ascending(self.gst)
        _check_ascending(self.sebi)
        return self


def _check_ascending(rules: Sequence[RateRule | SidedRule]) -> None:
    firsts = [rule.first for rule in rules]
    if not firsts or firsts != sorted(set(firsts)):
        raise ValueError("charges.json: rules must be listed by ascending date, at least one")


TARIFF = Tariff.model_validate_json(files("tradebus.trading").joinpath("charges.json").read_bytes())


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rates of one segment on one day, in billionths of the traded value; GST of the charges it is levied on."""

    brokerage: Brokerage
    stt_buy: int
    stt_sell: int
    stamp_buy: int
    stamp_sell: int
    transaction: int
    ipft: int
    sebi: int
    gst: int


@lru_cache(maxsize=4096)
def schedule_for(segment: str, day: date) -> Schedule:
    """The rates in force on `day`. Raises InvalidInput for a day before the tariff begins."""
    tariff = TARIFF.segments[segment]
    stt = in_force(tariff.stt, day, what="securities transaction tax")
    stamp = in_force(tariff.stamp, day, what="stamp duty")
    return Schedule(
        brokerage=tariff.brokerage,
        stt_buy=stt.buy,
        stt_sell=stt.sell,
        stamp_buy=stamp.buy,
        stamp_sell=stamp.sell,
        transaction=in_force(tariff.transaction, day, what="exchange transaction charge").rate,
        ipft=in_force(tariff.ipft, day, what="investor protection fund charge").rate,
        sebi=in_force(TARIFF.sebi, day, what="SEBI fee").rate,
        gst=in_force(TARIFF.gst, day, what="GST").rate,
    )


def exercise_rate(day: date) -> int:
    """Of what an exercised option is in the money by; 0 before the first rate that is known."""
    rule = begun(TARIFF.segments["OPTION"].exercise, day)
    return rule.rate if rule is not None else 0
