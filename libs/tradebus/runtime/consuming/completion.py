"""What follows once an entry has its answer: store, publish, acknowledge; or put aside.

Servers that are away are waited for. Told to stop meanwhile, nothing more is acknowledged: `Stopped`. Where the policy
lets a handler store beside its work, one store at a time is under way, each taking what has come together meanwhile;
what others are owed leaves only after it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from tradebus.bus.port import Entry, Outgoing, Subscription
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.beside import StoresBeside
from tradebus.runtime.consuming.handled import Handled
from tradebus.runtime.consuming.handling import Bury, Done, Effect, Handler, Policy, Publisher, PutAside, reason_of
from tradebus.runtime.patience import PASSING, patiently

_log = structlog.get_logger()


class Stopped(Exception):
    """Told to stop while something had still to be published: it is handled again in the next life."""


class Completion:
    """The way out of one subscription. `coalesce`: publishes at the end of a batch only."""

    def __init__(
        self, subscription: Subscription, *, handler: Handler, publisher: Publisher, timers: Timers, policy: Policy,
        bury: Bury, coalesce: bool, paced: bool, stop: asyncio.Event, singly: int,
    ) -> None:  # fmt: skip
        """`singly`: so many entries are stored one by one, to find the one that cannot be."""
        self._subscription, self._handler, self._publisher = subscription, handler, publisher
        self._timers, self._policy, self._bury, self._coalesce = timers, policy, bury, coalesce
        self._acknowledge_ns = 0 if paced else round(policy.acknowledge_seconds * NANOSECONDS_PER_SECOND)
        self._stop, self._singly = stop, singly
        self._handled = Handled()
        self._out: list[Outgoing] = []
        self._stored_ns = self._acknowledged_ns = timers.monotonic_ns()
        self.lost = 0  # entries whose effect was in memory only, when the handler went back to what the book says
        self._beside = StoresBeside(self._commit, lambda: self._handled.number)

    @property
    def held(self) -> int:
        """How many entries' effect is in memory only."""
        return self._handled.held

    def lose_held(self) -> None:
        """What is held is in the handler's memory no more. What is being stored of it may be stored all the same."""
        self.lost += self._handled.lose_held()

    async def conclude(
        self, entry: Entry, answer: Done | PutAside, *, owed: Sequence[Outgoing], closes: bool
    ) -> Done | PutAside | None:
        """Finishes it or puts it aside; says what became of it. None where others may be at fault for what cannot be
        stored: everything held is to be handled again, one by one."""
        try:
            if isinstance(answer, Done):
                await self.finish(entry, answer, owed=owed, closes=closes)
            else:
                await self.put_aside(entry, answer.reason, owed=owed, closes=closes)
            return answer
        except Stopped:
            raise
        except Exception as error:
            at_fault = 1 if isinstance(answer, Done) else 0  # an entry that was put aside holds nothing
            if self.held <= at_fault and not at_fault:
                raise
            _log.error("cannot be finished", stream=entry.stream, entry_id=entry.entry_id, exc_info=error)
            if self.held > at_fault:
                return None
            # Nobody can store or publish what this entry led to; what it left in memory is dropped with it.
            self._handled.drop(entry)
            self._handled.stored()
            self._out.clear()
            answer = PutAside(reason_of(error))
        await self.put_aside(entry, answer.reason, owed=owed, closes=closes)
        return answer

    async def finish(self, entry: Entry, done: Done, *, owed: Sequence[Outgoing], closes: bool) -> None:
        """Stores and publishes as the answer says; acknowledges what may be, in the same round trip."""
        effect, first, singly = done.effect, done.first, self._singly > 0
        if singly and effect in (Effect.HELD, Effect.COMMIT):
            effect, self._singly = Effect.COMMIT, self._singly - 1
        self._handled.add(entry, effect, closes=closes, is_open=done.is_open)
        if effect is Effect.COMMIT:
            if first or self._publisher.has_any:
                await self._publish([*self._take_out(), *first], acknowledge=False)
            first = ()
            if self._policy.stores_beside and not (singly or owed or done.then):
                await self._beside.begin(wait=self._handled.to_store > self._policy.commit_entries)
            else:
                await self.commit()
        elif owed:  # what is under way was before it
            await self._beside.finished()
        self._out += [*first, *done.then, *owed]
        if not self._coalesce and (self._out or self._publisher.has_any):
            await self.publish()

    async def put_aside(self, entry: Entry, reason: str, *, owed: Sequence[Outgoing], closes: bool) -> None:
        """What others wait for first: they are told again, harmlessly, where this is cut short."""
        if owed:
            await self._beside.finished()
        if closes:
            self._handled.close()
        self._out += owed
        if self._out or self._publisher.has_any:
            await self.publish()
        await self._patient(lambda: self._bury(self._subscription, entry, reason))

    async def commit(self) -> None:
        """Has the handler store what is held."""
        await self._beside.finished()
        await self._commit()

    async def settle(self, *, idle: bool) -> None:
        """The end of a batch: stores what has been held long enough, acknowledges what waits for nothing more."""
        if idle or not self._beside.is_under_way:
            await self._beside.finished()
        waited_ns = self._timers.monotonic_ns() - self._stored_ns
        is_due = self._handled.to_store >= self._policy.commit_entries or waited_ns >= self._policy.commit_seconds * 1e9
        stores = self._handled.held > 0 and (idle or is_due)
        if stores:
            if self._policy.stores_beside and not idle:
                await self._beside.begin(wait=self._handled.to_store > self._policy.commit_entries)
            else:
                await self.commit()
        if idle or stores or self._out or self._publisher.has_any or self.left_ms(1) == 0:
            await self.publish()

    def left_ms(self, at_most: int) -> int:
        """Milliseconds until what may be acknowledged has waited long enough, rounded up."""
        if not self._handled.has_ready:
            return at_most
        left_ns = self._acknowledged_ns + self._acknowledge_ns - self._timers.monotonic_ns()
        return max(0, min(at_most, -(-left_ns // 1_000_000)))

    def abandon(self) -> None:
        """Stores and publishes nothing more."""
        self._beside.abandon()

    async def _commit(self) -> None:
        stored: list[bool] = []
        mark = (0, 0)

        async def committed() -> None:
            nonlocal mark
            mark = self._handled.mark()
            stored.append(await self._handler.commit())

        await self._patient(committed)
        self._stored_ns = self._timers.monotonic_ns()
        if stored[-1]:
            self._handled.stored(mark)

    async def publish(self) -> None:
        """What is committed, what the entries led to, and the acknowledgements."""
        await self._publish(self._take_out(), acknowledge=True)

    def _take_out(self) -> list[Outgoing]:
        out, self._out = self._out, []
        return out

    async def _publish(self, outgoing: Sequence[Outgoing], *, acknowledge: bool) -> None:
        entries = self._handled.take() if acknowledge else []
        if not (outgoing or entries or self._publisher.has_any):
            return
        ack = (self._subscription, entries) if entries else None
        if acknowledge:
            self._acknowledged_ns = self._timers.monotonic_ns()
        try:
            await self._patient(lambda: self._publisher.flush(then=outgoing, ack=ack))
        except BaseException:
            self._handled.put_back(entries)
            raise

    async def _patient(self, work: Callable[[], Awaitable[object]]) -> None:
        async def done() -> bool:
            await work()
            return True

        if self._stop.is_set():  # once, for an orderly end
            try:
                await work()
            except PASSING as error:
                _log.warning("not done any more", problem=reason_of(error))
                raise Stopped from None
        elif await patiently(done, self._stop, timers=self._timers, what="publishing") is None:
            raise Stopped
