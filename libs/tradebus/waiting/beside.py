"""What a disk says, asked beside the loop: one that hangs holds up nobody for longer than a moment.

look() ─► a thread, one at a time ─┬─ answered in time ─► that
                                   └─ not so ─► as it stood; nobody waits for that thread again
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import deadline

T = TypeVar("T")
_log = structlog.get_logger()


class BesideLook(Generic[T]):
    """`ask` blocks, and may be called in any thread; `first` is what stands before it was ever answered; `seconds` is
    how long an answer is waited for, `what` what is asked about. An answer that was asked for `fresh_seconds` ago at
    most serves whoever looks again: a thread for each of a hundred looks costs more than what they ask."""

    def __init__(
        self, ask: Callable[[], T], *, first: T, what: str, seconds: float, timers: Timers, fresh_seconds: float = 0.0
    ) -> None:  # fmt: skip
        self._ask, self._what, self._seconds, self._timers = ask, what, seconds, timers
        self._fresh_ns, self._asked_ns = int(fresh_seconds * NANOSECONDS_PER_SECOND), 0
        self._fresh_until_ns: int | None = None  # monotonic
        self._asking: asyncio.Future[T] | None = None
        self._hangs = False
        self.stands = first

    async def look(self) -> T:
        """As it is now, or as it stood where nobody answers in time. Raises what `ask` raises."""
        if self._fresh_until_ns is not None and self._timers.monotonic_ns() < self._fresh_until_ns:
            return self.stands
        if self._asking is None:
            self._asked_ns = self._timers.monotonic_ns()
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._ask))
            self._asking.add_done_callback(self._answered)
        elif self._hangs:
            return self.stands
        asking = self._asking
        try:
            async with deadline(self._timers, self._seconds):
                await asyncio.shield(asking)
        except TimeoutError:
            if not asking.done():
                self._hangs = True
                _log.error("a look at the disk hangs: taken as it stood", what=self._what)
        return self.stands

    def _answered(self, asked: "asyncio.Future[T]") -> None:
        self._asking, self._hangs = None, False
        if not asked.cancelled() and asked.exception() is None:
            self.stands, self._fresh_until_ns = asked.result(), self._asked_ns + self._fresh_ns
