"""One round of real runs beside each other, from their start to the verdicts.

    0 ──── trading, kills, crashes, faults ──── 12 s ── faults end ── STOP ── all is over ── what came late ── verdicts

Truth is the exchange's own book, asked for at the sandbox's address; the invariants are those of the simulated drill.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from services.cli.drill.real.judging import book_of, order_of, trades_of
from services.cli.drill.real.parts import RealParts
from services.cli.drill.real.plan import KILL_SWITCH, TRADING_SECONDS, RealRound, RealRun
from services.cli.drill.real.standing import RealStack
from services.cli.drill.real.striking import RealStriking
from services.cli.drill.running.excuses import excuses
from services.cli.drill.running.invariants import (
    Invariant,
    KnownOpen,
    Violation,
    at_end,
    left_at_stop,
    unprotected,
)
from services.cli.drill.running.people import disobeyed
from services.cli.drill.running.story import DrillStory
from services.cli.drill.running.truth import bare_spans, stops_taken_back, tags_of
from services.cli.drill.seeds import SeedVerdict
from services.sandbox.ports import SandboxOrder
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.store.outbox import Outbox
from tradebus.waiting.timers import wall_timers

_CALM_SECONDS = 3.0
_END_SECONDS = 150.0  # until everything must be over
_LATE_SECONDS, _QUIET_SECONDS = 14.0, 2.0  # what a request that was held up has made is found by then
_WATCH_SECONDS = 0.25


@dataclass(slots=True)
class RealPlay:
    """One run. `faults_ns` are the moments in which its requests were struck."""

    run: RealRun
    stack: RealStack
    parts: RealParts
    story: DrillStory
    changes: list[SandboxOrder] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    known: list[KnownOpen] = field(default_factory=list)
    faults_ns: list[tuple[int, int]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    is_over: bool = False

    async def begin(self) -> None:
        """The session is started, its changes are listened to, and its faults lie in wait."""
        await self.parts.start()
        await self.stack.admin.changes(self.run.account)
        for rule in self.run.faults:
            await self.stack.admin.add_fault({**rule, "account": self.run.account})
            self.story.tell(f"a fault lies in wait: {dict(rule)}")

    async def hear(self) -> None:
        """What the exchange has told of the account since."""
        for row in await self.stack.admin.changes(self.run.account):
            order = self._order(row)
            self.changes.append(order)
            asked = order.request
            what = f"{asked.transaction} {asked.quantity} at {asked.trigger_paise}, {asked.tag}"
            done = f"{order.status} {order.filled_quantity} {order.reason}"
            self.story.tell(f"exchange at {order.updated_ns}: order {order.order_id} ({what}) {done}")

    def struck(self, rule: dict[str, Any], times: int) -> None:
        """A rule of its account has struck so often since it was looked at last."""
        now_ns = self.stack.clock.now_ns()
        seconds = float(rule["seconds"]) if rule["kind"] == "DELAY" else 0.0
        span = (now_ns - round(_WATCH_SECONDS * 1e9), now_ns + round(seconds * NANOSECONDS_PER_SECOND))
        self.faults_ns.append(span)
        self.faults[str(rule["kind"]).lower().replace("_", " ")] += times
        self.story.tell(f"{rule['kind']} strikes {rule['endpoint']} ({times})")

    async def stop(self) -> None:
        """To the end of the session, and what is left of it then."""
        self.story.tell("told to stop")
        await self.parts.stop()
        await self.parts.end()
        self.story.tell("STOPPED")
        tags = tags_of(await trades_of(self.stack, self.run.session))
        self.violations += left_at_stop(await self._orders(), tags, self.run.session)
        self.is_over = True

    async def obeyed(self, killed_ns: int) -> None:
        """What its FLATTEN, and everybody's KILL at that time (0: none), have left is noted."""
        trades = await trades_of(self.stack, self.run.session)
        found = disobeyed(trades, killed_ns=killed_ns, flattened=self.parts.flattened, spared=self.parts.spared)
        self.violations += found

    async def judge(self, strikes: RealStriking) -> SeedVerdict:
        """Once nothing more comes."""
        if not self.is_over:
            text = f"{self.run.session} not STOPPED after {_END_SECONDS:.0f} s of calm"
            self.violations.append(Violation(Invariant.NOT_FINISHED, text))
        await self.hear()
        book = await book_of(self.stack, self.run.session, orders=await self._orders())
        self.violations += at_end(book)
        end_ns = self.stack.clock.now_ns()
        why = excuses(down_ns=strikes.down_ns, away_ns=strikes.away_ns, end_ns=end_ns)
        died = stops_taken_back(self.changes, book.tags)
        faults_ns = [*self.faults_ns, *((at_ns, at_ns) for at_ns in died)]
        faults_ns += [
            (span[0], span[-1]) for span in (*chain.from_iterable(strikes.down_ns.values()), *strikes.away_ns)
        ]
        spans = list(bare_spans(self.changes, book.tags, by_hand=frozenset(), end_ns=end_ns))
        for found in unprotected(spans, why, faults_ns):
            if isinstance(found, Violation):
                self.violations.append(found)
            else:
                self.known.append(found)
        for violation in self.violations:
            self.story.tell(f"VIOLATED  {violation.invariant}: {violation.text}")
        return SeedVerdict(
            self.run.seed, self.story.digest, tuple((one.invariant.value, one.text) for one in self.violations),
            tuple((one.why, one.seconds) for one in self.known), dict(self.faults), len(book.orders),
            len(book.trades), 0, 0.0,
        )  # fmt: skip

    async def _orders(self) -> list[SandboxOrder]:
        told = await self.stack.admin.account(self.run.account)
        return [self._order(row) for row in told["orders"]]

    def _order(self, row: dict[str, Any]) -> SandboxOrder:
        numbers = {str(one.instrument_key): one.instrument_id for one in self.stack.instruments.values()}
        return order_of(row, account=self.run.account, numbers=numbers)


