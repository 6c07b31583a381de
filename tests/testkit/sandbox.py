"""A whole sandbox exchange in a background thread: broker SDKs block, so they get the test's thread to themselves."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from services.sandbox.assembly import Sandbox, assemble, run_until
from services.sandbox.exchange import SandboxExchange, generated_exchange
from services.sandbox.faults.rules import FaultRule, RuleFaults
from services.sandbox.options import MarketOptions
from services.sandbox.ports import BrokerName

T = TypeVar("T")
_START_SECONDS = 60


class Box:
    """What a test holds. `exchange` may be read from the test's thread; everything that changes goes through
    `on_loop`."""

    def __init__(self, options: MarketOptions, *, limit_scale: float) -> None:
        self._options, self._limit_scale = options, limit_scale
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._problem: BaseException | None = None
        self._sandbox: Sandbox | None = None
        self._thread = threading.Thread(target=self._main, name="sandbox", daemon=True)

    @property
    def sandbox(self) -> Sandbox:
        assert self._sandbox is not None, "the sandbox has not started"
        return self._sandbox

    @property
    def exchange(self) -> SandboxExchange:
        return self.sandbox.exchange

    @property
    def faults(self) -> RuleFaults:
        return self.sandbox.faults

    @property
    def kite_url(self) -> str:
        return self.sandbox.url("kite")

    @property
    def dhan_url(self) -> str:
        return self.sandbox.url("dhan")

    @property
    def upstox_url(self) -> str:
        return self.sandbox.url("upstox")

    @property
    def admin_url(self) -> str:
        return self.sandbox.url("admin")

    def on_loop(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs the function on the sandbox's loop and returns its result, or raises its error."""

        async def call() -> T:
            return function(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(120)

    def token(self, broker: str, account: str) -> str:
        """Logs in; the access token."""
        return self.on_loop(self.exchange.login, BrokerName(broker), account).value

    def advance(self, seconds: float) -> None:
        """Moves the market's clock by hand (speed 0)."""
        self.on_loop(self.exchange.advance, seconds)

    def shock(self, instrument: int, share: float) -> None:
        """Moves an instrument's underlying by `share` of its value."""
        self.on_loop(self.exchange.shock, instrument, share)

    def fault(self, kind: str, **rule: Any) -> int:
        """Adds a fault rule; its number."""
        return self.on_loop(self.faults.add, FaultRule.model_validate({"kind": kind, **rule}))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(_START_SECONDS), "the sandbox did not start"
        if self._problem is not None:
            raise self._problem

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the sandbox did not stop"
        self._loop.close()
        if self._problem is not None:
            raise self._problem

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run())
        except BaseException as error:
            self._problem = error
        finally:
            self._ready.set()

    async def _run(self) -> None:
        self._sandbox = assemble(generated_exchange(self._options), limit_scale=self._limit_scale)
        self._loop.call_soon(self._ready.set)
        await run_until(self._sandbox, self._stop)


@contextmanager
def sandbox(
    *, seed: int = 1, start: str = "2026-11-25T10:00:00", speed: float = 1.0, limit_scale: float = 1.0, **options: Any
) -> Iterator[Box]:
    """A running sandbox. `start` is Indian time; `speed` 0 keeps the market still until `advance`; `limit_scale` widens
    the brokers' request limits (0: none); other options are MarketOptions' (instruments, ticks_per_second, …)."""
    chosen = MarketOptions(seed=seed, start=datetime.fromisoformat(start), speed=speed, **options)
    box = Box(chosen, limit_scale=limit_scale)
    box.start()
    try:
        yield box
    finally:
        box.stop()
