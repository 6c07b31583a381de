"""What an entry led to, as it leaves: at once, or as answers that come later are taken, between entries.

    arrived ─► signals out ─► stored, with them ─► the entry may be acknowledged

A signal leaves before it is stored, as those that come in time do; no watermark can leave in between, for both are done
by the loop. A late signal has the event time of what was asked; a watermark may have passed it (decision 22).
"""

from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter

from services.strategy.answers.concluding import Concluding, Decided
from services.strategy.answers.histories import FailedStrategy
from services.strategy.answers.rounds import EntryTicket
from services.strategy.messages import SignalMessage, failed_message, signal_message
from services.strategy.ports import DecisionJournal
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.streams import SIGNALS
from tradebus.kernel.clock import Clock
from tradebus.runtime.consuming.handling import reason_of
from tradebus.runtime.patience import PASSING
from tradebus.store.books import SessionsBook
from tradebus.strategies.lane.decisions import DecisionRow
from tradebus.strategies.lane.sessions import ActiveSessions

_log = structlog.get_logger()


class Rendering:
    """Makes messages of what was decided, and pauses the sessions whose strategies cannot go on."""

    def __init__(
        self, *, sessions: SessionsBook, active: ActiveSessions, clock: Clock, registry: CollectorRegistry
    ) -> None:  # fmt: skip
        self._sessions, self._active, self._clock = sessions, active, clock
        self._decisions = Counter(
            "tradebus_strategy_decisions_total", "Decisions journalled", ["action"], registry=registry
        )

    async def of(self, decided: Decided, *, market_ns: int | None = None) -> tuple[list[SignalMessage], list[Outgoing]]:
        """The signals, each once, and all that goes on the bus. `market_ns` is the market's time, where it is known."""
        now_ns = self._clock.now_ns()
        for action, count in Tally(row.action for row in decided.rows).items():
            self._decisions.labels(action).inc(count)
        once = {signal.event_id: signal_message(signal, recorded_ns=now_ns) for signal in decided.signals}
        out = [Outgoing(SIGNALS.name, signal.TYPE, signal.to_json()) for signal in once.values()]
        out += [await self.failed(one, market_ns=market_ns) for one in decided.given_up]
        return list(once.values()), out

    async def failed(self, one: FailedStrategy, *, market_ns: int | None = None) -> Outgoing:
        """A session whose strategy cannot go on enters nothing more until a person resumes it."""
        reason = f"strategy {one.strategy}: {one.why}"
        _log.error(
            "session paused: its strategy cannot go on", session_id=one.session_id, strategy=one.strategy,
            reason=one.why,
        )  # fmt: skip
        await self._sessions.pause(one.session_id, reason=reason)
        session = self._active.get(one.session_id)
        assert session is not None
        message = failed_message(
            session.spec, one.strategy, reason=one.why, market_ns=market_ns, now_ns=self._clock.now_ns()
        )
        return Outgoing(SIGNALS.name, message.TYPE, message.to_json())


class LateAnswers:
    """Takes what has arrived. `post` has a job done by the loop, between entries."""

    def __init__(self, concluding: Concluding, rendering: Rendering, *, bus: Bus, journal: DecisionJournal) -> None:
        self._concluding, self._rendering, self._bus, self._journal = concluding, rendering, bus, journal
        self._in_hand: tuple[Decided, list[SignalMessage], list[Outgoing]] | None = None
        self._is_posted = False
        self.post: Callable[[Callable[[], Awaitable[object]]], None] = lambda job: None
        concluding.arrived = self._arrived

    async def take(self) -> None:
        """Where a server is away, what is in hand is taken again."""
        if self._in_hand is None:
            self._is_posted = False
            decided = self._concluding.take_arrived()
            self._in_hand = (decided, *await self._rendering.of(decided))
        decided, signals, out = self._in_hand
        if out:
            await self._bus.publish(out)
        await self._store(decided.rows, signals)
        self._in_hand = None
        close(decided.tickets)

    @property
    def is_waiting(self) -> bool:
        return self._concluding.is_waiting

    async def all_taken(self) -> None:
        """Waits for what is still to come: nothing follows that it could hold up."""
        while self._concluding.is_waiting:
            await self._concluding.next_arrival()
            await self.take()

    def drop(self) -> None:
        """The entries that all this belongs to come again."""
        self._in_hand = None
        self._concluding.drop()

    def _arrived(self) -> None:
        if not self._is_posted:
            self._is_posted = True
            self.post(self.take)

    async def _store(self, rows: Sequence[DecisionRow], signals: Sequence[SignalMessage]) -> None:
        """All at once; where that cannot be, each session's alone."""
        try:
            await self._write(rows, signals)
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - whose fault it is, the next attempts show
            sessions = dict.fromkeys(row.session_id for row in rows)
            if len(sessions) <= 1:
                for session_id in sessions:
                    await self._cannot_be_stored(session_id, rows[0].strategy, reason_of(error))
                return
            for session_id in sessions:
                await self._store(
                    [row for row in rows if row.session_id == session_id],
                    [signal for signal in signals if signal.session_id == session_id],
                )

    async def _write(self, rows: Sequence[DecisionRow], signals: Sequence[SignalMessage]) -> None:
        if signals:
            await self._journal.write_with_signals(rows, signals)
        else:
            await self._journal.write(rows)

    async def _cannot_be_stored(self, session_id: str, strategy: str, reason: str) -> None:
        failed = self._concluding.pause(FailedStrategy(session_id, strategy, f"its answers cannot be stored: {reason}"))
        if failed is not None:
            await self._bus.publish([await self._rendering.failed(failed)])


def close(tickets: Sequence[EntryTicket]) -> None:
    """What these waited for is stored, or given up."""
    for ticket in tickets:
        ticket.parts -= 1
