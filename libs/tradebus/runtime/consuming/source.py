"""Where a consumer's entries come from: one input at a time, and a wait for entries that can be ended."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from tradebus.bus.port import Entry, Subscription
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.handling import Policy, reason_of
from tradebus.runtime.consuming.trouble import Trouble
from tradebus.runtime.merge import MergedInput
from tradebus.runtime.patience import PASSING
from tradebus.waiting.timers import sleep

_log = structlog.get_logger()


class InputSource:
    """`open_input` subscribes: at the start, and anew whenever this was closed."""

    def __init__(
        self, consumer: str, open_input: Callable[[], Awaitable[MergedInput]], *, timers: Timers, policy: Policy
    ) -> None:
        self._consumer, self._open_input, self._timers, self._policy = consumer, open_input, timers, policy
        self.trouble = Trouble(f"{consumer}: starting")
        self._input: MergedInput | None = None
        self._reading: asyncio.Task[object] | None = None
        self._is_woken = False

    async def open(self) -> Subscription:
        """Opens the input where it is closed; its subscription, which acknowledges."""
        if self._input is None:
            self._input = await self._open_input()
            self.trouble.problem = None
        return self._input.subscription

    @property
    def input(self) -> MergedInput:
        """The open one."""
        assert self._input is not None, "open it first"
        return self._input

    async def read(self, block_ms: int, *, stop: asyncio.Event) -> list[Entry]:
        """Entries to handle next; none after `block_ms`, after `wake`, or while the bus is away."""
        self._reading = asyncio.current_task()
        try:
            entries = await self.input.next(block_ms=block_ms)
            self.trouble.problem = None
            return entries
        except PASSING as error:
            self._reading = None  # what is posted now ends no wait for entries: it would end the consumer
            self.trouble.problem = f"{self._consumer}: cannot read the bus: {reason_of(error)}"
            _log.warning("cannot read, trying again", consumer=self._consumer, problem=reason_of(error))
            await sleep(self._timers, self._policy.last_delay_seconds, unless=stop)
            return []
        except asyncio.CancelledError:
            task = self._reading
            if not self._is_woken or (task is not None and task.uncancel() > 0):
                raise  # not (only) `wake`: the service is torn down
            return []
        finally:
            self._reading, self._is_woken = None, False

    def wake(self) -> None:
        """Ends the wait for entries. (A second task per read that waits for this would slow every order.)"""
        if self._reading is not None and not self._is_woken:
            self._is_woken = True
            self._reading.cancel()

    async def claim(self) -> list[Entry]:
        """What another consumer of the group read long ago and did not finish."""
        idle_ms = round((self._policy.claim_idle_seconds or 0) * 1000)
        return await self.input.subscription.claim_idle(min_idle_ms=idle_ms)

    async def close(self) -> None:
        """Gives the subscription back. Entries not acknowledged come again with the next."""
        if self._input is not None:
            await self._input.subscription.close()
            self._input = None
