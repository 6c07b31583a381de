"""How far every session is from its limits, told to whoever looks: a row in the book, and a metric.

Measured between entries, a few seconds apart, from the marks in memory, some sessions at a time; written only where it
changed, and beside the turn: no signal waits for it.
"""

import asyncio
from collections.abc import Sequence

from services.risk.market.surroundings import Surroundings
from services.risk.metrics import RiskMetrics
from services.risk.ports import RiskBook, SessionHeadroom
from services.risk.sessions import RiskSessions
from tradebus.kernel.timers import Timers
from tradebus.risk.rules.headroom import Headroom, headroom
from tradebus.runtime.patience import repeatedly

_AT_ONCE = 50  # sessions: a turn of about a millisecond


class HeadroomTold:
    """A component of the service shell. `turn` is held by whoever changes sessions."""

    def __init__(
        self, book: RiskBook, sessions: RiskSessions, surroundings: Surroundings, *, turn: asyncio.Lock,
        timers: Timers, every_seconds: float, metrics: RiskMetrics,
    ) -> None:  # fmt: skip
        self._book, self._sessions, self._surroundings, self._metrics = book, sessions, surroundings, metrics
        self._turn, self._timers, self._every_seconds = turn, timers, every_seconds
        self._told: dict[str, Sequence[Headroom]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        await repeatedly(
            self.tell, stop, timers=self._timers, every_seconds=self._every_seconds, what="headroom", at_once=False
        )

    async def tell(self) -> None:
        """Measures and writes once. Raises what the book's absence raises."""
        now_ns = self._surroundings.market.data_ns
        names, found = list(self._sessions.alive), dict[str, Sequence[Headroom]]()
        for start in range(0, len(names), _AT_ONCE):
            async with self._turn:
                for name in names[start : start + _AT_ONCE]:
                    session = self._sessions.alive.get(name)
                    if session is not None:
                        shared = self._surroundings.shared.around(name, now_ns=now_ns)
                        found[name] = headroom(session.state, session.terms, now_ns=now_ns, shared=shared)
        self._measure([one for rooms in found.values() for one in rooms])
        changed = [
            SessionHeadroom(name, now_ns, rooms) for name, rooms in found.items() if self._told.get(name) != rooms
        ]
        gone = [name for name in self._told if name not in found]
        if changed or gone:
            await self._book.tell_headroom(changed, gone=gone)
        self._told = found

    def _measure(self, rooms: Sequence[Headroom]) -> None:
        """The largest share that any session has used of each limit."""
        shares: dict[str, float] = {}
        for one in rooms:
            shares[one.limit] = max(shares.get(one.limit, 0.0), one.share)
        self._metrics.limit_used.clear()
        for limit, share in shares.items():
            self._metrics.limit_used.labels(limit).set(share)
