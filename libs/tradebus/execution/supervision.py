"""Market data applied to living trades: which of them acts next, and in which order. Pure.

A batch of ticks becomes a walk: an iterator of actions, each of which is to be carried out, with everything that
follows from it, before the next is asked for. Services carry them out on a book of record, the engine in memory.

    instrument by instrument: deadlines ─► market ─► targets, and the same tick again     then time passes: the rest

Sparse out of dense: for each instrument with a living trade the next tick at which anything can happen is found with
array operations, and only that tick is handled. A batch without living trades costs nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Protocol

from tradebus.contracts.records import Records
from tradebus.execution import deadlines, decisions
from tradebus.execution.decisions import Decide
from tradebus.execution.roster import Roster
from tradebus.execution.trade import Trade
from tradebus.execution.watching import (
    columns,
    deadline_index,
    ending,
    note_extremes,
    reached_target,
    target_index,
    trail_index,
)
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.trading.orders import InstrumentTicks

_SAVE_EVERY_NS = NANOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class TradeDecision:
    """A trade changes."""

    pos_id: str
    decide: Decide


@dataclass(frozen=True, slots=True)
class KeepExtremes:
    """The extremes of these trades are stored before the market may close them: a crash between its word and ours must
    not lose them."""

    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True)
class MeetTick:
    """The market is shown one tick, once, and what it says is reported."""

    instrument: int
    ticks: InstrumentTicks
    index: int


@dataclass(frozen=True, slots=True)
class PassTime:
    """The market's time passes without a tick: asked until it has nothing more to say, each word reported."""

    now_ns: int


@dataclass(frozen=True, slots=True)
class TrailStop:
    """A trade's stops are to follow the market, where nothing speaks against a request for it."""

    pos_id: str
    market_paise: int
    at_ns: int

    @property
    def decide(self) -> Decide:
        return decisions.trail(market_paise=self.market_paise, at_ns=self.at_ns)


Asked = Set[tuple[str, int | None]]  # positions and when they were due

SupervisionAction = TradeDecision | KeepExtremes | MeetTick | PassTime | TrailStop


class Touches(Protocol):
    """What is asked of a market that fills from ticks."""

    def next_touch(self, instrument: int, ticks: InstrumentTicks, start: int) -> int | None:
        """The index, at or after `start`, of the first tick that can change an order of this instrument."""


