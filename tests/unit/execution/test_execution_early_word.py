"""A broker's stream tells of a fill before the placement is answered, when no look-up may find the order yet."""

import asyncio
from dataclasses import replace

from testkit.broker_life import trading
from testkit.execution_brokers import PRICE, SECOND, TEN, approval
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.trading.orders import Lookup, OrderRequest, Outcome


class HastyBook(FakeBook):
    """An entry is filled, and its stream has said so without the fills, before its placement is answered."""

    def __init__(self, broker: FakeBroker) -> None:
        super().__init__()
        self._broker = broker
        self._placing = False
        self._looked_up = asyncio.Event()

    async def place(self, request: OrderRequest) -> Outcome:
        outcome = await super().place(request)
        if request.trigger_paise is None:
            self._placing = True
            filled = self.fill(outcome.broker_order_id or "", PRICE, at_ns=TEN + SECOND)
            self._broker.tell(replace(filled, fills=()))
            await self._looked_up.wait()
            self._placing = False
        return outcome

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        if self._placing:
            self._looked_up.set()
            return Lookup(None, definitive=False)
        return await super().find_by_tag(account, tag)


async def test_a_position_is_protected_at_once_though_its_fill_was_told_too_early(around) -> None:
    broker = FakeBroker()
    broker.book = HastyBook(broker)
    async with trading(around, broker, reconcile_seconds=3600) as life:
        entry = approval(1)
        await life.send(entry)
        await life.order("STOP", "TRIGGER_PENDING", of=entry)
