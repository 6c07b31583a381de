"""Between a process and its broker: requests that leave, arrive, are done and are answered, each at its own time.

    process: ask ─► leaves │ world: … arrives ─► done at the exchange ─► answer … │ process: reads it, or gave up

What has left arrives whether or not its process lives: that is the whole difficulty. The order stream goes the other
way, word by word, each with its own delay.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from services.cli.drill.exchange.faults import Fate, NetworkFault, Weather
from services.cli.drill.simulation.loop import SimulatedLoop
from services.cli.drill.simulation.points import ANSWERED, ASKING, CrashPoints
from services.cli.drill.simulation.process import CURRENT
from services.sandbox.exchange import SandboxExchange
from services.sandbox.ports import Refusal, SandboxOrder
from tradebus.brokers.calls import LATE_SECONDS
from tradebus.brokers.errors import BrokerError, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import deadline, sleep

T = TypeVar("T")
REQUEST_SECONDS = 10.0
LATE_NS = int(LATE_SECONDS * NANOSECONDS_PER_SECOND)
LEAVES_SECONDS = (0.0, 0.003)  # from its decision to the wire: a thread, a connection
STALE_SECONDS = 3.0  # below what a book may take to show what was answered
Told = Callable[[str], None]


@dataclass(eq=False, slots=True)
class StreamEnd:
    """One connection of the order stream, at its listener. None ends it."""

    words: "asyncio.Queue[SandboxOrder | FeedEvent | None]"


class BrokerNetwork:
    """The way to one broker's one login, and what stands at its other end. `told` hears what happens."""

    def __init__(
        self, name: str, account: str, exchange: SandboxExchange, *, loop: SimulatedLoop, weather: Weather,
        points: CrashPoints, told: Told,
    ) -> None:  # fmt: skip
        self.name, self.account, self.exchange, self.weather = name, account, exchange, weather
        self.told = told
        self.is_logged_in = True
        self.under_way = 0  # requests that left and have not arrived
        self.requests = 0
        self.last_late_ns = 0  # when a request arrived that was long under way
        self._loop, self._points = loop, points
        self._ends: list[StreamEnd] = []

    async def ask(self, what: str, act: Callable[[], T], *, timers: Timers, reads: bool) -> T:
        """One request, once; what the exchange answers. Raises BrokerError."""
        asked_ns = timers.monotonic_ns()
        await self._points.at(ASKING, what)
        await sleep(timers, self.weather.draws.between(*LEAVES_SECONDS))
        if timers.monotonic_ns() - asked_ns > LATE_NS:
            raise NoAnswer(self.name, f"{what}: not sent, it was asked for too long ago")
        if CURRENT.get().is_doomed:
            raise NoAnswer(self.name, f"{what}: the process is dead")
        fate, answer = self.weather.fate(what, reads=reads), self._loop.create_future()
        self.requests += 1
        self.under_way += 1
        if fate.fault is not None:
            self.told(f"{self.name}: {what} meets {fate.fault.value}")
        self._later(fate.there, partial(self._arrives, what, act, fate, answer, reads=reads))
        try:
            async with deadline(timers, REQUEST_SECONDS):
                found = await answer
        except TimeoutError:
            raise NoAnswer(self.name, f"{what}: no answer in {REQUEST_SECONDS:g} s") from None
        await self._points.at(ANSWERED, what)
        return found  # type: ignore[no-any-return]

    def connect(self) -> StreamEnd | None:
        """A connection of the order stream; None where the broker takes none now."""
        if self.weather.is_out or not self.is_logged_in:
            return None
        end = StreamEnd(asyncio.Queue())
        self._ends.append(end)
        return end

    def disconnect(self, end: StreamEnd) -> None:
        """The listener has gone."""
        if end in self._ends:
            self._ends.remove(end)

    def cut_streams(self) -> None:
        """Every connection of the order stream breaks."""
        ends, self._ends = self._ends, []
        for end in ends:
            end.words.put_nowait(FeedEvent(FeedEventKind.DISCONNECTED, "cut"))
            end.words.put_nowait(None)

    async def tell_changes(self) -> None:
        """Sends every change of the account's orders to whoever listens, for ever. The world's."""
        changes = self.exchange.listen_orders(self.account)
        while True:
            order = await changes.get()
            for end in list(self._ends):
                for seconds in self.weather.word():
                    self._later(seconds, partial(self._heard, end, order))

    def _heard(self, end: StreamEnd, order: SandboxOrder) -> None:
        if end in self._ends:
            end.words.put_nowait(order)

    def _arrives(
        self, what: str, act: Callable[[], Any], fate: Fate, answer: "asyncio.Future[Any]", *, reads: bool
    ) -> None:
        self.under_way -= 1
        if fate.there > 1.0:
            self.last_late_ns = self._loop.machine.now_ns()
        if fate.fault is NetworkFault.NEVER_ARRIVES or self.weather.is_out:
            self._later(0.0, partial(_answered, answer, NoAnswer(self.name, f"{what}: connection reset")))
            return
        if fate.fault is NetworkFault.SERVER_ERROR:
            found: Any = NoAnswer(self.name, f"{what}: 503")
        elif fate.fault is NetworkFault.THROTTLED:
            found = Throttled(self.name, f"{what}: 429")
        elif not self.is_logged_in:
            found = TokenExpired(self.name, f"{what}: the login has ended")
        else:
            found = self._done(what, act, reads=reads)
        if fate.fault is NetworkFault.SERVER_ERROR_AFTER:
            found = NoAnswer(self.name, f"{what}: 502")
        elif fate.fault is NetworkFault.ACCEPT_THEN_DROP:
            found = NoAnswer(self.name, f"{what}: connection reset")
        elif fate.fault is NetworkFault.STALE_BOOK and isinstance(found, list):
            found = self._as_it_was(found)
        self._later(fate.back, partial(_answered, answer, found))

    def _done(self, what: str, act: Callable[[], T], *, reads: bool) -> T | BrokerError:
        if not reads:
            self.told(f"{self.name}: {what} arrives")
        try:
            return act()
        except Refusal as refusal:
            self.told(f"{self.name}: {what} is refused: {refusal.text}")
            return Refused(self.name, f"{what}: {refusal.text}")

    def _as_it_was(self, orders: Sequence[Any]) -> list[Any]:
        """Without what is so new that a book may not show it yet."""
        before_ns = self.exchange.now_ns - round(STALE_SECONDS * NANOSECONDS_PER_SECOND)
        return [one for one in orders if not isinstance(one, SandboxOrder) or one.placed_ns <= before_ns]

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._loop.world.timers.after(seconds, call)


def _answered(answer: "asyncio.Future[Any]", found: Any) -> None:
    if answer.done():
        return
    if isinstance(found, BrokerError):
        answer.set_exception(found)
        answer.exception()  # nobody may be there any more to ask
    else:
        answer.set_result(found)
