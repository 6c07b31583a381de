"""One order gateway in front of all: by the session of an order to the paper broker, or to a broker's account.

Invariants: what cannot be sent is REFUSED with a reason that says so; nothing that may have been sent ever is. An entry
that waited here for too long does not leave: by then another instance may have taken it for absent.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from services.execution.accounts.accounts import Accounts
from services.execution.rehearsing.rehearsals import Rehearsals
from services.execution.sessions import PAPER
from tradebus.brokers.calls import LATE_SECONDS
from tradebus.brokers.common.orders.standing import StandingOrders
from tradebus.brokers.ports import OrderGateway
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import BrokerOrder, Lookup, OrderModification, OrderRequest, Outcome, Result


class OrderRouter:
    """See `tradebus.brokers.ports.OrderGateway`; an account there is a session here. `spec_of` raises InvalidInput for
    a session that is not in the book. `rehearsals` tell what a dry run's orders would have been."""

    def __init__(
        self, paper: OrderGateway, accounts: Accounts, spec_of: Callable[[str], Awaitable[SessionSpec]], *,
        timers: Timers, rehearsals: Rehearsals | None = None,
    ) -> None:  # fmt: skip
        self._rehearsals = rehearsals
        self.paper, self._accounts, self._spec_of, self._timers = paper, accounts, spec_of, timers

    async def place(self, request: OrderRequest) -> Outcome:
        asked_ns = self._timers.monotonic_ns()
        spec = await self._spec_of(request.account)
        if spec.broker == PAPER:
            outcome = await self.paper.place(request)
            if self._rehearsals is None or spec.rehearsed_broker is None or outcome.result is not Result.ACCEPTED:
                return outcome
            return replace(outcome, would_send=await self._rehearsals.of(spec.rehearsed_broker, request))
        try:
            account = await self._accounts.of(spec)
            if request.role is OrderRole.ENTRY:  # an exit waits for no broker's list
                await account.listed.know(request.instrument, self._accounts.now_ns())
        except TradebusError as error:
            return _not_sent(error)
        await account.fence.look()
        problem = account.problem(request, now_ns=self._accounts.now_ns())
        if problem is not None:
            return Outcome(Result.REFUSED, reason=f"not sent: {problem}")
        if request.role is not OrderRole.ENTRY:
            return await account.gateway.place(request)
        missing = await account.bands.problem(request) or await account.margin.reserve(request)
        if missing is not None:
            return Outcome(Result.REFUSED, reason=f"not sent: {missing}")
        answer: Outcome | None = None
        try:
            answer = self._too_late(asked_ns) or await account.gateway.place(request)
        finally:
            account.margin.answered(request, answer)
        return answer

    def _too_late(self, asked_ns: int) -> Outcome | None:
        waited_seconds = (self._timers.monotonic_ns() - asked_ns) / NANOSECONDS_PER_SECOND
        if waited_seconds <= LATE_SECONDS:
            return None
        return Outcome(Result.REFUSED, reason=f"not sent: late: its margin and band took {waited_seconds:.0f} s")

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        try:
            spec = await self._spec_of(account)
            if spec.broker == PAPER:
                return await self.paper.modify(account, broker_order_id, change)
            opened = await self._accounts.of(spec)
        except TradebusError as error:
            return _not_sent(error)
        if change.asked is not None:
            problem = opened.against_rules(change.asked, now_ns=self._accounts.now_ns())
            if problem is not None:
                return Outcome(Result.REFUSED, reason=f"not sent: {problem}")
        return await opened.gateway.modify(account, broker_order_id, change)

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        try:
            gateway = await self._gateway(account)
        except TradebusError as error:
            return _not_sent(error)
        return await gateway.cancel(account, broker_order_id, at_ns=at_ns)

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        try:
            gateway = await self._gateway(account)
        except TradebusError:
            return Lookup(None, definitive=False)
        return await gateway.find_by_tag(account, tag)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        try:
            gateway = await self._gateway(account)
        except TradebusError:
            return None
        return await gateway.order_book(account)

    async def expect(self, request: OrderRequest, broker_order_id: str | None) -> None:
        """An order of an earlier life is a trigger of its broker, which has no tag there: it is found by what it was to
        be, or by its id."""
        try:
            gateway = await self._gateway(request.account)
        except TradebusError:
            return  # whoever looks it up finds the account closed too
        if isinstance(gateway, StandingOrders):
            gateway.expect(request, broker_order_id)

    async def _gateway(self, session_id: str) -> OrderGateway:
        spec = await self._spec_of(session_id)
        return self.paper if spec.broker == PAPER else (await self._accounts.of(spec)).gateway


def _not_sent(error: TradebusError) -> Outcome:
    return Outcome(Result.REFUSED, reason=f"not sent: {error}")
