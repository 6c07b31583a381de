"""A broker that takes requests and does not answer them for as long as a test wants."""

from collections.abc import Sequence

from testkit.fake_broker import FakeBook
from tradebus.trading.orders import BrokerOrder, Lookup, OrderModification, OrderRequest, Outcome


class HangingBook(FakeBook):
    """Every request hangs while `answering` is cleared; it is noted when it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def place(self, request: OrderRequest) -> Outcome:
        self.asked.append(f"place {request.transaction}")
        await self.answering.wait()
        return await super().place(request)

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        self.asked.append("modify")
        await self.answering.wait()
        return await super().modify(account, broker_order_id, change)

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        self.asked.append("cancel")
        await self.answering.wait()
        return await super().cancel(account, broker_order_id, at_ns=at_ns)

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        self.asked.append("look up")
        return await super().find_by_tag(account, tag)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        await self.answering.wait()
        return await super().order_book(account)
