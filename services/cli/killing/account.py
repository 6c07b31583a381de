"""Closes one broker account out, straight at the broker, until it is flat.

    order book, positions ─► plan (tradebus.execution.closing.plan) ─► cancel ─► exits ─► again

As long as execution answers this only looks: the exits are execution's. An exit is in the account's journal before it
leaves; one whose answer is not known is looked up before anything else is sent for its instrument.
"""

import asyncio
from collections.abc import Callable, Sequence

from services.cli.killing.cancels import Cancels
from services.cli.killing.exit_tags import ExitTags
from services.cli.killing.exits import Exits
from services.cli.killing.logins import BrokerLogin
from services.cli.killing.record import BookOfRecord
from services.cli.killing.report import AccountOutcome
from services.cli.killing.seen import SeenInstruments
from tradebus.brokers.account import NetPosition, SessionState
from tradebus.brokers.closing_journal import ClosingJournal
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.registry import Broker
from tradebus.contracts.orders import OrderRole
from tradebus.execution.closing.plan import (
    AccountView,
    ClosingPlan,
    plan_closing,
    traded_by_us,
)
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import UNLISTED_INSTRUMENT
from tradebus.waiting.timers import sleep

_INTRADAY = frozenset({"MIS", "INTRADAY", "I"})
_LOOK_SECONDS = 0.3
_STAYS_SECONDS, _ODD_STAYS_SECONDS = 1.0, 3.0  # so long it must look flat; where positions are not what orders say


