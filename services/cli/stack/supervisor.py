"""Runs the services as child processes: in order, restarted when they die, gone when we are gone.

    start(names) ─► at once ─► each /readyz ─► watch: died? pause, start again; five times in a minute: give up
    stop  ─► in reverse order, SIGTERM, SIGKILL after 10 s

A service that ends with the code of a user's mistake is not started again: it would say the same. Nothing here knows
what the services do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from services.cli.stack.children import Child, ServiceSpec
from services.cli.stack.restarts import DEATHS_MAX, WINDOW_SECONDS, restart_delay
from services.cli.stack.rundir import ServiceState
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import InvalidInput, TradebusError, Unavailable

T = TypeVar("T")
_READY_SECONDS = 60.0


class Supervisor:
    """`changed` is called after every start and death, with what `services` returns then."""

    def __init__(
        self, specs: Sequence[ServiceSpec], *, run_dir: Path, changed: Callable[[dict[str, ServiceState]], None],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._children = [Child(spec, log=run_dir / f"{spec.name}.log") for spec in specs]
        self._changed, self._say = changed, say
        self._watches: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] | None = None

    def services(self) -> dict[str, ServiceState]:
        return {
            child.spec.name: ServiceState(child.pid, child.spec.health_port, child.restarts, str(child.log))
            for child in self._children
        }

    async def start(self, names: Collection[str]) -> None:
        """Returns once these services are ready. Raises what the first one that does not come up has to say."""
        if self._failed is None:
            self._failed = asyncio.get_running_loop().create_future()
        children = [child for child in self._children if child.spec.name in names]
        await asyncio.gather(*(child.start() for child in children))
        self._report()
        await asyncio.gather(*(self._come_up(child) for child in children))
        self._watches += [asyncio.create_task(self._watch(child)) for child in children]

    async def stop(self) -> None:
        """Ends the watching, then the services, the last one first."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        for child in reversed(self._children):
            await child.stop()
        self._report()
        if self._failed is not None:
            self._failed.cancel()

    async def while_healthy(self, work: Awaitable[T]) -> T:
        """The result of `work`; raises what a service that was given up said, if that comes first."""
        assert self._failed is not None
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._failed), return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _come_up(self, child: Child) -> None:
        ending, getting_ready = asyncio.create_task(child.wait()), asyncio.create_task(child.ready())
        try:
            await asyncio.wait((ending, getting_ready), timeout=_READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                raise _error(child, ending.result(), "did not come up")
            if not getting_ready.done():
                words = child.last_words()
                raise Unavailable(
                    f"{child.spec.name} is not ready after {_READY_SECONDS:g} s: {words} (log: {child.log})"
                )
        finally:
            ending.cancel()
            getting_ready.cancel()

    async def _watch(self, child: Child) -> None:
        deaths: list[float] = []
        while True:
            status = await child.wait()
            deaths.append(monotonic_ns() / 1e9)
            self._report()
            delay_seconds = restart_delay(deaths, now=deaths[-1])
            if status == InvalidInput.exit_code:
                return self._give_up(_error(child, status, "gave up"))
            if not child.spec.restartable:
                return self._give_up(_error(child, status, "died, and all it knew with it"))
            if delay_seconds is None:
                return self._give_up(_error(child, status, f"died {DEATHS_MAX} times in {WINDOW_SECONDS:g} s"))
            self._say(f"{child.spec.name} {_ended(status)}; starting it again")
            await asyncio.sleep(delay_seconds)
            child.restarts += 1
            await child.start()
            self._report()

    def _give_up(self, error: TradebusError) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _report(self) -> None:
        self._changed(self.services())


def _error(child: Child, status: int, what: str) -> TradebusError:
    kind = InvalidInput if status == InvalidInput.exit_code else Unavailable
    return kind(f"{child.spec.name} {what} ({_ended(status)}): {child.last_words()} (log: {child.log})")


def _ended(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
