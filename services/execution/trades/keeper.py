"""Keeps trades: decide, commit, send, and decide again on the answer.

    change ─► lock(pos_id) ─► core step ─► commit state + messages ─► requests ─┬─ paper: in line ────► answer
      ▲                                                                         └─ broker: its sender ─► answer ─┐
      └──────────────────────────────────────────────────────────────────────────────────────────────────────────┘

Nothing leaves for a broker before the intent and its tag are committed; no answer is acted on before it is committed.
Nobody here waits for a broker's network: requests are handed to the account's sender, which comes back with the answer.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from services.execution.accounts.senders import Senders
from services.execution.books.ports import Stale
from services.execution.recovery.quarantine import Quarantine
from services.execution.trades.commits import Commits, EntryApproval
from services.execution.trades.instruments import Contracts
from services.execution.trades.sending import Sending
from tradebus.contracts.base import Message
from tradebus.contracts.risk import ExitApproved
from tradebus.execution import decisions
from tradebus.execution.decisions import Decide
from tradebus.execution.step import Request
from tradebus.kernel.time import ist_date
from tradebus.runtime.patience import PASSING
from tradebus.trading.orders import BrokerOrder

_log = structlog.get_logger()


class Keeper:
    """One per execution instance. `contracts` knows instruments' terms, `publish` sends out what was
    committed. `senders` comes with `connect`: they call back."""

    def __init__(
        self, commits: Commits, sending: Sending, contracts: Contracts, *, quarantine: Quarantine,
        publish: Callable[[], Awaitable[None]],
    ) -> None:  # fmt: skip
        self.commits, self.roster, self.quarantine = commits, commits.roster, quarantine
        self._sending, self._contracts, self._publish = sending, contracts, publish
        self._senders: Senders | None = None
        self.opening: set[str] = set()  # positions that the book may have already, and the roster not yet

    def connect(self, senders: Senders) -> None:
        """Requests of sessions that have a sender go there."""
        self._senders = senders

    async def open(self, approval: EntryApproval, *, refusal: str | None, at_ns: int) -> None:
        """Takes an approval, once: a trade and its entry order, placed at `at_ns`, or our refusal of a stale one."""
        contract = await self._contracts.of(approval.instrument, ist_date(at_ns), price_paise=approval.price_paise)
        pos_id = approval.pos_id or ""
        async with self.commits.lock(pos_id):
            self.opening.add(pos_id)
            try:
                opened = await self.commits.open(
                    approval, contract=contract, refusal=refusal, at_ns=at_ns, senders=self._senders
                )
            finally:
                self.opening.discard(pos_id)
            if opened is not None:
                await self.dispatch(opened[0].pos_id, opened[1])

    async def exit(self, message: ExitApproved, decide: Decide) -> None:
        """Takes an approved exit, once. The instances share the intents, so it may come before its entry is taken:
        then the position will not be opened."""
        pos_id = message.pos_id or ""
        while not await self.change(pos_id, decide, message=message, intent_id=message.intent_id):
            if await self.commits.refuse_unopened(message):
                _log.warning("an exit came before its entry", pos_id=pos_id)
                return

    async def change(
        self, pos_id: str, decide: Decide, *, message: Message | None = None, intent_id: str | None = None
    ) -> bool:
        """Applies one change and everything that follows from it. False where there is no such trade.

        With `intent_id` the change is made once, however often it is asked for.
        """
        async with self.commits.lock(pos_id):
            requests = await self.commits.change(pos_id, decide, message=message, intent_id=intent_id)
            if requests is None:
                return False
            while self.commits.inherited:
                self.doubt(*self.commits.inherited.pop())
            await self.dispatch(pos_id, requests)
            self.quarantine.release(pos_id)
            return True

    async def attempt(self, pos_id: str, decide: Decide) -> None:
        """As `change`, where a trade that fails must not keep others from being handled: it is set aside. Raises what
        the book's absence raises."""
        try:
            await self.change(pos_id, decide)
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one trade does, the others go on
            self.quarantine.put(pos_id, error)

    async def report(self, order: BrokerOrder) -> None:
        """What the broker says of an order, by stream, book or look-up."""
        pos_id = await self.commits.position_of(order.tag)
        if pos_id is None:
            _log.warning("an order that is not ours", broker_order_id=order.broker_order_id, account=order.account)
            return
        await self.attempt(pos_id, decisions.reported(order, unknown=Stale(pos_id)))

    async def dispatch(self, pos_id: str, requests: Sequence[Request]) -> None:
        """Has what was committed sent. The caller holds the position's lock."""
        trade = self.roster.alive.get(pos_id)
        if trade is None or not requests:
            return
        sender = self._senders.of(trade.session_id) if self._senders is not None else None
        if sender is not None:
            sender.put(pos_id, requests)
        else:
            await self._in_line(pos_id, requests)

    async def deliver(self, pos_id: str, request: Request) -> None:
        """Sends one request and decides on its answer: what an account's sender calls. Does not raise."""

        async def answer() -> Decide | None:
            trade = self.roster.alive.get(pos_id)
            return await self._sending.send(trade, request) if trade is not None else None

        await self._decided(pos_id, request, answer())

    async def refuse(self, pos_id: str, request: Request, reason: str) -> None:
        """The request is not sent, for this reason: decided on as a broker's refusal is. Does not raise."""

        async def answer() -> Decide:
            return decisions.not_sent(request, reason)

        await self._decided(pos_id, request, answer())

    def leaves(self, pos_id: str, request: Request) -> bool:
        """Whether `deliver` would send anything, as things stand."""
        trade = self.roster.alive.get(pos_id)
        return trade is not None and self._sending.leaves(trade, request)

    def doubt(self, pos_id: str, order_id: str) -> None:
        """Nobody knows for certain how the order stands: it is looked up until somebody does."""
        self._sending.doubts.add((pos_id, order_id))

    def is_busy(self, session_id: str, pos_id: str) -> bool:
        """Whether a request of the position waits for its account, or for its answer."""
        return self._senders is not None and self._senders.is_busy(session_id, pos_id)

    async def _decided(self, pos_id: str, request: Request, answer: Awaitable[Decide | None]) -> None:
        try:
            decide = await answer
            if decide is not None:
                await self.change(pos_id, decide)
                await self._publish()
        except (*PASSING, Stale) as error:
            _log.warning("an answer could not be kept, the order is looked up", pos_id=pos_id, error=str(error))
            self.doubt(pos_id, request.order_id)  # also where a change that is under way brings the trade back
            self.commits.forget(pos_id)
        except Exception as error:  # noqa: BLE001 - whatever one trade does, its account goes on
            self.commits.forget(pos_id)
            self.quarantine.put(pos_id, error)

    async def _in_line(self, pos_id: str, requests: Sequence[Request]) -> None:
        queue = deque(requests)
        try:
            while queue:
                request = queue.popleft()
                trade = self.roster.alive.get(pos_id)
                if trade is None:
                    return
                decide = await self._sending.send(trade, request)
                if decide is not None:
                    queue.extend(await self.commits.change(pos_id, decide) or ())
        except BaseException:
            self.commits.forget(pos_id)  # a stray now: what was not sent is found when it is recovered
            raise
