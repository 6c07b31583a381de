"""The dated rules that lie beside this file as JSON, read once and validated.

Invariants: the rules of one key are in ascending order of their first date, so the rule in force is the last one that
has begun; every holiday with a shortened session names that session's hours; windows of a session do not overlap.
A file that breaks one of these raises ValueError at import: it is shipped, so this is a defect, not a user's mistake.

    holidays.json     when the exchange is closed          hours.json        trading hours, special sessions
    contracts.json    expiries, lots, freezes, ticks       order_rules.json  what the exchange refuses
"""

import json
from collections.abc import Sequence
from datetime import date, time
from enum import IntEnum, StrEnum
from importlib.resources import files
from typing import Annotated, Any, Protocol, Self, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from tradebus.contracts.base import Model
from tradebus.contracts.orders import OrderType
from tradebus.kernel.errors import InvalidInput


class Weekday(IntEnum):
    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4


class MarketClass(StrEnum):
    EQUITY = "equity"  # cash stocks without futures and options
    EQUITY_FNO = "equity_fno"  # cash stocks with futures and options: closing auction since 2026-08-03
    DERIVATIVE = "derivative"
    INDEX = "index"


class HolidaySession(StrEnum):
    CLOSED = "closed"
    EARLY_CLOSE = "early_close"  # no ordinary session, but a short special one


class Holiday(Model):
    date: date
    label: str
    session: HolidaySession


Window = tuple[time, time]


class HoursRule(Model):
    market_class: MarketClass
    first: date = Field(alias="from")
    open: time
    close: time


class SpecialSession(Model):
    """Hours of one day that differ from its weekday; `windows` None means the ordinary hours."""

    date: date
    label: str
    windows: tuple[Window, ...] | None

    @model_validator(mode="after")
    def _windows_ascend(self) -> Self:
        edges = [edge for window in self.windows or () for edge in window]
        if edges != sorted(set(edges)):
            raise ValueError(f"{self.date}: windows overlap or run backwards")
        return self


class YearRange(Model):
    first_year: int
    last_year: int


class Hours(Model):
    about: str
    holidays_complete: YearRange
    hours: tuple[HoursRule, ...]
    square_off_minutes_before_close: int = Field(gt=0)
    last_entry_minutes_before_close: int = Field(gt=0)
    special_sessions: tuple[SpecialSession, ...]


def _contract_month(value: object) -> date:
    return date.fromisoformat(f"{value}-01")


def _weekday(value: object) -> Weekday | None:
    if value is None:
        return None
    if str(value) not in Weekday.__members__:
        raise ValueError(f"{value!r} is no weekday")
    return Weekday[str(value)]


ContractMonth = Annotated[date, BeforeValidator(_contract_month)]
WeekdayName = Annotated[Weekday, BeforeValidator(_weekday)]


class MonthlyExpiryRule(Model):
    first: ContractMonth = Field(alias="first_contract")
    weekday: WeekdayName


class WeeklyExpiryRule(Model):
    first: date = Field(alias="from")  # a Monday: a week has one expiry
    weekday: Annotated[Weekday | None, BeforeValidator(_weekday)]

    @model_validator(mode="after")
    def _begins_a_week(self) -> Self:
        if self.first.weekday() != Weekday.MONDAY:
            raise ValueError(f"{self.first}: a weekly expiry rule begins on a Monday")
        return self


class LotRule(Model):
    first: ContractMonth = Field(alias="first_contract")
    lot_size: int = Field(gt=0)


class FreezeRule(Model):
    first: date = Field(alias="from")
    quantity: int = Field(gt=0)


class TickRule(Model):
    first: date = Field(alias="from")
    tick_size_paise: int = Field(gt=0)


class TickBand(Model):
    below_paise: int | None
    tick_size_paise: int = Field(gt=0)


class TickBandsRule(Model):
    first: date = Field(alias="from")
    bands: tuple[TickBand, ...]


