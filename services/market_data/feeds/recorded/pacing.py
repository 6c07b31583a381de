"""When the next slice may go out.

    GridPace    slices of fixed length: paced (waits for the orders watermark), or as fast as it goes
    ClockPace   event time runs with the wall clock, N times as fast: whatever is due goes out

Closed hours take no time at any pace: each day begins when the one before has ended.
"""

import asyncio

from services.market_data.candles.plan import DayPlan, grid_end_ns
from services.market_data.feeds.ports import FeedDay
from tradebus.bus.port import Bus
from tradebus.contracts.streams import ORDERS
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

_BLOCK_MS = 250


class OrdersGate:
    """Follows execution's watermark (docs/decisions/0001): everybody downstream has been asked before it moves."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._after: dict[str, str] | None = None
        self._watermark_ns = 0

    async def settled(self, end_ns: int, *, stop: asyncio.Event) -> bool:
        """Waits until the watermark is at least `end_ns`; False where `stop` was set instead."""
        if self._after is None:
            # The position first: what is published between the two calls is then read twice, not missed.
            newest = await self._bus.tail(ORDERS.name, count=1)
            self._after = {ORDERS.name: newest[-1].entry_id if newest else "0"}
            self._watermark_ns = await self._bus.last_watermark(ORDERS.name) or 0
        while self._watermark_ns < end_ns:
            if stop.is_set():
                return False
            for entry in await self._bus.follow([ORDERS.name], after=self._after, block_ms=_BLOCK_MS):
                self._after[ORDERS.name] = entry.entry_id
                if entry.watermark_ns is not None and entry.watermark_ns > self._watermark_ns:
                    self._watermark_ns = entry.watermark_ns
        return True


class EventTime:
    """Event time that runs `speed` times as fast as `timers`' monotonic time, from wherever it was set."""

    def __init__(self, timers: Timers, *, speed: float) -> None:
        self._timers = timers
        self._speed = speed
        self._event_ns = self._set_at_ns = 0

    def set(self, event_ns: int) -> None:
        """It is `event_ns` now."""
        self._event_ns, self._set_at_ns = event_ns, self._timers.monotonic_ns()

    def now_ns(self) -> int:
        """The event time it is now."""
        return self._event_ns + int((self._timers.monotonic_ns() - self._set_at_ns) * self._speed)

    async def reached(self, event_ns: int, *, stop: asyncio.Event) -> bool:
        """Waits for an event time; False where `stop` was set instead."""
        while not stop.is_set():
            left_seconds = (event_ns - self.now_ns()) / self._speed / NANOSECONDS_PER_SECOND
            if left_seconds <= 0:
                return True
            await sleep(self._timers, left_seconds, unless=stop)
        return False


class GridPace:
    """Slices of `slice_ns` from the open on. With a gate each waits for the one before to be settled everywhere."""

    def __init__(self, *, slice_ns: int, gate: OrdersGate | None, timer: EventTime | None) -> None:
        self._slice_ns, self._gate, self._timer = slice_ns, gate, timer
        self._day: FeedDay | None = None

    def begin_day(self, day: FeedDay, plan: DayPlan, *, start_ns: int) -> None:
        self._day = day
        if self._timer is not None:
            self._timer.set(max(start_ns, day.open_ns))

    def propose(self, start_ns: int) -> int:
        assert self._day is not None, "begin_day comes first"
        return grid_end_ns(start_ns, open_ns=self._day.open_ns, close_ns=self._day.close_ns, slice_ns=self._slice_ns)

    async def due(self, start_ns: int, end_ns: int, *, stop: asyncio.Event) -> int | None:
        if not await self.settled(start_ns, stop=stop):
            return None
        if self._timer is not None and not await self._timer.reached(end_ns, stop=stop):
            return None
        return end_ns

    async def settled(self, end_ns: int, *, stop: asyncio.Event) -> bool:
        if self._gate is not None:
            return await self._gate.settled(end_ns, stop=stop)
        await asyncio.sleep(0)
        return not stop.is_set()


class ClockPace:
    """Event time runs with the wall clock. A slice ends where something is due, or later where we are behind."""

    def __init__(self, timer: EventTime) -> None:
        self._timer = timer
        self._day: FeedDay | None = None
        self._plan: DayPlan | None = None

    def begin_day(self, day: FeedDay, plan: DayPlan, *, start_ns: int) -> None:
        self._day, self._plan = day, plan
        self._timer.set(max(start_ns, day.open_ns))

    def propose(self, start_ns: int) -> int:
        assert self._day is not None, "begin_day comes first"
        assert self._plan is not None, "begin_day comes first"
        event_ns = self._plan.next_event_ns(start_ns)
        return self._day.close_ns if event_ns is None else min(event_ns, self._day.close_ns)

    async def due(self, start_ns: int, end_ns: int, *, stop: asyncio.Event) -> int | None:
        assert self._day is not None, "begin_day comes first"
        if not await self._timer.reached(end_ns, stop=stop):
            return None
        return max(end_ns, min(self._timer.now_ns(), self._day.close_ns))

    async def settled(self, end_ns: int, *, stop: asyncio.Event) -> bool:
        return not stop.is_set()
