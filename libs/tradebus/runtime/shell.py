"""The shell around every service: connect, build, run until told to stop, finish what is in hand.

settings ─► bus, store ─► build() ─► components run ─► SIGTERM / SIGINT / parent gone ─► stop ─► close
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

import structlog
from prometheus_client import CollectorRegistry

from tradebus.bus.port import Bus
from tradebus.bus.redis.bus import RedisBus
from tradebus.config.market_rules import install_market_rules
from tradebus.config.settings import ServiceSettings, load, load_settings
from tradebus.kernel.clock import Clock, WallClock
from tradebus.kernel.errors import TradebusError, Unavailable
from tradebus.kernel.ids import IdSource, RandomIds
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.trouble import first_problem
from tradebus.runtime.health import HealthServer
from tradebus.runtime.logs import configure_logs
from tradebus.runtime.metrics import process_registry
from tradebus.runtime.patience import PASSING
from tradebus.runtime.process.garbage import short_collections
from tradebus.runtime.process.instance import InstanceRight
from tradebus.store.store import Store
from tradebus.waiting.timers import WallTimers, wall_timers

STOP_GRACE_SECONDS = 10.0
_FILES_WANTED = 8192
_log = structlog.get_logger()


class Component(Protocol):
    """Something that runs for the life of the service."""

    async def run(self, stop: asyncio.Event) -> None:
        """Returns soon after `stop` is set, having finished and acknowledged what it holds."""


S_contra = TypeVar("S_contra", bound=ServiceSettings, contravariant=True)
S = TypeVar("S", bound=ServiceSettings)


class Build(Protocol[S_contra]):
    """A service's `bootstrap.build`."""

    def __call__(
        self,
        settings: S_contra,
        *,
        bus: Bus,
        store: Store,
        clock: Clock,
        ids: IdSource,
        timers: Timers,
        registry: CollectorRegistry,
    ) -> Awaitable[Sequence[Component]]: ...


def run_service(name: str, settings: S | type[S], build: Build[S], *, several: bool = False) -> None:
    """Runs a service until it is told to stop. Leaves with 0, or with one clear line and the error's exit code.
    `several`: whether processes of one instance get along with each other."""
    with _one_line_for_errors(name):
        install_market_rules()
        loaded = load_settings(settings) if isinstance(settings, type) else settings
        configure_logs(name, level=loaded.log_level)
        _event_loop_run(_serve(name, loaded, build, several=several))


class AloneSettings(Protocol):
    """What a process needs that has neither bus nor store."""

    @property
    def log_level(self) -> str: ...

    @property
    def health_host(self) -> str: ...

    @property
    def health_port(self) -> int: ...

    @property
    def parent_pid(self) -> int: ...


A = TypeVar("A", bound=AloneSettings)


def run_alone(name: str, settings: Callable[[], A], build: Callable[[A], Sequence[Component]]) -> None:
    """Runs a process without bus and store until it is told to stop; otherwise as `run_service`. `settings` reads the
    environment (a settings class)."""
    with _one_line_for_errors(name):
        install_market_rules()
        loaded = load(settings)
        configure_logs(name, level=loaded.log_level)
        _event_loop_run(_serve_alone(name, loaded, build))


@contextmanager
def _one_line_for_errors(name: str) -> Iterator[None]:
    """Leaves with the error's exit code where a person can mend what is wrong, or a server is away: no traceback says
    more than what is gone."""
    try:
        yield
    except TradebusError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(error.exit_code)
    except PASSING as error:
        sys.stderr.write(f"{name}: {_first_line(error)}; started again, it goes on where it was\n")
        sys.exit(Unavailable.exit_code)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}"


async def _serve_alone(name: str, settings: A, build: Callable[[A], Sequence[Component]]) -> None:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    _stop_without_parent(settings.parent_pid)
    state = _Readiness()
    health = HealthServer(
        host=settings.health_host, port=settings.health_port, ready=lambda: state.problem, registry=process_registry()
    )
    port = await health.start()
    try:
        components = build(settings)
        state.are(components)
        _log.info("ready", health_port=port)
        with short_collections(wall_timers()):
            await run_components(components, stop)
        _log.info("stopped")
    finally:
        await health.stop()