class Contracts(Model):
    about: str
    monthly_expiry: dict[str, tuple[MonthlyExpiryRule, ...]]
    weekly_expiry: dict[str, tuple[WeeklyExpiryRule, ...]]
    lot_size: dict[str, tuple[LotRule, ...]]
    freeze_quantity: dict[str, tuple[FreezeRule, ...]]
    index_future_tick_paise: dict[str, tuple[TickRule, ...]]
    option_tick_paise: int
    stock_tick_bands: tuple[TickBandsRule, ...]


class DatedOrderTypes(Model):
    first: date = Field(alias="from")
    order_types: frozenset[OrderType]


class ClosingAuction(DatedOrderTypes):
    market_class: MarketClass
    stops_cancelled_at: time
    order_entry_from: time
    order_entry_until: time


class OrderRules(Model):
    about: str
    market_protection: DatedOrderTypes
    option_stop_market: DatedOrderTypes
    closing_auction: ClosingAuction


class _Dated(Protocol):
    @property
    def first(self) -> date: ...


D = TypeVar("D", bound=_Dated)


def in_force(rules: Sequence[D], day: date, *, what: str) -> D:
    """The last rule that has begun on `day`. Raises InvalidInput naming `what` where none had yet."""
    for rule in reversed(rules):
        if rule.first <= day:
            return rule
    raise InvalidInput(f"{what}: no rule is known for {day}; the first begins on {rules[0].first}")


def parse_holidays(text: str | bytes) -> dict[date, Holiday]:
    """Reads the shape `{"NSE": [{"date", "label", "session"}]}`. Raises InvalidInput naming what is wrong."""
    try:
        rows = TypeAdapter(dict[str, tuple[Holiday, ...]]).validate_json(text)["NSE"]
    except KeyError as error:
        raise InvalidInput("holidays: no list under the key 'NSE'") from error
    except ValueError as error:
        raise InvalidInput(f"holidays: {' '.join(str(error).split())}") from error
    found: dict[date, Holiday] = {}
    for row in rows:
        if row.date in found:
            raise InvalidInput(f"holidays: {row.date} is listed twice")
        found[row.date] = row
    return found


def _read(name: str) -> Any:
    return json.loads(files("tradebus.calendar").joinpath(name).read_text(encoding="utf-8"))


def _ascending(rules: Sequence[_Dated], what: str) -> None:
    firsts = [rule.first for rule in rules]
    if not firsts or firsts != sorted(set(firsts)):
        raise ValueError(f"{what}: rules must be listed by ascending date, at least one")


def check(holidays: dict[date, Holiday], hours: Hours, contracts: Contracts) -> None:
    """Raises ValueError where the rules break an invariant of this module."""
    for market_class in MarketClass:
        _ascending([rule for rule in hours.hours if rule.market_class is market_class], market_class)
    tables: tuple[dict[str, Any], ...] = (
        contracts.monthly_expiry, contracts.weekly_expiry, contracts.lot_size,
        contracts.freeze_quantity, contracts.index_future_tick_paise,
    )  # fmt: skip
    for table in tables:
        for underlying, rules in table.items():
            _ascending(rules, underlying)
    _ascending(contracts.stock_tick_bands, "stock_tick_bands")
    special = {session.date for session in hours.special_sessions if session.windows}
    for holiday in holidays.values():
        if (holiday.session is HolidaySession.EARLY_CLOSE) != (holiday.date in special):
            raise ValueError(f"{holiday.date}: a holiday is early_close if and only if it has a special session")


HOLIDAYS: dict[date, Holiday] = parse_holidays(json.dumps(_read("holidays.json")))
HOURS = Hours.model_validate(_read("hours.json"))
CONTRACTS = Contracts.model_validate(_read("contracts.json"))
ORDER_RULES = OrderRules.model_validate(_read("order_rules.json"))
SPECIAL_SESSIONS: dict[date, SpecialSession] = {session.date: session for session in HOURS.special_sessions}
check(HOLIDAYS, HOURS, CONTRACTS)
