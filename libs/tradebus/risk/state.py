"""What risk remembers of one session. Frozen: every change makes a new state, so a failed transaction changes nothing.

Invariants, property-tested:
- a holding is pending (approved, not open), open, or closed and waiting for the ticks up to its close to be marked,
- `trades` counts, per symbol, this day's approvals that opened or still may; so does a strategy's own,
- the day only goes forward; a new day adds what was realised to `carried_paise` and forgets it, streaks, trade counts
  and halts, never a holding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from tradebus.contracts.sessions import RiskLimits, ScopeLimits
from tradebus.contracts.signals import Side
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, ist_date
from tradebus.trading.facts import EntrySignal

APPROVALS_KEPT_NS = 60 * NANOSECONDS_PER_SECOND  # what orders per minute are counted over
_BEFORE_ALL_DAYS = date(1970, 1, 1)
_EPOCH_ORDINAL = _BEFORE_ALL_DAYS.toordinal()


@dataclass(frozen=True, slots=True)
class LegShare:
    """What a leg is of its group: its quantity in one unit of it, and what each needs of margin while as many units of
    the `hedges` bought legs are there. Nothing hedges a leg that is bought."""

    quantity_per_unit: int
    hedged_unit_paise: int = 0
    hedges: int = 0


@dataclass(frozen=True, slots=True)
class RiskHolding:
    """One approved entry, from the approval until its close has been marked. Money in paise, instants in ns.

    The entry's size is what execution reported on opening or what the fills add up to, whichever is more: the two
    come in either order. `exit_due` says that an EXIT_APPROVED must follow as soon as it is open, `closing_rule` that
    one is out.
    """

    pos_id: str
    strategy: str
    symbol: str
    instrument: int
    side: Side
    quantity: int  # approved: what the position may still grow to
    price_paise: int
    trace_id: str
    approved_ns: int
    opened_quantity: int = 0
    average_paise: int = 0
    filled_quantity: int = 0
    filled_value_paise: int = 0
    exit_quantity: int = 0
    exit_value_paise: int = 0
    opened_ns: int | None = None
    hard_end_ns: int | None = None  # when it must be closed at the latest; None once that exit is due
    mark_paise: int = 0  # the last price seen while open; 0: none yet
    closing_rule: str | None = None
    exit_due: str | None = None
    closed_ns: int | None = None
    net_pnl_paise: int = 0
    group_id: str | None = None  # of a leg
    margin_unit_paise: int = 0  # what a unit needs of margin, estimated when it was approved
    leg: LegShare | None = None  # of a leg

    @property
    def live(self) -> bool:
        """Pending or open: it counts against every limit."""
        return self.closed_ns is None

    @property
    def open(self) -> bool:
        return self.opened_ns is not None and self.closed_ns is None

    @property
    def entry_quantity(self) -> int:
        filled, opened = self.filled_quantity, self.opened_quantity
        return filled if filled >= opened else opened

    @property
    def entry_value_paise(self) -> int:
        """Exact where the fills are known, the reported average times the quantity until then."""
        if self.filled_quantity >= self.opened_quantity:
            return self.filled_value_paise
        return self.opened_quantity * self.average_paise

    def pnl_paise(self, price_paise: int) -> int:
        """Gross profit, exits so far included, if the rest were closed at this price."""
        filled, opened = self.filled_quantity, self.opened_quantity
        if filled >= opened:
            rest, paid_paise = filled - self.exit_quantity, self.filled_value_paise
        else:
            rest, paid_paise = opened - self.exit_quantity, opened * self.average_paise
        gained_paise = rest * price_paise + self.exit_value_paise - paid_paise
        return gained_paise if self.side is Side.LONG else -gained_paise

    @property
    def unrealised_paise(self) -> int:
        """The gross profit at the last mark; nothing before the first."""
        return self.pnl_paise(self.mark_paise) if self.mark_paise else 0

    @property
    def rest_quantity(self) -> int:
        """What is held or may still come in."""
        return max(0, max(self.quantity, self.entry_quantity) - self.exit_quantity)

    @property
    def exposure_paise(self) -> int:
        """What it ties up, at entry prices, counting what a working entry may still fill; rounded up."""
        filled, exited = self.entry_quantity, self.exit_quantity
        rest_paise = (self.quantity - filled) * self.price_paise if self.quantity > filled else 0
        if filled <= exited:
            return rest_paise
        paid_paise = self.entry_value_paise
        return rest_paise + (-(-paid_paise * (filled - exited) // filled) if exited else paid_paise)


@dataclass(frozen=True, slots=True)
class WaitingEntry:
    """An entry that the rules let in and that waits for a person: one signal, or those of the legs that have come."""

    approval_id: str
    signals: tuple[EntrySignal, ...]
    quantity: int  # of the first, as it would be
    asked_ns: int
    expires_ns: int

    @property
    def first(self) -> EntrySignal:
        return self.signals[0]


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """Whose a close of the day was."""

    strategy: str
    symbol: str


@dataclass(frozen=True, slots=True)
class StrategyDay:
    """What one strategy has done this day, as `RiskState` keeps it for the session."""

    consecutive_losses: int = 0
    trades: Mapping[str, int] = field(default_factory=dict)
    last_trade_ns: Mapping[str, int] = field(default_factory=dict)
    approvals_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RiskState:
    """Mappings are never changed in place. `marked_ns` is the event time up to which ticks have been applied and
    `marked_entry_id` the bus entry that brought them, so that a restart can find the marks again."""

    day: date = _BEFORE_ALL_DAYS
    realised: Mapping[str, int] = field(default_factory=dict)  # net profit of the day's closes, by pos_id
    consecutive_losses: int = 0
    holdings: Mapping[str, RiskHolding] = field(default_factory=dict)
    trades: Mapping[str, int] = field(default_factory=dict)
    last_trade_ns: Mapping[str, int] = field(default_factory=dict)  # by symbol: the last opening or close
    halted_rule: str | None = None
    paused: bool = False
    stopping: bool = False
    marked_ns: int = 0
    marked_entry_id: str = "0"
    closed: Mapping[str, ClosedTrade] = field(default_factory=dict)  # whose the realised profits are, by pos_id
    strategies: Mapping[str, StrategyDay] = field(default_factory=dict)
    approvals_ns: tuple[int, ...] = ()  # entries approved within the last APPROVALS_KEPT_NS
    halted_parts: Mapping[str, str] = field(default_factory=dict)  # the rule, by `part_name`
    carried_paise: int = 0  # net profit of the days before
    # Limits that were changed while running, and when; None: as START gave them.
    limits: RiskLimits | None = None
    strategy_limits: Mapping[str, ScopeLimits] = field(default_factory=dict)
    limits_set_ns: int = 0
    waiting: Mapping[str, WaitingEntry] = field(default_factory=dict)  # for a person's yes, by approval_id

    def live(self) -> list[RiskHolding]:
        return [holding for holding in self.holdings.values() if holding.live]

    def open(self) -> list[RiskHolding]:
        return [holding for holding in self.holdings.values() if holding.open]

    def group(self, group_id: str) -> list[RiskHolding]:
        """The legs of a group, as they were approved."""
        return [holding for holding in self.holdings.values() if holding.group_id == group_id]

    def total_paise(self) -> int:
        """The day's realised net profit and the open positions' gross profit at their last marks."""
        return sum(self.realised.values()) + sum(holding.unrealised_paise for holding in self.open())

    def at(self, ts_ns: int) -> "RiskState":
        """The state as of the Indian date of that instant; a day that is not later changes nothing."""
        if (ts_ns + IST_OFFSET_NS) // NANOSECONDS_PER_DAY + _EPOCH_ORDINAL <= self.day.toordinal():
            return self
        day = ist_date(ts_ns)
        kept = {holding.pos_id: holding for holding in self.live()}
        return replace(
            self, day=day, realised={}, consecutive_losses=0, trades={}, halted_rule=None, holdings=kept, closed={},
            strategies={}, approvals_ns=(), halted_parts={},
            carried_paise=self.carried_paise + sum(self.realised.values()),
        )  # fmt: skip

    def with_holding(self, holding: RiskHolding) -> "RiskState":
        return replace(self, holdings={**self.holdings, holding.pos_id: holding})

    def without_holding(self, pos_id: str) -> "RiskState":
        return replace(self, holdings={key: value for key, value in self.holdings.items() if key != pos_id})


def part_name(*, strategy: str | None, symbol: str | None) -> str:
    """A part of a session as `halted_parts` names it; None stands for every one."""
    if strategy is None:
        return f"symbol {symbol}"
    return f"strategy {strategy}" if symbol is None else f"symbol {symbol} of strategy {strategy}"


def halted_part_of(state: RiskState, *, strategy: str, symbol: str) -> tuple[str, str] | None:
    """The halted part that a strategy's trades in a symbol belong to, and the rule that halted it."""
    if not state.halted_parts:
        return None
    for name in (
        part_name(strategy=None, symbol=symbol),
        part_name(strategy=strategy, symbol=None),
        part_name(strategy=strategy, symbol=symbol),
    ):
        if name in state.halted_parts:
            return name, state.halted_parts[name]
    return None
