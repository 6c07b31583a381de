"""Market data applied to living trades: paper fills, targets, deadlines, extremes.

Sparse out of dense: for each instrument with a living trade the next tick at which anything can happen is found with
array operations, and only that tick is handled. A batch without living trades costs nothing.
"""

from collections.abc import Iterable, Mapping, Set

from services.execution.keeper import Keeper
from tradebus.brokers.ports import SimulatedMarket
from tradebus.calendar import MarketClass, session_for
from tradebus.contracts.records import Records
from tradebus.execution import decisions, lifecycle
from tradebus.execution.trade import Trade
from tradebus.execution.watching import columns, deadline_index, ending, note_extremes, reached_target, target_index
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.trading.orders import InstrumentTicks

_SAVE_EVERY_NS = NANOSECONDS_PER_SECOND


class Supervisor:
    """Applies batches in order. `now_ns` is the event time up to which everything has been applied."""

    def __init__(self, keeper: Keeper, market: SimulatedMarket | None) -> None:
        self._keeper, self._market = keeper, market
        self.now_ns = 0
        self._saved_ns = 0
        self._last_at_ns: dict[int, int] = {}  # per instrument, of the last tick applied
        self._deadlines = Deadlines()
        self._watched_revision = -1
        self._watched_now: Set[int] = frozenset()

    async def apply(self, ticks: Records, *, end_ns: int) -> None:
        """One batch: everything up to, not including, `end_ns`."""
        instruments = self._keeper.by_instrument
        if instruments and len(ticks):
            for instrument in sorted(self._watched(instruments) & set(ticks["instrument"].tolist())):
                own = ticks[ticks["instrument"] == instrument]
                table = columns(own, after_ns=self._last_at_ns.get(instrument, 0))
                self._last_at_ns[instrument] = int(table.at_ns[-1])
                await self._apply_instrument(instrument, table)
        if self._keeper.alive:
            await self._pass_time(end_ns)
        self.now_ns = max(self.now_ns, end_ns)

    async def meet_missed(self) -> None:
        """Deadlines of trades at brokers, where the ticks that would tell of them have stopped in a session."""
        for trade in list(self._keeper.alive.values()):
            passed_ns = self._keeper.passed_ns(trade.session_id)
            if passed_ns > self.now_ns and self._keeper.owns(trade) and _in_session(passed_ns):
                await self._meet_deadlines(trade, passed_ns, missed=True)

    def _watched(self, instruments: Mapping[int, Mapping[str, Trade]]) -> Set[int]:
        """Instruments whose ticks can matter: all with a living trade where we fill from ticks ourselves, else those
        with something held. Worked out again only when a trade has changed."""
        if self._watched_revision != self._keeper.revision:
            self._watched_revision = self._keeper.revision
            self._watched_now = {
                instrument
                for instrument, trades in instruments.items()
                if self._market is not None or any(trade.entry_quantity for trade in trades.values())
            }
        return self._watched_now

    def unsaved(self) -> list[Trade]:
        """Open trades whose extremes should be stored now: at most once a second of event time."""
        if self.now_ns - self._saved_ns < _SAVE_EVERY_NS:
            return []
        self._saved_ns = self.now_ns
        return [trade for trade in self._keeper.alive.values() if trade.entry_quantity]

    async def _pass_time(self, end_ns: int) -> None:
        self._keeper.market_ns = end_ns - 1
        if self._market is not None:
            await self._keep_extremes([trade for trade in self._keeper.alive.values() if ending(trade)])
            while reports := await self._market.advance(end_ns - 1):
                for report in reports:
                    await self._keeper.report(report)
        for trade in self._deadlines.due(self._keeper, end_ns - 1):
            await self._meet_deadlines(trade, end_ns - 1)

    async def _apply_instrument(self, instrument: int, ticks: InstrumentTicks) -> None:
        start = 0
        while True:
            trades = self._trades(instrument)
            index = self._next(instrument, trades, ticks, start)
            at_target = [trade.pos_id for trade in trades if index is not None and reached_target(trade, ticks, index)]
            for trade in trades:
                note_extremes(trade, ticks, start, len(ticks) if index is None else index + 1)
            if index is None:
                return
            at_ns = self._keeper.market_ns = int(ticks.at_ns[index])
            for trade in trades:
                await self._meet_deadlines(trade, at_ns)
            if self._market is not None:
                await self._keep_extremes(trades)
                for report in await self._market.on_tick(instrument, ticks, index):
                    await self._keeper.report(report)
            for pos_id in at_target:  # harmless where the stop was hit by the same tick
                await self._keeper.change(pos_id, decisions.exit_at(reason="target", at_ns=at_ns))
            # The same tick again: it may fill an order that it caused to be placed with an earlier time. What has seen
            # it already does not see it twice (as_of_ns).
            start = index

    async def _keep_extremes(self, trades: Iterable[Trade]) -> None:
        """Stored before the market may close the trade: a crash between its word and ours must not lose them."""
        held = [trade for trade in trades if trade.entry_quantity]
        if held:
            await self._keeper.save_extremes(held)

    def _next(self, instrument: int, trades: Iterable[Trade], ticks: InstrumentTicks, start: int) -> int | None:
        found = [target_index(trade, ticks, start) for trade in trades]
        found += [deadline_index(trade, ticks, start) for trade in trades]
        if self._market is not None:
            found.append(self._market.next_touch(instrument, ticks, start))
        due = [index for index in found if index is not None]
        return min(due) if due else None

    def _trades(self, instrument: int) -> list[Trade]:
        trades = self._keeper.by_instrument.get(instrument, {})
        return [trade for _, trade in sorted(trades.items()) if self._keeper.owns(trade)]

    async def _meet_deadlines(self, trade: Trade, now_ns: int, *, missed: bool = False) -> None:
        due = lifecycle.deadline_ns(trade)
        if due is not None and due <= now_ns:
            await self._keeper.change(trade.pos_id, decisions.deadline(now_ns, missed=missed))


class Deadlines:
    """The earliest deadline of all trades."""

    def __init__(self) -> None:
        self._revision = -1
        self._earliest_ns: int | None = None

    def due(self, keeper: Keeper, now_ns: int) -> list[Trade]:
        """Trades whose deadline is at or before `now_ns`."""
        if self._revision != keeper.revision:
            self._revision = keeper.revision
            self._earliest_ns = min(keeper.deadlines_ns.values(), default=None)
        if self._earliest_ns is None or self._earliest_ns > now_ns:
            return []
        return [keeper.alive[pos_id] for pos_id, due_ns in sorted(keeper.deadlines_ns.items()) if due_ns <= now_ns]


def _in_session(ts_ns: int) -> bool:
    """Whether anything is traded then: an exit that is refused out of hours is not tried all night."""
    session = session_for(ist_date(ts_ns), MarketClass.DERIVATIVE)
    return session is not None and session.open_ns <= ts_ns < session.close_ns
