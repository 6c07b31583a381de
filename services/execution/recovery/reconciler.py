"""Follows one account: what its order stream says, and every few seconds what its books say.

    order stream ─► report          (re)connected, or 5 s, or 1 s ─► order book, positions ─► judge ─┬─ hear, realign
                                                                                                     └─ dispute

The stream is a hint, the book is the truth. A difference that hearing settles is told with RECONCILED; one that stays
is RECONCILE_MISMATCH, and no position is opened in the account until it is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from services.execution.accounts.accounts import TradingAccount
from services.execution.accounts.blocks import AccountBlocks
from services.execution.accounts.broker_switch import BrokerSwitch
from services.execution.accounts.reach import AccountReach
from services.execution.books import Books
from services.execution.logins.renewal import LoginRenewal
from services.execution.metrics import ExecutionMetrics
from services.execution.positions.by_hand import ClosedByHand
from services.execution.positions.degraded import Degraded
from services.execution.positions.last_look import LastLook
from services.execution.positions.looking import PositionLook
from services.execution.positions.profit import AccountProfits
from services.execution.positions.quick_looks import QuickLooks, StreamWord
from services.execution.positions.reading import PositionReading
from services.execution.recovery.closed_out import ClosedOut
from services.execution.recovery.listening import TRANSIENT, Listening
from services.execution.recovery.own_orders import OwnOrders
from services.execution.recovery.recovery import TradeRecovery
from services.execution.recovery.recurrence import PATIENCE, Recurrence
from services.execution.recovery.remedies import Remedies
from services.execution.recovery.telling import Telling
from services.execution.settings import ExecutionSettings
from services.execution.trades.keeper import Keeper
from tradebus.contracts.orders import Difference
from tradebus.contracts.sessions import SessionSpec
from tradebus.execution.reconciliation import (
    OwnOrder,
    ReconcileFinding,
    difference,
    judge,
    lines_by_tag,
    strangers,
)
from tradebus.kernel.clock import Clock
from tradebus.kernel.timers import Timers
from tradebus.store.outbox import Outbox
from tradebus.trading.orders import BrokerOrder
from tradebus.waiting.timers import sleep

_LOOK_BACK_SECONDS = 300.0  # after the last session of the account has ended
_AGAIN_SECONDS = 1.0  # where the next look decides
_log = structlog.get_logger()


class Reconciler:
    """One per account. `market_ns` gives the event time."""

    def __init__(
        self, account: TradingAccount, settings: ExecutionSettings, *, books: Books, keeper: Keeper,
        recovery: TradeRecovery, outbox: Outbox, clock: Clock, market_ns: Callable[[], int],
        spec_of: Callable[[str], Awaitable[SessionSpec]], is_killed: Callable[[], bool],
        why_closed: Callable[[str], str], metrics: ExecutionMetrics, timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._keeper, self._recovery, self._outbox = account, keeper, recovery, outbox
        self._market_ns, self._timers, self._book = market_ns, timers, books.own
        self._own = OwnOrders(account, books.own, spec_of)
        self._every_seconds, self._lost_seconds = settings.reconcile_seconds, settings.broker_lost_seconds
        self._due = asyncio.Event()
        stream = StreamWord()
        self._listening = Listening(
            account, self._own, book=books.own, keeper=keeper, outbox=outbox, missed=self._due.set, stream=stream,
            timers=timers,
        )  # fmt: skip
        self._quick = QuickLooks(account, keeper, stream, market_ns=market_ns, timers=timers)
        self._recurrence = Recurrence()
        self._closed_out = ClosedOut(account, books.own, keeper)
        by_hand = ClosedByHand(account, keeper, books.own, market_ns=market_ns)
        self._reading = PositionReading(account, late=self._due.set, timers=timers)
        profits = AccountProfits(account, books.own, books.standings, market_ns=market_ns, timers=timers)
        self._positions = PositionLook(
            account, books.own, by_hand, self._recurrence, reading=self._reading, profits=profits,
            lost_seconds=self._lost_seconds,
        )  # fmt: skip
        self._remedies = Remedies(keeper, account.gateway, self._recurrence, market_ns=market_ns)
        self._blocks = AccountBlocks(account, books.standings)
        self._switch = BrokerSwitch(account, wanted=lambda: settings.kill_at_broker and is_killed(), timers=timers)
        self._telling = Telling(
            account, self._blocks, book=books.book, outbox=outbox, clock=clock, market_ns=market_ns, metrics=metrics
        )
        self._renewal = LoginRenewal(
            account.broker, account.key[1], account.credentials, settled=self._telling.settled, warn=self._telling.warn,
            timers=timers,
        )  # fmt: skip
        self._degraded = Degraded(
            account, keeper, books, clock=clock, market_ns=market_ns, looks_max=settings.degraded_looks_max
        )  # fmt: skip
        self._last_look = LastLook(account.sessions, books.own, keeper.roster, why_closed=why_closed)
        self._noted: set[str] = set()  # others' orders that were mentioned
        self._reach = AccountReach(
            account.name, books.standings, lost_seconds=self._lost_seconds, clock=clock, timers=timers
        )
        self._alive_ns = self._timers.monotonic_ns()
        self._asked_for: str | None = None  # the session by whose login the books are read

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What Postgres or the broker will not give now is asked for again."""
        hearing = asyncio.create_task(self._listening.run())
        minding = asyncio.create_task(self._mind())
        renewing = asyncio.create_task(self._renewal.run())  # ends at once where a person must log in
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._due.clear()
                await self._look()
                await self._pause(stopping, hearing, minding)
        finally:
            for task in (hearing, minding, stopping, renewing):
                task.cancel()
            await asyncio.gather(hearing, minding, stopping, renewing, self._reading.close(), return_exceptions=True)

    async def _pause(self, stopping: asyncio.Task[bool], *parts: asyncio.Task[None]) -> None:
        """Until the books are to be read again, or the end. Raises what ended a part."""
        next_ns = self._timers.monotonic_ns() + int(self._every_seconds * 1e9)
        while (left_ns := next_ns - self._timers.monotonic_ns()) > 0 and not stopping.done():
            pause = asyncio.create_task(
                sleep(self._timers, min(_AGAIN_SECONDS, left_ns / 1e9), unless=self._due)
            )  # fmt: skip
            try:
                await asyncio.wait((pause, stopping, *parts), return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
            for part in parts:
                if part.done():
                    part.result()
            asked = self._due.is_set() or self._recurrence.open_questions or self._last_look.is_due
            if asked or self._quick.take():
                return

    async def _mind(self) -> None:
        """Keeps what entries are held to fresh."""
        account = self._account
        await asyncio.gather(*(one.run(lambda: bool(account.sessions)) for one in (account.margin, account.bands)))

    async def _look(self) -> None:
        """Reconciles, and stores what it means for entries."""
        try:
            try:
                await self.reconcile()
            except TRANSIENT:
                raise
            except Exception as error:  # noqa: BLE001 - whatever one account does, the others go on
                self._account.blocked = "reconcile_failed"
                _log.error("reconciliation failed", account=self._account.name, exc_info=error)
            await self._blocks.keep()
        except TRANSIENT as error:
            _log.warning("reconciliation failed, trying again", account=self._account.name, error=str(error))

    async def reconcile(self) -> None:
        """Reads the broker's books once and settles what can be settled. Raises what Postgres and the bus raise."""
        account = self._account
        for session_id in await self._book.ended(list(account.sessions)):
            account.sessions.pop(session_id, None)
        if account.sessions:
            self._asked_for, self._alive_ns = next(iter(account.sessions)), self._timers.monotonic_ns()
        elif self._asked_for is not None:
            await self._look_back(self._asked_for)
            return
        else:
            return
        finished = await self._last_look.finished()
        book = await account.gateway.order_book(self._asked_for)
        if book is None:
            lost = await self._reach.unread()
            if await self._telling.unread(self._lost_seconds, lost=lost):
                await self._degraded.lost()
            return
        await self._reach.read()
        await account.fence.look()
        self._recurrence.begin()
        self._telling.settled(await self._settle_orders(book))
        ours = await self._own.beside(book)
        await self._last_look.tell(finished, ours, book)
        self._telling.settled(await self._closed_out.take_over(book, ours))
        disputed = self._still_disputed(book, ours)
        marked, others = strangers(book, [*(order.tag for order in ours), *self._account.fence.tags()])
        disputed += self._recurrence.lasting(marked) + await self._positions.disputed(book, ours)
        if self._positions.is_lost:
            await self._degraded.lost()
        disputed = [*await self._degraded.look(positions_read=self._positions.is_read), *disputed]
        notes = [note for note in others if note.what not in self._noted]
        self._noted |= {note.what for note in others}
        self._telling.settled(notes)
        self._telling.settled(await self._switch.look(book))
        await self._telling.tell(
            len(ours), disputed, open_questions=self._recurrence.open_questions, is_known=self._positions.is_known
        )

    async def _look_back(self, session_id: str) -> None:
        """No session trades here any more; an order of one may still arrive, and is cancelled or undone."""
        if self._timers.monotonic_ns() - self._alive_ns > _LOOK_BACK_SECONDS * 1e9:
            self._asked_for = None
            return
        book = await self._account.gateway.order_book(session_id)
        if book is not None:
            self._recurrence.begin()
            self._telling.settled(await self._settle_orders(book))

    async def _settle_orders(self, book: Sequence[BrokerOrder]) -> list[Difference]:
        """Hears what the broker knows more of, and says again what it should know. Returns what was settled."""
        own = await self._own.beside(book)
        by_tag, _ = lines_by_tag(own, book)
        settled = await self._remedies.cancel_twins(own, book)
        for ours in own:
            if not self._keeper.roster.is_owner(ours.owner):
                continue
            theirs = by_tag.get(ours.tag)
            if theirs is None:
                await self._look_up_missing(ours)
                continue
            told = await self._remedies.apply(judge(ours, theirs), ours, theirs)
            if told is not None:
                settled.append(told)
        await self._remedies.cover_bare(own, book)
        await self._outbox.flush()
        return settled

    async def _look_up_missing(self, ours: OwnOrder) -> None:
        """Live with us, accepted by the broker once, and not in its book: only a look-up by tag may say it is gone."""
        known = ours.broker_order_id is not None and not ours.ended
        if known and self._recurrence.count(f"missing {ours.tag}") >= PATIENCE:
            await self._recovery.resolve(ours.pos_id, ours.order_id, now_ns=self._market_ns())

    def _still_disputed(self, book: Sequence[BrokerOrder], ours: Sequence[OwnOrder]) -> list[Difference]:
        by_tag, twins = lines_by_tag(ours, book)
        found = [
            difference(own, by_tag[own.tag], action="look at it")
            for own in ours
            if own.tag in by_tag and judge(own, by_tag[own.tag]) is ReconcileFinding.DISPUTED
        ]
        return self._recurrence.lasting([*found, *(one for one in twins if one.what not in self._remedies.undone)])