def _event_loop_run(main: Awaitable[None]) -> None:
    _allow_files()
    if sys.platform == "win32":
        asyncio.run(_as_coroutine(main))
        return
    import uvloop

    uvloop.run(_as_coroutine(main))


def _allow_files() -> None:
    """As many open files as this process may have: every connection is one."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, _FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _as_coroutine(main: Awaitable[None]) -> None:
    await main


async def _serve(name: str, settings: S, build: Build[S], *, several: bool) -> None:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    _stop_without_parent(settings.parent_pid)
    state = _Readiness()
    registry = process_registry()
    health = HealthServer(
        host=settings.health_host, port=settings.health_port, ready=lambda: state.problem, registry=registry
    )
    port = await health.start()
    producer = f"{name}-{settings.instance}"
    clock = WallClock()
    timers = WallTimers(clock)  # the only ones: all that is made here waits by them
    bus = await RedisBus.connect(settings.redis_dsn, namespace=settings.namespace, timers=timers, paced=settings.paced)
    try:
        store = await Store.connect(
            settings.database_dsn, namespace=settings.namespace, producer=producer, timers=timers
        )
        right = None if several else InstanceRight(
            store, name, instance=settings.instance, namespace=settings.namespace, timers=timers
        )  # fmt: skip
        try:
            if right is not None:
                await right.take()
            components = await build(
                settings, bus=bus, store=store, clock=clock, ids=RandomIds(), timers=timers, registry=registry
            )
            state.are(components)
            _log.info("ready", health_port=port, instance=settings.instance, paced=settings.paced)
            with short_collections(timers):
                await run_components([*components, right] if right is not None else components, stop)
            _log.info("stopped")
        finally:
            state.stopping()
            if right is not None:
                await right.release()
            await store.close()
    finally:
        await bus.close()
        await health.stop()


class _Readiness:
    """Whether the service can work: once it has started, what its components say."""

    def __init__(self) -> None:
        self._problem: str | None = "starting"
        self._components: Sequence[Component] = ()

    @property
    def problem(self) -> str | None:
        return self._problem or first_problem(self._components)

    def are(self, components: Sequence[Component]) -> None:
        """The service has started; these are its components."""
        self._problem, self._components = None, components

    def stopping(self) -> None:
        self._problem = "stopping"


async def run_components(
    components: Sequence[Component], stop: asyncio.Event, *, grace_seconds: float = STOP_GRACE_SECONDS
) -> None:
    """Runs all until `stop` or until all have finished; the first that fails stops the others, and its error is raised.

    One that does not return in `grace_seconds` after `stop` is cancelled. A server that goes away once `stop` is set is
    no failure: what was in hand comes again after the next start.
    """
    tasks = [asyncio.create_task(component.run(stop), name=type(component).__name__) for component in components]
    running = asyncio.create_task(_first_failure(tasks))
    stopping = asyncio.create_task(stop.wait())
    told_to_stop = False
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        told_to_stop = stop.is_set()
        gone = [task.get_name() for task in tasks if task.cancelled() and not told_to_stop]
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                if isinstance(error, PASSING):
                    _log.error("component failed", component=task.get_name(), problem=_first_line(error))
                else:
                    _log.error("component failed", component=task.get_name(), exc_info=error)
        stop.set()
        _, late = await asyncio.wait(tasks, timeout=grace_seconds)
        for task in late:
            _log.warning("component did not stop in time", component=task.get_name())
    finally:
        stop.set()
        for waiting in (*tasks, running, stopping):
            waiting.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if not isinstance(result, BaseException) or isinstance(result, asyncio.CancelledError):
            continue
        if not (told_to_stop and isinstance(result, PASSING)):
            raise result
        _log.warning("a server went away while stopping", problem=_first_line(result))
    if gone:
        raise RuntimeError(f"{', '.join(gone)} was cancelled by itself: nobody does its work any more")


async def _first_failure(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Returns when one has failed or was cancelled, or all have finished. (asyncio's own FIRST_EXCEPTION takes a task
    that was cancelled for one that has finished.)"""
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if any(task.cancelled() or task.exception() is not None for task in done):
            return


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def _stop_without_parent(parent_pid: int) -> None:
    """Ends this process when its supervisor is gone, however that died: nobody would restart or stop it any more."""
    if not parent_pid:
        return

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
