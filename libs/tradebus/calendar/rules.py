"""The dated rules that hold in this process: those that lie beside this file, and what a person overrides.

    holidays.json     when the exchange is closed, what does not settle
    hours.json        hours, auctions, special sessions        contracts.json    expiries, lots
    prices.json       price steps, freeze quantities           order_rules.json  what the exchange refuses
    charges.json      taxes, fees, brokerage

Pure: nothing here reads a setting. A process that wants other rules gives them to `install` before it asks anything.

Invariants: the rules of one key are in ascending order of their first date, so the rule in force is the last one that
has begun; every holiday with a shortened session names that session's hours; windows of a session do not overlap.
A shipped file that breaks one of these raises ValueError at import: that is a defect, not a user's mistake.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any, Protocol, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from tradebus.calendar.charging.rows import BrokerageRow, ChargeKind, ChargeRow, ChargeSegment
from tradebus.calendar.located_json import Path, parse_located
from tradebus.calendar.refusals import rules_refusal
from tradebus.calendar.rows import (
    ClosingAuctionRow,
    ExpiringHoursRow,
    FreezeRow,
    FutureTicksRow,
    HolidayRow,
    HolidaySession,
    HoursRow,
    IndexRow,
    LotRow,
    Market,
    MarketClass,
    MonthlyExpiryRow,
    OptionTicksRow,
    OrderTypesRow,
    PostCloseRow,
    PreOpenRow,
    PriceProtectionRow,
    RangeResetRow,
    RatioExemptionRow,
    RuleRow,
    SettlementHolidayRow,
    SpecialSessionRow,
    StockRow,
    TickBandsRow,
    WeeklyExpiryRow,
    YearRange,
)
from tradebus.calendar.written import Whole
from tradebus.contracts.base import Model
from tradebus.contracts.orders import Tariff
from tradebus.kernel.errors import InvalidInput

_FILES = ("holidays.json", "hours.json", "contracts.json", "prices.json", "order_rules.json", "charges.json")
_ROW_FIELDS = ("source", "last_checked")


class Tables(Model):
    """Everything a file of rules may hold. Rows of one key stand in ascending order of their date."""

    about: str = ""
    holidays_complete: YearRange | None = None
    square_off_minutes_before_close: Whole | None = Field(default=None, gt=0)
    last_entry_minutes_before_close: Whole | None = Field(default=None, gt=0)
    hours: tuple[HoursRow, ...] = ()
    expiring_hours: tuple[ExpiringHoursRow, ...] = ()
    pre_open: tuple[PreOpenRow, ...] = ()
    closing_auction: tuple[ClosingAuctionRow, ...] = ()
    post_close: tuple[PostCloseRow, ...] = ()
    range_resets: tuple[RangeResetRow, ...] = ()
    special_sessions: tuple[SpecialSessionRow, ...] = ()
    holidays: tuple[HolidayRow, ...] = ()
    settlement_holidays: tuple[SettlementHolidayRow, ...] = ()
    indices: tuple[IndexRow, ...] = ()
    stocks_with_contracts: tuple[StockRow, ...] = ()
    monthly_expiry: tuple[MonthlyExpiryRow, ...] = ()
    weekly_expiry: tuple[WeeklyExpiryRow, ...] = ()
    lot_size: tuple[LotRow, ...] = ()
    freeze_quantity: tuple[FreezeRow, ...] = ()
    index_future_ticks: tuple[FutureTicksRow, ...] = ()
    stock_ticks: tuple[TickBandsRow, ...] = ()
    option_ticks: tuple[OptionTicksRow, ...] = ()
    market_protection: tuple[OrderTypesRow, ...] = ()
    option_refused_types: tuple[OrderTypesRow, ...] = ()
    option_price_protection: tuple[PriceProtectionRow, ...] = ()
    order_ratio_exemptions: tuple[RatioExemptionRow, ...] = ()
    charges: tuple[ChargeRow, ...] = ()
    brokerage: tuple[BrokerageRow, ...] = ()

    def rows(self, table: str) -> tuple[RuleRow, ...]:
        found: tuple[RuleRow, ...] = getattr(self, table)
        return found


TABLES: tuple[str, ...] = tuple(
    name for name, field in Tables.model_fields.items() if getattr(field.annotation, "__origin__", None) is tuple
)
R = TypeVar("R", bound=RuleRow)


@dataclass(frozen=True)
class RuleBook:
    """The rules as they are asked for: by key, ascending."""

    tables: Tables
    holidays: Mapping[date, HolidayRow]
    holidays_complete: YearRange
    settlement_holidays: frozenset[date]
    special_sessions: Mapping[date, SpecialSessionRow]
    hours: Mapping[MarketClass, Sequence[HoursRow]]
    expiring_hours: Mapping[Market, Sequence[ExpiringHoursRow]]
    pre_open: Mapping[MarketClass, Sequence[PreOpenRow]]
    closing_auction: Mapping[MarketClass, Sequence[ClosingAuctionRow]]
    post_close: Mapping[MarketClass, Sequence[PostCloseRow]]
    range_resets: Mapping[Market, Sequence[RangeResetRow]]
    square_off_minutes: int
    last_entry_minutes: int
    indices: frozenset[str]
    stocks_with_contracts: frozenset[str]
    monthly_expiry: Mapping[str, Sequence[MonthlyExpiryRow]]
    weekly_expiry: Mapping[str, Sequence[WeeklyExpiryRow]]
    lot_size: Mapping[str, Sequence[LotRow]]
    freeze_quantity: Mapping[str, Sequence[FreezeRow]]
    index_future_ticks: Mapping[str, Sequence[FutureTicksRow]]
    option_ticks: Mapping[Market, Sequence[OptionTicksRow]]
    charges: Mapping[str, Sequence[ChargeRow]]  # by "stt OPTION"
    brokerage: Mapping[str, Sequence[BrokerageRow]]  # by "zerodha OPTION"

    @classmethod
    def of(cls, tables: Tables) -> "RuleBook":
        """Raises ValueError where the rules together break an invariant of this module."""
        _check(tables)
        assert tables.holidays_complete is not None
        assert tables.square_off_minutes_before_close is not None
        assert tables.last_entry_minutes_before_close is not None
        return cls(
            tables=tables,
            holidays={row.date: row for row in tables.holidays},
            holidays_complete=tables.holidays_complete,
            settlement_holidays=frozenset(row.date for row in tables.settlement_holidays),
            special_sessions={row.date: row for row in tables.special_sessions},
            hours=_grouped(tables.hours),
            expiring_hours=_grouped(tables.expiring_hours),
            pre_open=_grouped(tables.pre_open),
            closing_auction=_grouped(tables.closing_auction),
            post_close=_grouped(tables.post_close),
            range_resets=_grouped(tables.range_resets),
            square_off_minutes=tables.square_off_minutes_before_close,
            last_entry_minutes=tables.last_entry_minutes_before_close,
            indices=frozenset(row.underlying for row in tables.indices),
            stocks_with_contracts=frozenset(row.underlying for row in tables.stocks_with_contracts if row.listed),
            monthly_expiry=_grouped(tables.monthly_expiry),
            weekly_expiry=_grouped(tables.weekly_expiry),
            lot_size=_grouped(tables.lot_size),
            freeze_quantity=_grouped(tables.freeze_quantity),
            index_future_ticks=_grouped(tables.index_future_ticks),
            option_ticks=_grouped(tables.option_ticks),
            charges=_grouped(tables.charges),
            brokerage=_grouped(tables.brokerage),
        )


def _grouped(rows: Iterable[R]) -> dict[Any, list[R]]:
    found: dict[Any, list[R]] = {}
    for row in rows:
        found.setdefault(row.key, []).append(row)
    return found


def _check(tables: Tables) -> None:
    for market_class in MarketClass:
        if not any(row.market_class is market_class for row in tables.hours):
            raise ValueError(f"hours: {market_class} has no hours")
    _check_charges(tables)
    if not tables.order_ratio_exemptions:
        raise ValueError("order_ratio_exemptions: no rule is said")
    special = {row.date for row in tables.special_sessions if row.windows}
    for holiday in tables.holidays:
        if (holiday.session is HolidaySession.EARLY_CLOSE) != (holiday.date in special):
            raise ValueError(f"{holiday.date}: a holiday is early_close if and only if it has a special session")
    for name in ("holidays_complete", "square_off_minutes_before_close", "last_entry_minutes_before_close"):
        if getattr(tables, name) is None:
            raise ValueError(f"{name} is not said")


def _check_charges(tables: Tables) -> None:
    """Every charge is known of every segment, but for exercise, which is of options alone."""
    known = {(row.charge, row.segment) for row in tables.charges}
    for charge in ChargeKind:
        every = charge in (ChargeKind.GST, ChargeKind.SEBI)
        wanted = {ChargeSegment.EVERY} if every else set(ChargeSegment) - {ChargeSegment.EVERY}
        wanted = {ChargeSegment.OPTION} if charge is ChargeKind.EXERCISE else wanted
        found = {segment for one, segment in known if one is charge}
        if found != wanted:
            raise ValueError(f"charges: {charge} is said of {sorted(found)}, and has to be of {sorted(wanted)}")
    for broker in set(Tariff) - {Tariff.NONE}:
        segments = {row.segment for row in tables.brokerage if row.broker is broker}
        if set(ChargeSegment) - segments != {ChargeSegment.EVERY}:
            raise ValueError(f"brokerage: one is said of each segment at {broker}")


class _Dated(Protocol):
    @property
    def first(self) -> date: ...


D = TypeVar("D", bound=_Dated)


def in_force(rules: Sequence[D], day: date, *, what: str) -> D:
    """The last rule that has begun on `day`. Raises InvalidInput naming `what` where none had yet."""
    found = begun(rules, day)
    if found is None:
        raise InvalidInput(f"{what}: no rule is known for {day}; the first begins on {rules[0].first}")
    return found


def begun(rules: Sequence[D], day: date) -> D | None:
    """The last rule that has begun on `day`, None where none has."""
    for rule in reversed(rules):
        if rule.first <= day:
            return rule
    return None


def parse_tables(text: str, *, name: str) -> tuple[Tables, dict[Path, int]]:
    """The rules of a file's text, and the line of each value by its path (table, number, field).

    Raises InvalidInput naming file and line: what is no JSON, an unknown field or table, a bad value, a rule that
    overlaps another, dates that run backwards.
    """
    raw, lines = parse_located(text, name=name)
    if not isinstance(raw, dict):
        raise InvalidInput(f'{name}, line 1: not an object of rules such as {{"hours": [...]}}')
    if "NSE" in raw and "holidays" not in raw:  # the published shape of a holiday list
        raw["holidays"] = raw.pop("NSE")
        lines = {("holidays", *path[1:]) if path[:1] == ("NSE",) else path: line for path, line in lines.items()}
    common = {field: raw.pop(field) for field in _ROW_FIELDS if field in raw}
    for rows in raw.values():
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict):
                for field, value in common.items():
                    row.setdefault(field, value)
    try:
        tables = Tables.model_validate(raw)
    except ValidationError as error:
        raise InvalidInput(rules_refusal(error, Tables, lines, name=name)) from None
    for table in TABLES:
        _check_order(tables.rows(table), table, lines, name)
    return tables, lines


def _check_order(rows: Sequence[RuleRow], table: str, lines: dict[Path, int], name: str) -> None:
    last: dict[object, tuple[RuleRow, int]] = {}
    for number, row in enumerate(rows):
        line = lines[table, number]
        before = last.get(row.key)
        if before is not None and row.begins <= before[0].begins:
            same = row.begins == before[0].begins
            problem = "overlaps the rule of" if same else f"runs backwards: {before[0].begins} stands in"
            raise InvalidInput(f"{name}, line {line}: {table} of {row.key or table}: {row.begins} {problem} line "
                               f"{before[1]}")  # fmt: skip
        last[row.key] = (row, line)


def merged(shipped: Tables, other: Tables) -> Tables:
    """`other` over `shipped`: a row of the same key and first date takes the place of the shipped one. A holiday that
    is `open` is none, a special session without windows ([]) does not take place."""
    given: dict[str, Any] = {name: getattr(other, name) or getattr(shipped, name) for name in Tables.model_fields}
    for table in TABLES:
        rows = {(row.key, row.begins): row for row in (*shipped.rows(table), *other.rows(table))}
        given[table] = tuple(sorted(rows.values(), key=lambda row: (str(row.key), row.begins)))
    given["holidays"] = tuple(row for row in given["holidays"] if row.session is not HolidaySession.OPEN)
    given["special_sessions"] = tuple(row for row in given["special_sessions"] if row.windows != ())
    return Tables.model_construct(**given)


def idle_rows(shipped: Tables, other: Tables) -> list[tuple[str, int, str]]:
    """Rows of `other` that call off what there is not: table, number, and why they change nothing."""
    holidays = {row.date for row in shipped.holidays}
    special = {row.date for row in shipped.special_sessions}
    found = [
        ("holidays", number, f"{row.date}: open changes nothing: it calls a holiday off, and none is known that day")
        for number, row in enumerate(other.holidays)
        if row.session is HolidaySession.OPEN and row.date not in holidays
    ]
    found += [
        ("special_sessions", number, f"{row.date}: no windows change nothing: they call a special session off, and "
         "none is known that day")
        for number, row in enumerate(other.special_sessions)
        if row.windows == () and row.date not in special
    ]  # fmt: skip
    return found


def parse_holidays(text: str | bytes) -> dict[date, HolidayRow]:
    """Reads the shape `{"NSE": [{"date", "label", "session"}]}`. Raises InvalidInput naming what is wrong."""
    try:
        given = TypeAdapter(dict[str, tuple[dict[str, Any], ...]]).validate_json(text)["NSE"]
        rows = {"NSE": tuple({"source": "given", "last_checked": date.min, **row} for row in given)}
        found: dict[date, HolidayRow] = {}
        for holiday in TypeAdapter(dict[str, tuple[HolidayRow, ...]]).validate_python(rows)["NSE"]:
            if holiday.date in found:
                raise InvalidInput(f"holidays: {holiday.date} is listed twice")
            found[holiday.date] = holiday
    except KeyError as error:
        raise InvalidInput("holidays: no list under the key 'NSE'") from error
    except ValidationError as error:
        raise InvalidInput(f"holidays: {' '.join(str(error).split())}") from error
    return found


def _shipped() -> Tables:
    found = Tables()
    for name in _FILES:
        text = files("tradebus.calendar").joinpath(name).read_text(encoding="utf-8")
        found = merged(found, parse_tables(text, name=name)[0])
    return found


class Clearable(Protocol):
    def cache_clear(self) -> None: ...


C = TypeVar("C", bound=Clearable)
_caches: list[Callable[[], None]] = []
SHIPPED = RuleBook.of(_shipped())
_installed = [SHIPPED]


def current() -> RuleBook:
    """The rules of this process."""
    return _installed[0]


def install(book: RuleBook) -> None:
    """Makes `book` the rules of this process. For the first lines of a process: what others have worked out of the
    rules before, outside this package, they keep."""
    _installed[0] = book
    for clear in _caches:
        clear()


def forgotten_on_install(cached: C) -> C:
    """Put on a cache of answers that the rules gave: it is emptied when others are installed."""
    _caches.append(cached.cache_clear)
    return cached