class AccountCloser:
    """`outcome` is told into. `may_act` says whether it is ours to send anything: while execution answers it is not."""

    def __init__(
        self, login: BrokerLogin, broker: Broker, *, outcome: AccountOutcome, record: BookOfRecord,
        may_act: Callable[[], bool], everything: bool, clock: Clock, timers: Timers,
    ) -> None:  # fmt: skip
        self._login, self._broker, self._record, self._may_act = login, broker, record, may_act
        self._everything, self._clock, self._timers = everything, clock, timers
        self._journals = [ClosingJournal(login.state_dir, broker=login.broker, login=name) for name in login.names]
        self._seen = SeenInstruments(broker)
        self._gateway = broker.orders(self._seen.known)
        self._tags = ExitTags(login.account, self._seen, self._journals, clock=clock, timers=timers)
        self._cancels = Cancels(login.account, self._gateway, outcome, self._symbol, clock=clock, timers=timers)
        self._exits = Exits(
            login.account, self._gateway, self._seen, self._tags, broker.reference, everything=everything, clock=clock,
            timers=timers,
        )  # fmt: skip
        self._symbols: dict[int, str] = {}
        self._flat_ns: int | None = None
        self.outcome = outcome

    async def run(self) -> None:
        """Until the account is flat; whoever waits no longer cancels it. `outcome` is up to date all the while."""
        try:
            self._seen.add(await self._record.listed(self._login.broker, ist_date(self._clock.now_ns())))
            for tag, (role, segment, token) in (await self._record.unanswered(self._login)).items():
                # An entry that arrives late is closed then; an exit that does must not meet one of ours.
                known = segment and role is not OrderRole.ENTRY
                self._exits.expect(tag, self._seen.number(segment, token) if known else UNLISTED_INSTRUMENT)
            self._tags.recall()
            while not await self._turn():
                await sleep(self._timers, _LOOK_SECONDS)
        finally:
            for journal in self._journals:
                journal.release()

    async def _turn(self) -> bool:
        """One look and what follows from it; True once the account has been flat for long enough."""
        view = await self._look()
        if view is None:
            self._flat_ns = None
            return False
        await self._record.judge(self._login, [order.tag for order in view.orders])
        self._tags.find(view.orders)
        self._exits.see(view)
        plan = self._plan(view)
        if plan.unlisted and await self._learned():
            plan = self._plan(view)
        self._tell(view, plan)
        if plan.flat:
            return self._stays_flat(view)
        self._flat_ns = None
        if not self._may_act():
            self.outcome.by = self.outcome.by or "execution"
        elif self._took():
            self.outcome.by = "tradebus kill"
            await self._cancels.ask(plan.cancel, exits=self._exits.sent)
            await self._exits.close(plan.close)
        await self._exits.look_up()
        return False

    async def switch_off(self) -> str:
        """Engages the broker's own kill switch, where nothing is held and nothing rests, whoever's it is: behind the
        switch nobody gets out. "" where it is engaged, else why it is not."""
        try:
            book, rows = await asyncio.gather(
                self._gateway.order_book(self._login.account), self._broker.account.positions()
            )
            if book is None:
                return "not engaged: its order book cannot be read"
            resting = [order.broker_order_id for order in book if not order.status.final]
            held = [f"{row.quantity:+d} {row.symbol or row.token}" for row in rows if row.quantity]
            if held or resting:
                orders = [f"order {one}" for one in resting]
                return f"not engaged: {', '.join([*held, *orders])} would be locked in; close it, then kill again"
            await self._broker.account.engage_kill_switch()
        except BrokerError as error:
            return str(error)
        return ""

    async def _look(self) -> AccountView | None:
        """What the broker shows now; None, and `problem`, where it does not."""
        book, rows = await asyncio.gather(self._gateway.order_book(self._login.account), self._positions())
        if book is None or rows is None:
            self.outcome.flat = False
            self.outcome.problem = await self._why_unread()
            return None
        self.outcome.problem = ""
        intraday: dict[int, int] = {}
        for row in rows:
            instrument = self._seen.number(row.broker_segment, row.token)
            self._symbols[instrument] = row.symbol
            if row.product.upper() in _INTRADAY:
                intraday[instrument] = intraday.get(instrument, 0) + row.quantity
        return AccountView(book, intraday)

    async def _positions(self) -> Sequence[NetPosition] | None:
        try:
            return await self._broker.account.positions()
        except BrokerError:
            return None

    async def _why_unread(self) -> str:
        if await self._broker.session.check() is SessionState.EXPIRED:
            return f"the login is not accepted: `tradebus login --broker {self._login.broker}`, then kill again"
        return "its books cannot be read"

    def _plan(self, view: AccountView) -> ClosingPlan:
        return plan_closing(
            view, is_ours=self._is_ours, everything=self._everything, listed=self._seen.listed,
            unresolved=self._exits.unresolved, young=self._exits.young,
        )  # fmt: skip

    def _is_ours(self, tag: str) -> bool:
        return self._tags.is_one(tag) or self._record.is_ours(tag)

    async def _learned(self) -> bool:
        """Whether the terms of more instruments are known now."""
        if not self._may_act():
            return False
        try:
            return await self._seen.learn()
        except BrokerError as error:
            self.outcome.problem = f"its list of instruments cannot be read: {error}"
            return False

    def _took(self) -> bool:
        """Whether the account is ours to close: one closes it at a time."""
        try:
            if all(journal.take() for journal in self._journals):
                return True
            self.outcome.problem = "another `tradebus kill` is closing it"
        except InvalidInput as error:  # a disk that is full keeps nobody in a position
            self.outcome.problem = str(error)
            return True
        return False

    def _stays_flat(self, view: AccountView) -> bool:
        now_ns = self._timers.monotonic_ns()
        self._flat_ns = now_ns if self._flat_ns is None else self._flat_ns
        traded = traded_by_us(view, self._is_ours)
        wait = _ODD_STAYS_SECONDS if any(traded.values()) else _STAYS_SECONDS
        self.outcome.flat = now_ns - self._flat_ns >= wait * 1e9
        return self.outcome.flat

    def _tell(self, view: AccountView, plan: ClosingPlan) -> None:
        outcome = self.outcome
        held = {**plan.close, **plan.waiting, **plan.unlisted}
        outcome.held = {self._symbol(one): quantity for one, quantity in held.items()}
        closed: dict[str, int] = {}
        for order in view.orders:
            if order.tag in self._exits.sent and order.filled_quantity:
                sign = 1 if order.transaction.value == "BUY" else -1
                symbol = self._symbol(order.instrument)
                closed[symbol] = closed.get(symbol, 0) + sign * order.filled_quantity
        outcome.closed = closed
        outcome.left = [
            f"{self._symbol(one.instrument)}: {one.quantity} held"
            + (f", order {', '.join(one.orders)} rests" if one.orders else "")
            for one in plan.left
        ]
        if plan.unlisted and not outcome.problem:
            symbols = ", ".join(self._symbol(one) for one in plan.unlisted)
            outcome.problem = f"{symbols}: not in the broker's list of instruments; its stops stay"
        if plan.unresolved and not outcome.problem:
            outcome.problem = f"{len(plan.unresolved)} order(s) of ours may still arrive"
        outcome.problem = "" if plan.flat else outcome.problem or self._exits.problem or self._tags.problem

    def _symbol(self, instrument: int) -> str:
        if instrument == UNLISTED_INSTRUMENT:
            return "?"
        return self._symbols.get(instrument) or self._seen.symbol(instrument)