async def play_round(stack: RealStack, planned: RealRound) -> tuple[list[SeedVerdict], dict[int, DrillStory]]:
    """The verdicts, and each run's story by its seed. What befell all of them is counted with the first."""
    stories = {run.seed: DrillStory(stack.clock.now_ns) for run in planned.runs}
    outbox = Outbox(stack.store, stack.bus, timers=wall_timers())
    plays = [RealPlay(run, stack, RealParts(run, stack, outbox), stories[run.seed]) for run in planned.runs]
    await asyncio.gather(*(one.begin() for one in plays))

    def told(text: str) -> None:
        for story in stories.values():
            story.tell(text)

    strikes, watching = RealStriking(stack, told=told), asyncio.create_task(_watch(stack, plays))
    try:
        trading = [one.parts.trade(trade) for one in plays for trade in one.run.trades]
        trading += [_flatten(one) for one in plays]
        killing = asyncio.create_task(_kill(plays[0], planned, told))
        await asyncio.gather(*trading, strikes.strike(planned.strikes), killing, asyncio.sleep(TRADING_SECONDS))
        await stack.admin.clear_faults()
        told("nothing more goes wrong")
        await asyncio.sleep(_CALM_SECONDS)
        if not strikes.away_ns:  # else a command may have reached nobody in time
            await asyncio.gather(*(one.obeyed(killing.result()) for one in plays))
        ending = [asyncio.create_task(one.stop()) for one in plays]
        await asyncio.wait(ending, timeout=_END_SECONDS)
        for task in ending:
            task.cancel()
        for outcome in await asyncio.gather(*ending, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        late = any(span[1] > span[0] + NANOSECONDS_PER_SECOND for one in plays for span in one.faults_ns)
        await asyncio.sleep(_LATE_SECONDS if late else _QUIET_SECONDS)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    verdicts = [await one.judge(strikes) for one in plays]
    if killing.result():
        strikes.counted[KILL_SWITCH] += 1
        await plays[0].parts.release()
    return [_with_all(verdicts[0], strikes), *verdicts[1:]], stories


async def _kill(play: RealPlay, planned: RealRound, told: Callable[[str], None]) -> int:
    """When everything was killed, in the market's time; 0 where it is not."""
    if not planned.kill_seconds:
        return 0
    await asyncio.sleep(planned.kill_seconds)
    await play.parts.kill()
    told("the kill switch is engaged")
    return play.stack.clock.now_ns()


async def _flatten(play: RealPlay) -> None:
    planned = play.run.flatten
    if planned is not None:
        await play.parts.flatten(planned)
        play.faults["session flattened"] += 1
        count = len(play.parts.flattened)
        play.story.tell(f"is to be flat ({planned.scope}): {count} of {count + len(play.parts.spared)} positions")


def _with_all(verdict: SeedVerdict, strikes: RealStriking) -> SeedVerdict:
    ended = tuple((Invariant.SERVICE_ENDED.value, problem) for problem in strikes.problems())
    faults = {**verdict.faults, **strikes.counted}
    return replace(verdict, violations=(*verdict.violations, *ended), faults=faults, kills=strikes.kills)


async def _watch(stack: RealStack, plays: list[RealPlay]) -> None:
    """What the exchange tells of each account, and which faults have struck, for as long as it runs."""
    accounts, seen = {one.run.account: one for one in plays}, Counter[int]()
    while True:
        for rule in await stack.admin.faults():
            times = int(rule["struck"]) - seen[rule["id"]]
            if times > 0 and rule["account"] in accounts:
                accounts[rule["account"]].struck(rule, times)
            seen[rule["id"]] += max(0, times)
        for one in plays:
            await one.hear()
        await asyncio.sleep(_WATCH_SECONDS)
