"""Whether the day's data comes: whose is silent, what was lost, which subscription was never answered.

data of a turn ─► heard ─► spans ended ─► asked of history
losses of connections, silence ─► spans opened ─► the ledger (DATA_GAP where it lasts), mute connections given up
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from services.market_data.feeds.live.connections import FeedConnections
from services.market_data.feeds.live.day import FollowedDay
from services.market_data.feeds.live.metrics import LiveMetrics
from services.market_data.gaps.gap import FeedGroup, Gap, gap_message, new_gap
from services.market_data.gaps.ledger import GapLedger
from services.market_data.gaps.liveness import Liveness
from services.market_data.gaps.spans import Span, Spans
from tradebus.contracts.records import Records

_log = structlog.get_logger()
_NO_DATA = "no data in session"
# A subscription that brought nothing for so many times the limit of silence is made again, and later each time.
_UNHEARD_LIMITS = 2
_ASKED_MAX = 5


class DataWatch:
    """`silent_ns` of machine time is how long data may stay away in a session; `filled` is handed each gap whose data
    is back."""

    def __init__(
        self, day: FollowedDay, connections: FeedConnections, ledger: GapLedger, *, broker: str, since_ns: int,
        silent_ns: int, filled: Callable[[Gap], None], metrics: LiveMetrics, monotonic_ns: Callable[[], int],
    ) -> None:  # fmt: skip
        self._day, self._connections, self._ledger, self._broker = day, connections, ledger, broker
        self._filled, self._metrics, self._monotonic_ns = filled, metrics, monotonic_ns
        groups = set(day.groups.values())
        self._liveness = Liveness(groups, silent_ns=silent_ns)
        self._liveness.opened(monotonic_ns())
        self._spans = Spans(dict.fromkeys(groups, since_ns))
        self._gaps: dict[FeedGroup, Gap] = {}
        self._trading: set[FeedGroup] = set()
        self._strikes: dict[FeedGroup, int] = {}  # limits of silence in a row
        self._silent_ns = silent_ns
        self._asked_again = 0
        self._ask_due_ns = monotonic_ns() + _UNHEARD_LIMITS * silent_ns
        self.unheard = 0

    async def turn(self, quotes: Records, *, trading: set[FeedGroup], now_ns: int) -> None:
        """Told of every turn: what came, and whose session it is."""
        heard = self._day.groups_of(quotes)
        self._spans.begin(trading - self._trading, now_ns)
        self._trading = trading
        for connection, reason in self._connections.losses().items():
            lost = [group for group in trading if group.connection == connection]
            await self._lost(lost, now_ns, reason=reason, silent=False)
        self._liveness.heard(heard, self._monotonic_ns())
        for group in heard:
            self._strikes.pop(group, None)
        for span in self._spans.ticked(heard, now_ns):
            await self._ended(span)
        await self._silent(trading, now_ns)
        await self._ask_again(trading)

    async def missed(self, groups: set[FeedGroup], *, from_ns: int, now_ns: int, to_ns: int) -> None:
        """Data of an open session that came while nobody followed it: what this life begins with."""
        for group in sorted(groups):
            span = Span(group, from_ns, now_ns, "market data was not followed", silent=True)
            await self._put(span)
            await self._ended(replace(span, to_ns=to_ns))

    async def _silent(self, trading: set[FeedGroup], now_ns: int) -> None:
        """A connection that is silent as a whole is given up. Where others of it tick, the silent ones are asked for
        once more first: they may be of a kind that is seldom quoted, and giving up costs the others their data."""
        silent = self._liveness.silent(trading, self._monotonic_ns())
        if not silent:
            return
        ticking = {group.connection for group in trading.difference(silent)}
        seldom = [group for group in silent if group.connection in ticking and group not in self._strikes]
        stopped = [group for group in silent if group not in seldom]
        for group in silent:
            self._strikes[group] = self._strikes.get(group, 0) + 1
        self._liveness.heard(silent, self._monotonic_ns())  # each has the whole limit again
        if seldom:
            await self._lost(seldom, now_ns, reason=_NO_DATA, silent=False)
            for group in seldom:
                await self._connections.ask_again(group.connection, list(self._day.members(group)))
        if stopped:
            await self._lost(stopped, now_ns, reason=_NO_DATA, silent=True)
            await self._reopen({group.connection for group in stopped if self._may_reopen(group, ticking)}, stopped)

    def _may_reopen(self, group: FeedGroup, ticking: set[int]) -> bool:
        """A connection that serves others is given up after 2, 4, 8, 16 … limits of silence only."""
        strikes = self._strikes[group]
        return group.connection not in ticking or strikes & (strikes - 1) == 0

    async def _reopen(self, connections: set[int], silent: list[FeedGroup]) -> None:
        if connections:
            self._metrics.silent.inc()
            _log.warning("no data in session, connecting again", groups=[str(each) for each in silent])
            reopened = await self._connections.reopen(connections)
            self._liveness.opened(self._monotonic_ns(), connections=reopened)

    async def _lost(self, groups: list[FeedGroup], now_ns: int, *, reason: str, silent: bool) -> None:
        for span in self._spans.lost(groups, now_ns, reason=reason, silent=silent):
            await self._put(span)

    async def _put(self, span: Span) -> None:
        gap = self._gaps.get(span.group)
        if gap is None:
            gap = new_gap(
                span.group, broker=self._broker, symbols=self._day.members(span.group), from_ns=span.from_ns,
                now_ns=span.lost_ns, reason=span.reason, announced=span.silent,
            )  # fmt: skip
            self._metrics.gaps.labels(gap.exchange, gap.market_class).inc()
        else:
            gap = replace(gap, reason=span.reason, announced=gap.announced or span.silent)
        self._gaps[span.group] = gap
        told = [gap_message(gap, now_ns=span.lost_ns)] if span.silent else []
        await self._ledger.put(gap, *told)

    async def _ended(self, span: Span) -> None:
        gap = replace(self._gaps.pop(span.group), to_ns=span.to_ns)
        await self._ledger.put(gap)
        self._filled(gap)

    async def _ask_again(self, trading: set[FeedGroup]) -> None:
        """Subscriptions that no data has come of are made again."""
        now_ns = self._monotonic_ns()
        if now_ns < self._ask_due_ns:
            return
        missing: Mapping[int, list[int]] = {
            connection: [each for each in unheard if self._day.groups[each] in trading]
            for connection, unheard in self._connections.unheard().items()
        }
        self.unheard = sum(len(each) for each in missing.values())
        self._metrics.unheard.set(self.unheard)
        self._asked_again = min(self._asked_again + 1, _ASKED_MAX) if self.unheard else 0
        self._ask_due_ns = now_ns + _UNHEARD_LIMITS * self._silent_ns * 2**self._asked_again
        for connection, instruments in missing.items():
            if instruments:
                names = [self._day.symbols[each] for each in instruments[:10]]
                _log.warning("subscriptions without data, asking again", count=len(instruments), symbols=names)
                await self._connections.ask_again(connection, instruments)
