"""The rows of the dated rules: what one rule of each table says.

Every row knows where it was read (`source`), when somebody last looked there (`last_checked`) and whether it may still
change or was read in one place only (`provisional`). A file says the first two once for the rows that do not.

Rows of one `key` make a sequence: each holds from its first date until the next one begins. A row of a single day
holds on that day alone, and its date is its key.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from datetime import date
from enum import IntEnum, StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from tradebus.calendar.written import ClockTime, ContractMonth, Day, Decimals, Flag, Whole
from tradebus.contracts.base import Model
from tradebus.contracts.orders import OrderType


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


class Market(StrEnum):
    """What a contract is on: rules of index and of stock derivatives differ."""

    INDEX = "index"
    STOCK = "stock"


class HolidaySession(StrEnum):
    CLOSED = "closed"
    EARLY_CLOSE = "early_close"  # no ordinary session, but a short special one
    OPEN = "open"  # of an override: a holiday that was called off


class Phase(StrEnum):
    """A part of the day, in the order in which a day has them."""

    PRE_OPEN = "pre_open"  # limit and market orders gather
    PRE_OPEN_LIMIT = "pre_open_limit"  # limit orders only; ends at random within its last minutes, so we end before
    PRE_OPEN_MATCHING = "pre_open_matching"  # nothing is accepted until the open
    CONTINUOUS = "continuous"
    AUCTION_REFERENCE = "auction_reference"  # the reference price is worked out, nothing is accepted
    AUCTION = "auction"
    AUCTION_LIMIT = "auction_limit"
    AUCTION_MATCHING = "auction_matching"
    POST_CLOSE = "post_close"  # trades at the closing price; we enter nothing in it


class RuleRow(Model, ABC):
    source: str = Field(min_length=1)
    last_checked: Day
    provisional: Flag = False

    @property
    def key(self) -> Hashable:
        """What the rule is about."""
        return None

    @property
    @abstractmethod
    def begins(self) -> date:
        """The first day it holds on."""


class DatedRow(RuleRow):
    first: Day = Field(alias="from")

    @property
    def begins(self) -> date:
        return self.first


class DayRow(RuleRow):
    """Of one day."""

    date: Day

    @property
    def key(self) -> Hashable:
        return self.date

    @property
    def begins(self) -> Day:
        return self.date


class HoursRow(DatedRow):
    """Continuous trading. On a special session the class closes `special_close_after_minutes` after the cash market."""

    market_class: MarketClass
    open: ClockTime
    close: ClockTime
    special_close_after_minutes: Whole = Field(default=0, ge=0)

    @property
    def key(self) -> Hashable:
        return self.market_class

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if self.open >= self.close:
            raise ValueError(f"closes at {self.close:%H:%M}, which is not after it opens at {self.open:%H:%M}")
        return self


class ExpiringHoursRow(DatedRow):
    """When a contract's trading ends on its last day, where that is before its segment closes."""

    market: Market
    close: ClockTime

    @property
    def key(self) -> Hashable:
        return self.market


class PhaseSpan(Model):
    """Minutes from the open (pre-open) or from the close (auction) of continuous trading."""

    phase: Phase
    start_minute: Whole
    end_minute: Whole
    order_types: frozenset[OrderType]  # accepted in it

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if self.start_minute >= self.end_minute:
            raise ValueError(f"{self.phase} ends at minute {self.end_minute}, not after its start {self.start_minute}")
        return self


class _PhasesRow(DatedRow):
    market_class: MarketClass
    phases: tuple[PhaseSpan, ...]
    special_sessions: Flag = False  # held on special sessions too

    @property
    def key(self) -> Hashable:
        return self.market_class

    @model_validator(mode="after")
    def _phases_ascend(self) -> Self:
        for before, after in zip(self.phases, self.phases[1:], strict=False):
            if after.start_minute < before.end_minute:
                raise ValueError(f"{after.phase} overlaps {before.phase}")
        return self


class PreOpenRow(_PhasesRow):
    """`futures_only`: of derivatives, the current month's futures alone, and the next month's in the last
    `next_month_from_days` days of the current one's life."""

    futures_only: Flag = False
    next_month_from_days: Whole = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _before_the_open(self) -> Self:
        if any(span.end_minute > 0 for span in self.phases):
            raise ValueError("a phase of the pre-open ends after the open (minutes are negative)")
        return self


class ClosingAuctionRow(_PhasesRow):
    """Limit orders that rest when continuous trading ends go on in the auction where `carries_limit_orders`, and are
    cancelled else; stops that have not triggered always are. `band_pct` bounds prices around the reference price."""

    band_pct: Decimals = Field(gt=0)
    carries_limit_orders: Flag = False

    @model_validator(mode="after")
    def _after_the_close(self) -> Self:
        if any(span.start_minute < 0 for span in self.phases):
            raise ValueError("a phase of the closing auction begins before the close of continuous trading")
        return self


