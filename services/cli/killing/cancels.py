"""Cancellations of one account: each asked for once, and again where the order rests on."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from services.cli.killing.report import AccountOutcome
from tradebus.brokers.ports import OrderGateway
from tradebus.execution.closing.plan import Cancelling, CancelReason
from tradebus.kernel.clock import Clock
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import BrokerOrder, BrokerStatus, Result

_AGAIN_SECONDS = 1.5


class Cancels:
    """What was cancelled, and why it could not be, is told into `outcome`."""

    def __init__(
        self, account: str, gateway: OrderGateway, outcome: AccountOutcome, symbol_of: Callable[[int], str], *,
        clock: Clock, timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._gateway, self._outcome, self._symbol_of = account, gateway, outcome, symbol_of
        self._clock, self._timers = clock, timers
        self._asked_ns: dict[str, int] = {}  # by order

    async def ask(self, wanted: Sequence[Cancelling], *, exits: Collection[str]) -> None:
        """All at once. `exits` are the tags of exits of our own, which are priced anew: nobody needs to be told."""
        await asyncio.gather(*(self._cancel(one, exits) for one in wanted if self._is_due(one.order)))

    def _is_due(self, order: BrokerOrder) -> bool:
        asked_ns = self._asked_ns.get(order.broker_order_id)
        return asked_ns is None or self._timers.monotonic_ns() - asked_ns >= _AGAIN_SECONDS * 1e9

    async def _cancel(self, one: Cancelling, exits: Collection[str]) -> None:
        number = one.order.broker_order_id
        first = number not in self._asked_ns
        self._asked_ns[number] = self._timers.monotonic_ns()
        if first and one.order.tag not in exits:
            whose = "" if one.reason is CancelReason.OURS else f" (not ours: {one.reason})"
            self._outcome.cancelled.append(f"{self._shown(one.order)}{whose}")
        found = await self._gateway.cancel(self._account, number, at_ns=self._clock.now_ns())
        if found.result is Result.REFUSED and one.order.status is not BrokerStatus.UNKNOWN:
            self._outcome.problem = f"the cancellation of order {number} was refused: {found.reason}"

    def _shown(self, order: BrokerOrder) -> str:
        left = order.quantity - order.filled_quantity
        return f"{order.transaction} {left} {self._symbol_of(order.instrument)} (order {order.broker_order_id})"
