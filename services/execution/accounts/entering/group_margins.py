"""What a leg of a group needs of margin at a broker: what all of them so far need, less what is kept before it.

Invariants (property-tested): what is kept for the legs of a group is never less than what the broker last said of them
together; a leg whose calculator is silent, or that is the first, needs its estimate alone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from tradebus.brokers.account import BasketOrder, BrokerAccount
from tradebus.brokers.reference import ListedInstrument
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import OrderRequest
from tradebus.waiting.timers import deadline

_WAIT_SECONDS = 1.0
_FORGOTTEN_NS = 600 * NANOSECONDS_PER_SECOND  # all legs of a group leave within minutes
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _KeptLeg:
    group_id: str
    order: BasketOrder
    paise: int
    at_ns: int


class GroupMargins:
    """Of one login."""

    def __init__(
        self, account: BrokerAccount, listing_of: Callable[[int], ListedInstrument | None], *, name: str,
        timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._listing_of, self._name, self._timers = account, listing_of, name, timers
        self._kept: dict[str, _KeptLeg] = {}  # by tag
        self.turn = asyncio.Lock()  # held from the question until its leg is kept

    async def needed_paise(self, request: OrderRequest, *, alone_paise: int) -> int:
        """`alone_paise` is the estimate of the entry by itself."""
        order = self._order_of(request)
        before = [one for one in self._kept.values() if one.group_id == request.group_id and one.group_id is not None]
        if order is None or not before:
            return alone_paise
        try:
            async with deadline(self._timers, _WAIT_SECONDS):
                together_paise = await self._account.basket_margin_paise([*(one.order for one in before), order])
        except Exception as error:  # noqa: BLE001 - whatever one broker does, the others go on
            said = f"no answer in {_WAIT_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
            _log.warning("margin of a group is estimated leg by leg", account=self._name, error=said)
            return alone_paise
        return max(0, together_paise - sum(one.paise for one in before))

    def keep(self, request: OrderRequest, *, paise: int) -> None:
        """The entry leaves, with so much kept for it."""
        now_ns = self._timers.monotonic_ns()
        self._kept = {tag: one for tag, one in self._kept.items() if now_ns - one.at_ns < _FORGOTTEN_NS}
        order = self._order_of(request)
        if request.group_id is not None and order is not None:
            self._kept[request.tag] = _KeptLeg(request.group_id, order, paise, now_ns)

    def forget(self, request: OrderRequest) -> None:
        """The broker did not take it."""
        self._kept.pop(request.tag, None)

    def _order_of(self, request: OrderRequest) -> BasketOrder | None:
        listing = self._listing_of(request.instrument)
        if request.group_id is None or listing is None or request.price_paise is None:
            return None
        return BasketOrder(listing, request.transaction, request.quantity, request.price_paise, request.product)