class PostCloseRow(DatedRow):
    """The session at the closing price, on days of ordinary hours. No order type is said to be taken: none is."""

    market_class: MarketClass
    start: ClockTime
    end: ClockTime

    @property
    def key(self) -> Hashable:
        return self.market_class

    @model_validator(mode="after")
    def _starts_first(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"ends at {self.end:%H:%M}, which is not after it starts at {self.start:%H:%M}")
        return self


class RangeResetRow(DatedRow):
    """From then on the operating range of the market's futures is set anew when the closing auction of stocks begins,
    and orders further than `percent` from the price are cancelled."""

    market: Market
    percent: Decimals = Field(gt=0, lt=100)

    @property
    def key(self) -> Hashable:
        return self.market


Window = tuple[ClockTime, ClockTime]


class SpecialSessionRow(DayRow):
    """Hours of one day that differ from its weekday; `windows` None means the ordinary hours."""

    label: str
    windows: tuple[Window, ...] | None

    @model_validator(mode="after")
    def _windows_ascend(self) -> Self:
        edges = [edge for window in self.windows or () for edge in window]
        if edges != sorted(set(edges)):
            raise ValueError(f"{self.date}: windows overlap or run backwards")
        return self


class HolidayRow(DayRow):
    label: str
    session: HolidaySession


class SettlementHolidayRow(DayRow):
    """A day that trades and does not settle."""

    label: str


def _weekday(value: object) -> Weekday | None:
    if value is None:
        return None
    if str(value) not in Weekday.__members__:
        raise ValueError(f"{value!r} is no weekday")
    return Weekday[str(value)]


class _UnderlyingRow(RuleRow):
    underlying: str = Field(min_length=1)

    @property
    def key(self) -> Hashable:
        return self.underlying


class _ContractMonthRow(_UnderlyingRow):
    first: ContractMonth = Field(alias="first_contract")

    @property
    def begins(self) -> date:
        return self.first


class IndexRow(_UnderlyingRow):
    """The underlying is an index."""

    @property
    def begins(self) -> date:
        return date.min


class StockRow(_UnderlyingRow):
    """The stock has futures and options; where not `listed`, as an override may say, it has none any more."""

    listed: Flag = True

    @property
    def begins(self) -> date:
        return date.min


class MonthlyExpiryRow(_ContractMonthRow):
    weekday: Annotated[Weekday, BeforeValidator(_weekday)]


class WeeklyExpiryRow(_UnderlyingRow):
    first: Day = Field(alias="from")  # a Monday: a week has one expiry
    weekday: Annotated[Weekday | None, BeforeValidator(_weekday)]

    @property
    def begins(self) -> date:
        return self.first

    @model_validator(mode="after")
    def _begins_a_week(self) -> Self:
        if self.first.weekday() != Weekday.MONDAY:
            raise ValueError(f"{self.first}: a weekly expiry rule begins on a Monday")
        return self


class LotRow(_ContractMonthRow):
    lot_size: Whole = Field(gt=0)


class FreezeRow(_UnderlyingRow):
    first: Day = Field(alias="from")
    quantity: Whole = Field(gt=0)

    @property
    def begins(self) -> date:
        return self.first


class TickBand(Model):
    below_paise: Whole | None
    tick_size_paise: Whole = Field(gt=0)


class TickBandsRow(DatedRow):
    """Price steps by price; the last band has no upper end."""

    bands: tuple[TickBand, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _bands_ascend(self) -> Self:
        *bounded, last = [band.below_paise for band in self.bands]
        ends = [end for end in bounded if end is not None]
        if last is not None or len(ends) != len(bounded) or ends != sorted(set(ends)):
            raise ValueError("bands must ascend, and the last alone has no upper end (null)")
        return self


class FutureTicksRow(TickBandsRow):
    """By the level of the index; '*' is every index that is not named."""

    underlying: str

    @property
    def key(self) -> Hashable:
        return self.underlying


class OptionTicksRow(TickBandsRow):
    market: Market

    @property
    def key(self) -> Hashable:
        return self.market


class OrderTypesRow(DatedRow):
    order_types: frozenset[OrderType]


class PriceProtectionRow(DatedRow):
    """Option orders further from the average price than `percent`, or, at a premium up to `premium_above_paise`, than
    `width_below_paise`, are cancelled when they would match."""

    premium_above_paise: Whole = Field(gt=0)
    percent: Whole = Field(gt=0, lt=100)
    width_below_paise: Whole = Field(gt=0)


class RatioExemptionRow(DatedRow):
    """Orders so near to the last price do not count to the order-to-trade ratio: of options by `option_percent`, below
    a premium of `option_below_paise` by `option_width_paise`; of anything else by `other_percent`."""

    option_percent: Decimals = Field(gt=0)
    option_below_paise: Whole = Field(gt=0)
    option_width_paise: Whole = Field(gt=0)
    other_percent: Decimals = Field(gt=0)


class YearRange(Model):
    first_year: Whole
    last_year: Whole
