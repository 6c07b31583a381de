"""Moves the market in step with the wall clock."""

import asyncio
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from services.sandbox.exchange import SandboxExchange
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_SLICE_NS = 20_000_000  # of wall time spent on steps before others get their turn
_LAGS_KEPT = 20_000


class Driver:
    """Runs the market at its speed. One that cannot keep up falls behind evenly and says so in `lags_ns`: it never
    skips a step, since the market's time is what its steps make it."""

    def __init__(self, exchange: SandboxExchange, *, wall_ns: Callable[[], int] = monotonic_ns) -> None:
        self._exchange, self._wall_ns = exchange, wall_ns
        self.lags_ns = np.zeros(_LAGS_KEPT, np.int64)  # a ring
        self.steps = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. At speed 0 it only waits."""
        floor, options = self._exchange.floor, self._exchange.options
        if not options.speed:
            await stop.wait()
            return
        wall_start, market_start = self._wall_ns(), floor.clock.step_at_ns
        while not stop.is_set():
            if options.skip_closed and (next_ns := floor.next_open_ns()) is not None:
                before = floor.clock.step_at_ns
                floor.advance_to(next_ns)
                market_start += floor.clock.step_at_ns - before
                await asyncio.sleep(0)
                continue
            began = self._wall_ns()
            target = market_start + int((began - wall_start) * options.speed)
            while (due := floor.clock.step_at_ns + floor.clock.step_ns) <= target:
                self._note((target - due) / options.speed)
                floor.advance_to(due)
                if self._wall_ns() - began > _SLICE_NS:
                    break
            if due <= target:
                await asyncio.sleep(0)
            else:
                wait_ns = (floor.clock.step_at_ns + floor.clock.step_ns - target) / options.speed
                await _sleep(wait_ns / NANOSECONDS_PER_SECOND, stop)

    def recent_lags_ns(self, steps: int) -> npt.NDArray[np.int64]:
        """How late the last `steps` steps were, as many of them as are remembered; at least one."""
        count = max(1, min(steps, self.steps, _LAGS_KEPT))
        return self.lags_ns[(self.steps - 1 - np.arange(count)) % _LAGS_KEPT]

    def _note(self, lag_ns: float) -> None:
        self.lags_ns[self.steps % _LAGS_KEPT] = int(lag_ns)
        self.steps += 1


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    if seconds < 0.05:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