class Supervision:
    """Applies batches in order. `now_ns` is the event time up to which everything has been applied; `market` is None
    where an exchange fills, not we."""

    def __init__(self, roster: Roster, market: Touches | None) -> None:
        self._roster, self._market = roster, market
        self.now_ns = 0
        self._saved_ns = 0
        self._last_at_ns: dict[int, int] = {}  # per instrument, of the last tick applied
        # The next tick of an instrument that matters, as of a revision of the roster: where the last walk ended.
        self.looked: dict[int, tuple[int, int | None]] = {}

    def apply(self, ticks: Records, *, end_ns: int) -> Iterator[SupervisionAction]:
        """One batch: everything up to, not including, `end_ns`."""
        watched = self._watched()
        if watched and len(ticks):
            for instrument in sorted(watched & set(ticks["instrument"].tolist())):
                own = ticks[ticks["instrument"] == instrument]
                table = columns(own, after_ns=self._last_at_ns.get(instrument, 0))
                self._last_at_ns[instrument] = int(table.at_ns[-1])
                yield from self.walk(instrument, table, 0, len(table))
        yield from self.pass_time(end_ns)

    def missed(self, passed_ns: Callable[[Trade], int]) -> Iterator[SupervisionAction]:
        """Deadlines that time alone tells of, where the ticks have stopped. `passed_ns` is the event time that has
        certainly passed for a trade, 0 where only its ticks tell."""
        for trade in list(self._roster.alive.values()):
            now_ns = passed_ns(trade)
            if now_ns > self.now_ns and self._roster.is_owner(trade.owner):
                yield from _deadline(trade, now_ns, missed=True)

    def unsaved(self) -> list[Trade]:
        """Open trades whose extremes should be stored now: at most once a second of event time."""
        if self.now_ns - self._saved_ns < _SAVE_EVERY_NS:
            return []
        self._saved_ns = self.now_ns
        return self.held()

    def held(self) -> list[Trade]:
        """Open trades."""
        return [trade for trade in self._roster.alive.values() if trade.entry_quantity]

    def _watched(self) -> Set[int]:
        """Instruments whose ticks can matter: all with a living trade where we fill from ticks ourselves, else those
        with something held."""
        return self._roster.held_instruments if self._market is None else self._roster.by_instrument.keys()

    def pass_time(self, end_ns: int) -> Iterator[SupervisionAction]:
        """What time alone brings up to, not including, `end_ns`."""
        if self._roster.alive:
            self._roster.market_ns = end_ns - 1
            if self._market is not None:
                yield from _keep([trade for trade in self.held() if ending(trade)] if self._roster.holds_any else ())
                yield PassTime(end_ns - 1)
            for trade in self._roster.due(end_ns - 1):
                yield from _deadline(trade, end_ns - 1)
        self.now_ns = max(self.now_ns, end_ns)

    def walk(self, instrument: int, ticks: InstrumentTicks, start: int, stop: int) -> Iterator[SupervisionAction]:
        """The ticks [start, stop) of an instrument. Those before `start` were applied, or nothing happened at them.

        A deadline that stands as it stood when it was asked for has its next turn with the next batch.
        """
        asked = set[tuple[str, int | None]]()
        while True:
            trades = self._roster.of_instrument(instrument)
            index = self.next_index(instrument, ticks, start, asked=asked)
            if index is None or index >= stop:
                self.looked[instrument] = (self._roster.revision, index)
                index = None
            opened = _opened(trades)
            at_target = [trade.pos_id for trade in opened if index is not None and reached_target(trade, ticks, index)]
            to_trail = [
                trade.pos_id for trade in opened if index is not None and trail_index(trade, ticks, index) == index
            ]
            for trade in opened:
                note_extremes(trade, ticks, 0, stop if index is None else index + 1)
            if index is None:
                return
            at_ns = self._roster.market_ns = int(ticks.at_ns[index])
            for trade in self._roster.due_in(instrument, at_ns):
                due = (trade.pos_id, deadlines.deadline_ns(trade))
                if due not in asked:
                    asked.add(due)
                    yield from _deadline(trade, at_ns)
            if self._market is not None:
                yield from _keep(trades)
                yield MeetTick(instrument, ticks, index)
            for pos_id in at_target:  # harmless where the stop was hit by the same tick
                yield TradeDecision(pos_id, decisions.exit_at(reason="target", at_ns=at_ns))
            for pos_id in to_trail:
                yield TrailStop(pos_id, int(ticks.price_paise[index]), at_ns)
            # The same tick again: it may fill an order that it caused to be placed with an earlier time. What has seen
            # it already does not see it twice (as_of_ns).
            start = index

    def next_index(
        self, instrument: int, ticks: InstrumentTicks, start: int, *, asked: Asked = frozenset()
    ) -> int | None:
        """The next tick, at or after `start`, at which anything can happen as things stand. Deadlines that were `asked`
        for are over with."""
        opened, last_ns = _opened(self._roster.of_instrument(instrument)), int(ticks.at_ns[-1]) if len(ticks) else 0
        found = [target_index(trade, ticks, start) for trade in opened]
        found += [trail_index(trade, ticks, start) for trade in opened]
        found += [
            deadline_index(trade, ticks, start) for trade in self._roster.due_in(instrument, last_ns)
            if not asked or (trade.pos_id, deadlines.deadline_ns(trade)) not in asked
        ]  # fmt: skip
        if self._market is not None:
            found.append(self._market.next_touch(instrument, ticks, start))
        due = [index for index in found if index is not None]
        return min(due) if due else None


def _opened(trades: Iterable[Trade]) -> list[Trade]:
    """Those that have been filled: to the others a price means nothing, however many of them wait."""
    return [trade for trade in trades if trade.opened_ns is not None]


def _keep(trades: Iterable[Trade]) -> Iterator[SupervisionAction]:
    held = tuple(trade for trade in trades if trade.entry_quantity)
    if held:
        yield KeepExtremes(held)


def _deadline(trade: Trade, now_ns: int, *, missed: bool = False) -> Iterator[SupervisionAction]:
    due = deadlines.deadline_ns(trade)
    if due is not None and due <= now_ns:
        yield TradeDecision(trade.pos_id, decisions.deadline(now_ns, missed=missed))
