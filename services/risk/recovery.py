"""What the bus has lost and the book has kept, found again: Redis may lose everything.

    events without risk's inbox row   (reports, commands, ends, exit signals) ─► handled as if they had been read
    approvals without an answer       that the intents stream does not hold, or whose reader put them aside
                                      ─► published again, the same messages

Both are harmless to repeat: what was handled finds its inbox row. Looked for every few seconds by a task of its own:
for everything after a start and where the streams have lost entries, otherwise for what waits: positions on their way
in or out, sessions that start or stop. Only what two looks in a row miss counts as lost.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from services.risk.messages import INTENTS_STREAM
from services.risk.metrics import RiskMetrics
from services.risk.ports import RiskBook
from services.risk.sessions import RiskSessions
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.streams import COMMANDS, ORDERS
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.chores import Job
from tradebus.runtime.patience import PASSING, repeatedly

_WATCHED = (ORDERS.name, COMMANDS.name, INTENTS_STREAM)
_TAIL = 128
_INTENTS_READ = 5_000
_EVENT_ID = re.compile(rb'"event_id":"([^"]+)"')
_log = structlog.get_logger()
Take = Callable[[Message], Awaitable[None]]


class RiskRecovery:
    """`take` handles one message, `post` has a job done between entries."""

    def __init__(
        self, book: RiskBook, sessions: RiskSessions, *, bus: Bus, take: Take, post: Callable[[Job], None],
        timers: Timers, metrics: RiskMetrics, look_seconds: float,
    ) -> None:  # fmt: skip
        self._book, self._sessions, self._bus, self._take, self._post = book, sessions, bus, take, post
        self._timers, self._metrics, self._look_seconds = timers, metrics, look_seconds
        self._seen: dict[str, str] = {}  # by stream: its newest entry when last looked at
        # Ids of what was taken from the book, or cannot be. (What changes nothing leaves no inbox row.)
        self._dealt_with: set[str] = set()
        self._missing: set[str] = set()  # ids of what was missing at the last look
        self._put_aside: dict[str, int] = {}  # looks that found an approval read and not answered, by its id
        self._thorough_looks = 2  # so many more are for everything

    async def run(self, stop: asyncio.Event) -> None:
        await repeatedly(
            self.look, stop, timers=self._timers, every_seconds=self._look_seconds, what="looking for what was lost"
        )

    async def look(self) -> None:
        """Has done again what was lost: what was missing at the look before and still is, for the rest may be on its
        way."""
        if not self._sessions.is_loaded:
            return
        if await self._has_lost():
            self._thorough_looks = 2
        everything, self._thorough_looks = self._thorough_looks > 0, max(0, self._thorough_looks - 1)
        alive = self._sessions.alive
        names = [name for name, session in alive.items() if everything or session.state.stopping]
        waiting = [
            holding.pos_id for session in alive.values() for holding in session.state.live()
            if not holding.open or holding.closing_rule is not None
        ]  # fmt: skip
        unheard, untaken = await self._book.unheard(names, waiting), await self._book.untaken(names, waiting)
        missed, self._missing = self._missing, {one.event_id for one in (*unheard, *untaken)}
        lost = {one.session_id for one in unheard if one.event_id in missed - self._dealt_with}
        if lost:
            self._post(partial(self._take_unheard, [name for name in lost if name is not None]))
        unpublished = await self._unpublished([one for one in untaken if one.event_id in missed])
        if unpublished:
            self._post(partial(self._publish_again, unpublished))

    async def _has_lost(self) -> bool:
        """Whether entries may be gone that were there at the last look, or before a stream was first looked at."""
        lost = False
        for stream in _WATCHED:
            ids = [entry.entry_id for entry in await self._bus.tail(stream, count=_TAIL)]
            seen = self._seen.pop(stream, None)
            if ids:
                self._seen[stream] = ids[-1]
                lost = lost or seen not in ids
            else:  # every session was started by a command
                lost = lost or seen is not None or (stream == COMMANDS.name and bool(self._sessions.alive))
        return lost

    async def _unpublished(self, approvals: Sequence[Message]) -> list[Message]:
        """Those that execution will not come to by itself: the stream does not hold them, or all of it was read and
        they were put aside. The latter are asked for less and less often."""
        if not approvals:
            return []
        groups = await self._bus.groups(INTENTS_STREAM)
        is_read = bool(groups) and not any(group.unacknowledged for group in groups)
        entries = await self._bus.tail(INTENTS_STREAM, count=_INTENTS_READ)
        held = {found[1].decode() for entry in entries if (found := _EVENT_ID.search(entry.body)) is not None}
        return [one for one in approvals if one.event_id not in held or (is_read and self._is_due(one.event_id))]

    def _is_due(self, event_id: str) -> bool:
        """After 1, 2, 4 … looks."""
        self._put_aside[event_id] = looks = self._put_aside.get(event_id, 0) + 1
        return looks.bit_count() == 1

    async def _take_unheard(self, names: Sequence[str]) -> None:
        """Asks once more: what was on its way has come, and may have changed what the rest means."""
        for message in await self._book.unheard(names, []):
            if message.event_id in self._dealt_with:
                continue
            try:
                await self._take(message)
            except PASSING:
                raise
            except Exception as error:  # noqa: BLE001 - one message stops no other
                _log.error("found again and put aside", type=message.TYPE, event_id=message.event_id, exc_info=error)
            else:
                self._metrics.found_again.labels(message.TYPE).inc()
            self._dealt_with.add(message.event_id)

    async def _publish_again(self, untaken: Sequence[Message]) -> None:
        _log.warning("approvals that nobody has taken are published again", count=len(untaken))
        await self._bus.publish([Outgoing(INTENTS_STREAM, one.TYPE, one.to_json()) for one in untaken])
        for message in untaken:
            self._metrics.found_again.labels(message.TYPE).inc()
