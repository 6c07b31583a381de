"""What dies in a round: instances of execution, by SIGKILL or for a while, and the servers."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from services.cli.drill.real.plan import KILLED, POSTGRES, STOPPED, RealStrike
from services.cli.drill.real.standing import READY_SECONDS, RealStack
from services.cli.stack.children import started
from tradebus.runtime.patience import PASSING
from tradebus.waiting.timers import deadline, wall_timers

_LOOK_SECONDS, _AWAY_SECONDS = 0.1, 5.0
_NOBODY = "no.such.stream"


class RealStriking:
    """Of one round. `down_ns` are the spans in which an instance did not run or stood still, by name, `away_ns` those
    in which a server was away: in the market's time, each with its end once that has come."""

    def __init__(self, stack: RealStack, *, told: Callable[[str], None]) -> None:
        self._stack, self._told = stack, told
        self.down_ns: dict[str, list[list[int]]] = {one.spec.name: [] for one in stack.executions}
        self.away_ns: list[list[int]] = []
        self.counted: Counter[str] = Counter()
        self.kills = 0

    async def strike(self, planned: Sequence[RealStrike]) -> None:
        """All of them in their time, one after the other: to the end of the last, when everything runs again."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for one in planned:
            await asyncio.sleep(max(0.0, one.at_seconds - (loop.time() - began)))
            if one.kind == KILLED:
                await self._kill(one)
            elif one.kind == STOPPED:
                await self._stop(one)
            else:
                await self._crash(one)

    def problems(self) -> list[str]:
        """Instances that have ended by themselves."""
        return [f"{one.spec.name} ended: {one.last_words()}" for one in self._stack.executions if not one.pid]

    async def _kill(self, strike: RealStrike) -> None:
        child = self._stack.executions[strike.number]
        if not child.pid:
            return  # it has ended by itself: told at the end
        self.kills += 1
        self._told(f"{child.spec.name} is killed")
        os.kill(child.pid, signal.SIGKILL)
        await self._lasts(self.down_ns[child.spec.name], self._revived(strike))
        self._told(f"{child.spec.name} runs again")

    async def _revived(self, strike: RealStrike) -> None:
        child = self._stack.executions[strike.number]
        await child.wait()
        await asyncio.sleep(strike.seconds)
        await started(child, seconds=READY_SECONDS)

    async def _stop(self, strike: RealStrike) -> None:
        child = self._stack.executions[strike.number]
        if not child.pid:
            return
        self.counted[strike.kind] += 1
        self._told(f"{child.spec.name} stands still for {strike.seconds:.1f} s")
        os.kill(child.pid, signal.SIGSTOP)
        await self._lasts(self.down_ns[child.spec.name], asyncio.sleep(strike.seconds))
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGCONT)
        self._told(f"{child.spec.name} goes on")

    async def _crash(self, strike: RealStrike) -> None:
        self.counted[strike.kind] += 1
        self._told(strike.kind)
        if strike.kind == POSTGRES:
            self._stack.crash_postgres()
        else:
            self._stack.crash_redis()
        await self._lasts(self.away_ns, self._answer())
        self._told("the servers answer again")

    async def _answer(self) -> None:
        """Returns once both servers answer."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                async with deadline(wall_timers(), _AWAY_SECONDS):
                    await self._stack.store.check()
                    await self._stack.bus.tail(_NOBODY, count=1)
                return
            except PASSING:
                continue

    async def _lasts(self, spans: list[list[int]], work: Awaitable[object]) -> None:
        span = [self._stack.clock.now_ns()]
        spans.append(span)
        await work
        span.append(self._stack.clock.now_ns())
