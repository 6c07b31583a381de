"""Runs the services as child processes: in order, restarted when they die, gone when we are gone.

    start(names) ─► at once ─► each /readyz ─► watch: died? pause, start again; the pause grows from death to death
    stop  ─► in reverse order, SIGTERM, SIGKILL after 10 s

A service's restart policy says whether it is ever given up. Where it may be, one that ends with the code of a user's
mistake is not started again at all: it would say the same. Nothing here knows what the services do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from services.cli.stack.children import Child, ServiceSpec
from services.cli.stack.restarts import STEADY_SECONDS
from services.cli.stack.rundir import ServiceState
from tradebus.kernel.errors import InvalidInput, TradebusError, Unavailable

T = TypeVar("T")
_READY_SECONDS = 60.0
# A first death may be somebody's kill; from here on it is called what it is.
_KEEPS_DYING = 3


class ProcessSupervisor:
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
            child.spec.name: ServiceState(
                child.pid, child.spec.health_port, child.restarts, str(child.log), child.failing
            )
            for child in self._children
        }

    async def start(self, names: Collection[str], *, required: Collection[str] | None = None) -> None:
        """Returns once these services are ready. Raises what the first one that does not come up has to say.

        With `required`, only these must come up: another one that does not is named and tried again like one that died
        later. A user's mistake is raised whosever it is.
        """
        if self._failed is None:
            self._failed = asyncio.get_running_loop().create_future()
        children = [child for child in self._children if child.spec.name in names]
        await asyncio.gather(*(child.start() for child in children))
        self._report()
        must = {child.spec.name for child in children} if required is None else set(required)
        await asyncio.gather(*(self._begin(child, must_come_up=child.spec.name in must) for child in children))
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

    async def _begin(self, child: Child, *, must_come_up: bool) -> None:
        try:
            await self._come_up(child)
        except Unavailable as error:
            if must_come_up:
                raise
            self._say(f"{error}; everything else goes on")

    async def _watch(self, child: Child) -> None:
        short_lives = 0
        while True:
            short_lives = 1 if await self._lives_long(child) else short_lives + 1
            status = await child.wait()
            child.failing = f"{_ended(status)}: {child.last_words()}"
            self._report()
            delay_seconds = child.spec.policy.delay(short_lives)
            if not child.spec.restartable:
                return self._give_up(_error(child, status, "died, and all it knew with it"))
            if child.spec.policy.lives_max is not None and status == InvalidInput.exit_code:
                return self._give_up(_error(child, status, "gave up"))
            if delay_seconds is None:
                return self._give_up(_error(child, status, f"died {short_lives} times in a row"))
            self._say(_death(child, status, short_lives, delay_seconds))
            await asyncio.sleep(delay_seconds)
            try:
                await child.start()
                child.restarts += 1
            except OSError as error:  # no memory, no process, no file to be had now: counts as a death
                self._say(f"{child.spec.name} cannot be started ({error})")
            self._report()

    async def _lives_long(self, child: Child) -> bool:
        """True as soon as it has lived STEADY_SECONDS, False where it ends before."""
        try:
            async with asyncio.timeout(STEADY_SECONDS):
                await child.wait()
        except TimeoutError:
            if child.failing:
                self._say(f"{child.spec.name} stays up again")
                child.failing = ""
                self._report()
            return True
        return False

    def _give_up(self, error: TradebusError) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _report(self) -> None:
        try:
            self._changed(self.services())
        except OSError as error:  # a full disk: what others read of us is old, and the services go on
            self._say(f"the state of the stack cannot be written ({error})")


def _error(child: Child, status: int, what: str) -> TradebusError:
    kind = InvalidInput if status == InvalidInput.exit_code else Unavailable
    return kind(f"{child.spec.name} {what} ({_ended(status)}): {child.last_words()} (log: {child.log})")


def _ended(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


def _death(child: Child, status: int, short_lives: int, delay_seconds: float) -> str:
    if short_lives < _KEEPS_DYING:
        return f"{child.spec.name} {_ended(status)}; starting it again"
    return (
        f"{child.spec.name} keeps dying ({short_lives} times in a row), the last time it {_ended(status)}: "
        f"{child.last_words()} (log: {child.log}); next start in {delay_seconds:.2g} s, everything else goes on"
    )
