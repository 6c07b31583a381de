"""Keeps trades: decide, commit, send, and decide again on the answer.

    change ─► lock(pos_id) ─► core step ─► commit state + messages ─► requests ─► their answers are changes

Nothing leaves for the broker before the intent and its tag are committed; no answer is acted on before it is committed.
"""

from collections import deque
from collections.abc import Sequence

import structlog

from services.execution.trades.commits import Approval, Commits
from services.execution.trades.instruments import Contracts
from services.execution.trades.ledger import Stale
from services.execution.trades.sending import Sending
from tradebus.contracts.base import Message
from tradebus.contracts.risk import ExitApproved
from tradebus.execution import decisions
from tradebus.execution.decisions import Decide
from tradebus.execution.step import Request
from tradebus.kernel.time import ist_date
from tradebus.trading.orders import BrokerOrder

_log = structlog.get_logger()


class Keeper:
    """One per execution instance. `contracts` knows instruments' terms."""

    def __init__(self, commits: Commits, sending: Sending, contracts: Contracts) -> None:
        self.commits, self.roster = commits, commits.roster
        self._sending, self._contracts = sending, contracts

    async def open(self, approval: Approval, *, refusal: str | None, at_ns: int) -> None:
        """Takes an approval, once: a trade and its entry order, placed at `at_ns`, or our refusal of a stale one."""
        contract = await self._contracts.of(approval.instrument, ist_date(at_ns))
        async with self.commits.lock(approval.pos_id or ""):
            opened = await self.commits.open(approval, contract=contract, refusal=refusal, at_ns=at_ns)
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
            await self.dispatch(pos_id, requests)
            return True

    async def report(self, order: BrokerOrder) -> None:
        """What the broker says of an order, by stream, book or look-up."""
        pos_id = await self.commits.position_of(order.tag)
        if pos_id is None:
            _log.warning("an order that is not ours", broker_order_id=order.broker_order_id, account=order.account)
            return
        await self.change(pos_id, decisions.reported(order, unknown=Stale(pos_id)))

    async def dispatch(self, pos_id: str, requests: Sequence[Request]) -> None:
        """Sends what was committed, and decides on the answers. The caller holds the position's lock."""
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
