"""How far every session is from its limits, told to whoever looks: a row in the book, and a metric.

Measured between entries, a few seconds apart, from the marks in memory; written only where it changed.
"""

from collections.abc import Sequence

from services.risk.market.surroundings import Surroundings
from services.risk.metrics import RiskMetrics
from services.risk.ports import RiskBook, SessionHeadroom
from services.risk.sessions import RiskSessions
from tradebus.risk.rules.headroom import Headroom, headroom


class HeadroomTold:
    def __init__(
        self, book: RiskBook, sessions: RiskSessions, surroundings: Surroundings, *, metrics: RiskMetrics
    ) -> None:  # fmt: skip
        self._book, self._sessions, self._surroundings, self._metrics = book, sessions, surroundings, metrics
        self._told: dict[str, Sequence[Headroom]] = {}

    async def tell(self) -> None:
        now_ns = self._surroundings.market.data_ns
        found = {
            name: headroom(
                session.state,
                session.terms,
                now_ns=now_ns,
                shared=self._surroundings.shared.around(name, now_ns=now_ns),
            )
            for name, session in self._sessions.alive.items()
        }
        self._measure([one for rooms in found.values() for one in rooms])
        changed = [
            SessionHeadroom(name, now_ns, rooms) for name, rooms in found.items() if self._told.get(name) != rooms
        ]
        gone = [name for name in self._told if name not in found]
        if changed or gone:
            await self._book.tell_headroom(changed, gone=gone)
        self._told = dict(found)

    def _measure(self, rooms: Sequence[Headroom]) -> None:
        """The largest share that any session has used of each limit."""
        shares: dict[str, float] = {}
        for one in rooms:
            shares[one.limit] = max(shares.get(one.limit, 0.0), one.share)
        self._metrics.limit_used.clear()
        for limit, share in shares.items():
            self._metrics.limit_used.labels(limit).set(share)
