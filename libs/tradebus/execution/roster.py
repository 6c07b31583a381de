"""The living trades of one execution instance, in memory: by position, instrument, tag and deadline. Pure.

Invariant: every index names the same trades, and none that has ended.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from tradebus.execution import deadlines
from tradebus.execution.trade import Trade


@dataclass(frozen=True, slots=True)
class _OfInstrument:
    """The owner's trades in an instrument, by position, and the earliest deadline of any of them."""

    trades: Sequence[Trade]
    earliest_ns: int | None


class Roster:
    """`owner` is the instance whose trades these are. Read its mappings; only `remember` and `forget` change them."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.alive: dict[str, Trade] = {}
        self.by_instrument: dict[int, dict[str, Trade]] = {}  # the same trades
        self.market_ns = 0  # the event time of what is being handled
        self.revision = 0  # goes up with every change of any trade
        self._deadlines_ns: dict[str, int] = {}  # of the trades that have one
        self._earliest: tuple[int, int | None] = (-1, None)  # as of a revision, the earliest of them
        self._of_instrument: dict[int, _OfInstrument] = {}  # where nothing of the instrument has changed since
        self._holding: dict[int, set[str]] = {}  # trades with a fill, by instrument
        self._position_of_tag: dict[str, str] = {}

    @property
    def holds_any(self) -> bool:
        """Whether any living trade has been filled."""
        return bool(self._holding)

    @property
    def held_instruments(self) -> Set[int]:
        """Those of which any living trade has been filled."""
        return self._holding.keys()

    def is_owner(self, name: str) -> bool:
        """Whether that instance is this one."""
        return name == self.owner

    def remember(self, trade: Trade) -> None:
        """Takes a trade as it is now; one that has ended is forgotten."""
        self.revision += 1
        if trade.ended:
            self.forget(trade.pos_id)
            return
        self.alive[trade.pos_id] = trade
        self._of_instrument.pop(trade.instrument, None)
        self.by_instrument.setdefault(trade.instrument, {})[trade.pos_id] = trade
        if trade.entry_quantity:
            self._holding.setdefault(trade.instrument, set()).add(trade.pos_id)
        due_ns = deadlines.deadline_ns(trade)
        if due_ns is None:
            self._deadlines_ns.pop(trade.pos_id, None)
        else:
            self._deadlines_ns[trade.pos_id] = due_ns
        for order in trade.orders:
            self._position_of_tag[order.tag] = trade.pos_id

    def forget(self, pos_id: str) -> None:
        """Lets a trade go: it has ended, is another instance's, or will be read again."""
        self.revision += 1
        trade = self.alive.pop(pos_id, None)
        self._deadlines_ns.pop(pos_id, None)
        if trade is None:
            return
        holding = self._holding.get(trade.instrument, set())
        holding.discard(pos_id)
        if not holding:
            self._holding.pop(trade.instrument, None)
        for order in trade.orders:
            self._position_of_tag.pop(order.tag, None)
        self._of_instrument.pop(trade.instrument, None)
        others = self.by_instrument[trade.instrument]
        del others[pos_id]
        if not others:
            del self.by_instrument[trade.instrument]

    def position_of(self, tag: str) -> str | None:
        """The position whose order bears the tag, None where none of these does."""
        return self._position_of_tag.get(tag)

    def of_instrument(self, instrument: int) -> Sequence[Trade]:
        """The owner's trades in the instrument, by position."""
        return self._looked_at(instrument).trades

    def due_in(self, instrument: int, now_ns: int) -> Sequence[Trade]:
        """Those of the instrument whose deadline was at or before `now_ns` when they were last remembered."""
        found = self._looked_at(instrument)
        if found.earliest_ns is None or found.earliest_ns > now_ns:
            return ()
        return [trade for trade in found.trades if self._deadlines_ns.get(trade.pos_id, now_ns + 1) <= now_ns]

    def _looked_at(self, instrument: int) -> _OfInstrument:
        found = self._of_instrument.get(instrument)
        if found is None:
            several = sorted(self.by_instrument.get(instrument, {}).items())
            trades = [trade for _, trade in several if trade.owner == self.owner]
            dues = [due_ns for trade in trades if (due_ns := self._deadlines_ns.get(trade.pos_id)) is not None]
            found = self._of_instrument[instrument] = _OfInstrument(trades, min(dues, default=None))
        return found

    @property
    def earliest_ns(self) -> int | None:
        """The earliest deadline of any of these trades, None where none has one."""
        if self._earliest[0] != self.revision:
            self._earliest = (self.revision, min(self._deadlines_ns.values(), default=None))
        return self._earliest[1]

    def due(self, now_ns: int) -> list[Trade]:
        """Trades whose deadline is at or before `now_ns`, by position."""
        earliest_ns = self.earliest_ns
        if earliest_ns is None or earliest_ns > now_ns:
            return []
        return [self.alive[pos_id] for pos_id, due_ns in sorted(self._deadlines_ns.items()) if due_ns <= now_ns]
