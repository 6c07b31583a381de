"""The one loop over the bus: read ─► merge ─► handle ─► publish ─► acknowledge, in this order, for every service.

    input ─► batch ─► Attempts ─┬─ done ──► store, publish what it led to and what it owes ─► acknowledge
      ▲                         └─ aside ─► publish what it owes ─► dead letters, log, metric
      └── claimed from dead consumers        between entries: chores that are due, jobs that were posted

Invariants (tested on twins):
- An entry is acknowledged only after its effect is stored and what it led to is published; in a paced run only
  with, or after, the watermark that closes it, so that a restart finds every watermark that its merge needs.
- No entry ends the process, holds up the others for ever, or is tried without a pause; one that was in hand when
  several processes ended, one after the other, is put aside unseen.
- A bus or a database that is away is waited for, and counts against no entry.
- The handler, its chores and the posted jobs are called one at a time.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache, partial

import structlog

from tradebus.bus.port import Entry, Subscription
from tradebus.bus.pressure import waits
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.attempts import Attempts
from tradebus.runtime.consuming.chores import Chores, Job
from tradebus.runtime.consuming.completion import Completion, Stopped
from tradebus.runtime.consuming.handling import (
    DONE,
    Answer,
    Bury,
    BusPublisher,
    Done,
    Effect,
    Handler,
    Owed,
    Policy,
    Publisher,
    PutAside,
    TryLater,
    bury,
)
from tradebus.runtime.consuming.source import InputSource
from tradebus.runtime.merge import MergedInput
from tradebus.runtime.metrics import ConsumerMetrics
from tradebus.runtime.patience import patiently
from tradebus.waiting.timers import sleep

__all__ = [
    "DONE", "Answer", "BusPublisher", "Consumer", "ConsumerMetrics", "Done", "Effect", "Handler", "Policy", "Publisher",
    "PutAside", "TryLater",
]  # fmt: skip

BLOCK_MS = 250
_CLAIM_EVERY_SECONDS = 10.0
_log = structlog.get_logger()


class Consumer:
    """One input, one handler. A component of the service shell (`run`)."""

    def __init__(
        self, name: str, *, open_input: Callable[[], Awaitable[MergedInput]], handler: Handler, publisher: Publisher,
        timers: Timers, metrics: ConsumerMetrics, paced: bool = False, owed: Owed | None = None,
        policy: Policy | None = None, bury: Bury = bury, turn: asyncio.Lock | None = None, coalesce: bool = False,
    ) -> None:  # fmt: skip
        """`open_input` subscribes; it is called again for `reopen`. `owed` says what others wait for once an entry is
        dealt with, whichever way: watermarks. `bury` puts an entry aside. Consumers with one `turn` never handle at the
        same time. `coalesce`: what a batch led to leaves in one publish at its end, for those whom nobody waits for."""
        policy, turn = policy or Policy(), turn or asyncio.Lock()
        self._name, self._paced, self._owed, self._timers, self._metrics = name, paced, owed, timers, metrics
        self._attempts = Attempts(
            name, handler=handler, publisher=publisher, timers=timers, metrics=metrics, policy=policy, turn=turn
        )
        self._chores = Chores(name, timers=timers, metrics=metrics, turn=turn, spoilt=self._attempts.spoilt)
        self._source = InputSource(name, open_input, timers=timers, policy=policy)
        self.troubles = (self._source.trouble,)
        self._completion: Completion | None = None
        self._complete = partial(
            Completion, handler=handler, publisher=publisher, timers=timers, policy=policy, bury=bury,
            coalesce=coalesce, paced=paced,
        )  # fmt: skip
        self._batch: deque[Entry] = deque()
        self._count = cache(partial(metrics.handled.labels, name))  # looked up for every slice of ticks otherwise
        self._stop = asyncio.Event()
        self._pausing = self._reopening = False
        self._singly = 0  # so many entries are stored one by one, to find the one that cannot be
        self._worked_ns = timers.monotonic_ns()
        if policy.claim_idle_seconds is not None and not paced:
            self.every(_CLAIM_EVERY_SECONDS, self._claim, name="claim")

    def every(self, seconds: float, work: Job, *, name: str, before: Job | None = None) -> None:
        """Does `work` so often, with entries or without; `before` it, under no turn. One that fails is done again."""
        self._chores.every(seconds, work, name=name, before=before)

    def post(self, job: Job) -> None:
        """Has `job` done once, between entries, as soon as can be: what a timer or another task found to be due."""
        self._chores.post(job)
        self._source.wake()

    def pause(self) -> None:
        """Handles nothing more after the entry in hand, until `resume`. Chores and jobs go on."""
        self._pausing = True
        self._source.wake()

    def resume(self) -> None:
        self._pausing = False

    def reopen(self) -> None:
        """Subscribes anew after the entry in hand; what was read and not handled comes again."""
        self._reopening = True
        self._source.wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Recovers, then handles entries until told to stop; stores and acknowledges what it holds, then returns."""

        async def stopped() -> None:
            await stop.wait()
            self._stop.set()
            self._source.wake()

        stopping = asyncio.create_task(stopped())
        try:
            while not self._stop.is_set():
                await self.turn()
            await self.close()
        finally:
            stopping.cancel()
            self.abandon()

    def abandon(self) -> None:
        """Nothing more is stored, published or acknowledged: as if the process had ended here."""
        if self._completion is not None:
            self._completion.abandon()

    async def turn(self, *, block_ms: int = BLOCK_MS) -> int:
        """Handles what is there, waiting up to `block_ms` for something; how many entries it dealt with."""
        completion = self._completion or await self._open()
        if completion is None:
            return 0
        count = 0
        try:
            await self._do_due(completion)
            if not self._batch:
                self._batch.extend(await self._read(block_ms, completion))
            while self._batch and not (self._stop.is_set() or self._pausing or self._reopening):
                if not await self._deal_with(self._batch[0], completion):
                    break
                self._batch.popleft()
                count += 1
                if not self._paced:  # whose order must not depend on how fast it goes
                    await self._do_due(completion)
            await self._settle(completion, block_ms, worked=count > 0)
        except Stopped:
            _log.warning("stopped with work not published: it is done again", consumer=self._name)
            self._completion = None
        return count

    async def close(self) -> None:
        """Stores and acknowledges what is held, and gives the subscription back. What servers that are away leave
        undone is done again in the next life."""
        if self._completion is not None:
            with contextlib.suppress(Stopped):  # said already
                await self._completion.settle(idle=True)
        await self._source.close()
        self._completion = None
        self._batch.clear()

    async def _open(self) -> Completion | None:
        """Recovers where that is due and subscribes; None where it is told to stop first."""

        async def opened() -> Subscription:
            await self._attempts.recover()
            return await self._source.open()

        subscription = await patiently(opened, self._stop, timers=self._timers, what=f"{self._name}: starting")
        if subscription is None:
            return None
        self._completion, self._singly = self._complete(subscription, stop=self._stop, singly=self._singly), 0
        return self._completion

    async def _read(self, block_ms: int, completion: Completion) -> list[Entry]:
        block_ms = completion.left_ms(self._chores.left_ms(block_ms))
        if self._pausing:
            await sleep(self._timers, block_ms / 1000, unless=self._stop)
        if self._pausing or self._chores.has_jobs or self._reopening or self._stop.is_set():
            return []
        return await self._source.read(block_ms, stop=self._stop)

    async def _deal_with(self, entry: Entry, completion: Completion) -> bool:
        """False where it is to be delivered again: told to stop, or its batch is handled once more."""
        if entry.after_gap:
            self._metrics.gaps.labels(self._name, entry.stream).inc()
            _log.warning("entries were gone before they were read", consumer=self._name, stream=entry.stream)
            if waits(entry.stream, paced=self._paced):  # what they would have changed is in the book
                self._attempts.spoilt()
        self._attempts.recovering = completion.lose_held
        answer = await self._attempts.answer(entry, self._source.input.subscription, self._stop)
        if completion.lost:  # what was held in memory: it comes again
            self._handle_singly(completion, also=1)
            return False
        if answer is None:
            return False
        owed = self._owed(entry) if self._owed is not None else ()
        # Paced, an entry stays until a later watermark is out: its own holds that one's place in the merge.
        closes = bool(owed) or not self._paced or self._owed is None
        alone = self._paced and not self._source.input.gates(entry.stream)
        if alone and isinstance(answer, Done) and answer.effect is Effect.STORED:
            answer = replace(answer, effect=Effect.ALONE)
        concluded = await completion.conclude(entry, answer, owed=owed, closes=closes)
        if concluded is None:
            self._handle_singly(completion)
            return False
        if concluded is not answer:  # it could not be stored or published
            self._attempts.spoilt()
        if isinstance(concluded, PutAside):
            self._metrics.put_aside.labels(self._name, entry.stream).inc()
            _log.error(
                "put aside", consumer=self._name, stream=entry.stream, entry_id=entry.entry_id, reason=concluded.reason
            )
        else:
            self._count(entry.stream).inc()
        return True

    def _handle_singly(self, completion: Completion, *, also: int = 0) -> None:
        """What is held cannot be stored, or is no longer in memory, through the fault of one entry: all are handled
        again, one by one, and those `also` that come after them."""
        self._attempts.spoilt()
        self._singly, self._reopening = completion.held + completion.lost + also, True

    async def _settle(self, completion: Completion, block_ms: int, *, worked: bool) -> None:
        now_ns = self._timers.monotonic_ns()
        if worked:
            self._worked_ns = now_ns
        if not self._singly:
            # An empty answer may come at once, when what was read waits for another stream: idle is only who waited.
            idle = self._reopening or now_ns - self._worked_ns >= block_ms * 1_000_000
            try:
                await completion.settle(idle=idle)
            except Stopped:
                raise
            except Exception as error:
                if not completion.held:
                    raise
                _log.error("cannot be stored", consumer=self._name, exc_info=error)
                self._handle_singly(completion)
        if self._reopening:
            completion.abandon()
            await self._source.close()
            self._batch.clear()
            self._completion, self._reopening = None, False

    async def _do_due(self, completion: Completion) -> None:
        if await self._chores.do_due(self._stop):
            await completion.publish()

    async def _claim(self) -> None:
        self._batch.extend(await self._source.claim())
