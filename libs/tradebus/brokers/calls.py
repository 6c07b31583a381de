"""Blocking SDK calls, off the event loop, under one policy for errors (SPEC 10).

    read(...)   safe to repeat: 429, 5xx and timeouts are tried again, five times, 0.5 → 8 s with jitter
    once(...)   an order: one attempt, whatever happens; the caller makes an Outcome of it. It waits behind no read
    both        401 / 403: the token is refreshed once where that can be done, then everything halts until `renewed`, or
                until a token that is brought later is taken: whoever logs in does so beside a running service

Invariants (tested): a call made by `once` runs at most one time, except that a request the broker refused for its token
(which did nothing) is sent again after a refresh; no secret is in any error; the loop is never blocked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from tradebus.brokers.errors import BrokerError, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.rng import jittered
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import deadline, sleep

T = TypeVar("T")
# Turns what an SDK raised (or a reply it swallowed an exception into) into one of tradebus.brokers.errors.
Classify = Callable[[BaseException], BrokerError]
REQUEST_SECONDS = 10.0
CONNECT_SECONDS = 5.0
ATTEMPTS = 5
_FIRST_DELAY_SECONDS, _LAST_DELAY_SECONDS = 0.5, 8.0
_GRACE_SECONDS = 2.0  # the SDK's own timeout should strike first
LATE_SECONDS = REQUEST_SECONDS + _GRACE_SECONDS  # what was asked for so long ago does not begin any more
_HALT_SECONDS = 5.0  # between two questions of a halted login for a new token

_threads: ContextVar[list["Future[object]"] | None] = ContextVar("_threads", default=None)


@contextmanager
def watched_threads() -> Iterator[list["Future[object]"]]:
    """The threads that work for what is called inside: a call that is given up leaves one that goes on."""
    started: list[Future[object]] = []
    token = _threads.set(started)
    try:
        yield started
    finally:
        _threads.reset(token)


class Pacer:
    """At most `per_second` starts a second, evenly spaced: for the read limits of BROKERS 6."""

    def __init__(self, per_second: float, *, timers: Timers) -> None:
        self._timers = timers
        self._gap_ns = int(1e9 / per_second)
        self._next_ns = 0

    async def turn(self) -> None:
        now_ns = self._timers.monotonic_ns()
        start_ns = max(now_ns, self._next_ns)
        self._next_ns = start_ns + self._gap_ns
        if start_ns > now_ns:
            await sleep(self._timers, (start_ns - now_ns) / 1e9)


class SdkCalls:
    """One per login. `refresh` gets a new token and puts it into the SDK, returning whether it could."""

    def __init__(
        self,
        broker: str,
        *,
        classify: Classify,
        redactor: Redactor,
        timers: Timers,
        refresh: Callable[[], Awaitable[bool]] | None = None,
        workers: int = 4,
        order_workers: int | None = None,
        request_seconds: float = REQUEST_SECONDS,
        first_delay_seconds: float = _FIRST_DELAY_SECONDS,
        seed: int = 0,
    ) -> None:
        self.broker, self._classify, self._redactor, self._refresh = broker, classify, redactor, refresh
        self._timers = timers
        self._request_seconds, self._first_delay_seconds, self._seed = request_seconds, first_delay_seconds, seed
        # Threads of their own for what is asked once: however many reads hang, an order finds one.
        self._readers = ThreadPoolExecutor(workers, thread_name_prefix=f"{broker}-sdk-read")
        self._orderers = ThreadPoolExecutor(order_workers or workers, thread_name_prefix=f"{broker}-sdk")
        self._refreshing = asyncio.Lock()
        self._generation = 0  # goes up with every new token
        self.halted: TokenExpired | None = None
        self._ask_again_ns = 0

    async def read(self, what: str, call: Callable[[], T], *, pacer: Pacer | None = None) -> T:
        """What the call returns. Raises BrokerError after the last attempt, or at once where repeating cannot help."""
        delay_seconds = self._first_delay_seconds
        for attempt in range(1, ATTEMPTS + 1):
            if pacer is not None:
                await pacer.turn()
            try:
                return await self._once(what, call, self._readers)
            except (Throttled, NoAnswer):
                if attempt == ATTEMPTS:
                    raise
            await sleep(self._timers, jittered(delay_seconds, attempt, seed=self._seed))
            delay_seconds = min(2 * delay_seconds, _LAST_DELAY_SECONDS)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def once(self, what: str, call: Callable[[], T]) -> T:
        """What the call returns. Raises BrokerError."""
        return await self._once(what, call, self._orderers)

    def renewed(self) -> None:
        """A new token is in place: calls may be made again."""
        self._generation += 1
        self.halted = None

    def close(self) -> None:
        """Takes no new calls; those under way end by their own timeout."""
        for threads in (self._readers, self._orderers):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _once(self, what: str, call: Callable[[], T], threads: ThreadPoolExecutor) -> T:
        asked_ns = self._timers.monotonic_ns()
        if self.halted is not None and not await self._goes_on():
            raise self.halted
        generation = self._generation
        try:
            return await self._attempt(what, call, threads, asked_ns=asked_ns)
        except TokenExpired as error:
            if not await self._refreshed(generation):
                self._halt(error)
                raise
        try:
            return await self._attempt(what, call, threads, asked_ns=asked_ns)
        except TokenExpired as error:
            self._halt(error)
            raise

    async def _attempt(self, what: str, call: Callable[[], T], threads: ThreadPoolExecutor, *, asked_ns: int) -> T:
        late_ns = int((self._request_seconds + _GRACE_SECONDS) * 1e9)

        def in_time() -> T:
            # A process that stood still, or waited for a token, does not send what another may have decided on since.
            if self._timers.monotonic_ns() - asked_ns > late_ns:
                raise NoAnswer(self.broker, f"{what}: not sent, it was asked for too long ago")
            return call()

        try:
            # What the thread asks is asked on behalf of whoever asks here.
            started = threads.submit(copy_context().run, in_time)
        except RuntimeError:  # closed
            raise Refused(self.broker, f"{what}: not asked, the connection was closed") from None
        watched = _threads.get()
        if watched is not None:
            watched.append(started)  # type: ignore[arg-type]  # nobody asks what it returns
        future = asyncio.wrap_future(started)
        try:
            async with deadline(self._timers, self._request_seconds + _GRACE_SECONDS):
                return await asyncio.shield(future)
        except TimeoutError:
            if not future.done():
                # Ours: the SDK did not end by itself. A call that still waits for a thread must never start any more;
                # one that runs goes on, and its result is dropped.
                future.add_done_callback(_retrieve)
                started.cancel()
                raise NoAnswer(self.broker, f"{what}: no answer in {self._request_seconds:g} s") from None
            problem = future.exception()
            if problem is None:
                return future.result()  # it came in the last moment
            raise self._told(what, problem) from None
        except asyncio.CancelledError:
            future.add_done_callback(_retrieve)
            started.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - SDKs raise what they like; `classify` knows all of it
            raise self._told(what, error) from None

    def _told(self, what: str, error: BaseException) -> BrokerError:
        """The error by what to do about it, without secrets and without the SDK's own chain, which may hold some."""
        classified = error if isinstance(error, BrokerError) else self._classify(error)
        text = self._redactor.text(classified).removeprefix(f"{self.broker}: ")
        return type(classified)(self.broker, text if text.startswith(what) else f"{what}: {text}")

    def _halt(self, error: TokenExpired) -> None:
        self.halted, self._ask_again_ns = error, self._timers.monotonic_ns() + int(_HALT_SECONDS * 1e9)

    async def _goes_on(self) -> bool:
        """Whether a token was brought since everything halted; it is asked for now and then, by one of the callers."""
        now_ns = self._timers.monotonic_ns()
        if now_ns < self._ask_again_ns:
            return self.halted is None
        self._ask_again_ns = now_ns + int(_HALT_SECONDS * 1e9)
        if await self._refreshed(self._generation):
            self.halted = None
        return self.halted is None

    async def _refreshed(self, generation: int) -> bool:
        async with self._refreshing:
            if self._generation != generation:
                return True  # somebody else's call found out first
            if self._refresh is None or not await self._refresh():
                return False
            self._generation += 1
            return True


def _retrieve(future: "asyncio.Future[T]") -> None:
    """Looks at an abandoned call's end, so that the loop does not complain that nobody did."""
    if not future.cancelled():
        future.exception()
