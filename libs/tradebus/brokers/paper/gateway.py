"""The paper broker behind the order gateway's port.

It follows in memory (PaperMarket) the orders it was given in this process's life, or asked to follow again after a
restart; its book is durable and is what reconciliation reads.
"""

from collections.abc import Awaitable, Callable, Sequence

from tradebus.brokers.paper.port import PaperBook
from tradebus.contracts.sessions import PaperSettings
from tradebus.trading.matching.market import PaperMarket, altered, asked_change
from tradebus.trading.matching.paper import PaperOrder, accept, refusal, report, request_cancel
from tradebus.trading.orders import (
    BrokerOrder,
    InstrumentTicks,
    Lookup,
    OrderModification,
    OrderRequest,
    Outcome,
    Result,
)

SettingsOf = Callable[[str], Awaitable[PaperSettings]]


class PaperGateway:
    """`settings_of` gives an account's behaviour (latency, slippage, partial fills)."""

    def __init__(self, book: PaperBook, settings_of: SettingsOf) -> None:
        self._book, self._settings_of = book, settings_of
        self._market = PaperMarket()
        self._versions: dict[str, int] = {}  # of the orders that are followed, as they are in the book

    async def place(self, request: OrderRequest) -> Outcome:
        """Accepts into the book, once per tag; refuses what an exchange would."""
        problem = refusal(request)
        if problem is not None:
            return Outcome(Result.REFUSED, reason=problem)
        await self._book.insert(accept(request, await self._settings_of(request.account)))
        # Read back: a request that came twice finds the order of the first.
        found = await self._book.by_tag(request.account, request.tag)
        if found is None:
            return Outcome(Result.REFUSED, reason=f"tag {request.tag} belongs to another account")
        if self._versions.get(found[0].broker_order_id) != found[1]:
            self._follow(*found)  # else it is followed already, and has seen ticks that its line does not tell of
        return Outcome(Result.ACCEPTED, broker_order_id=found[0].broker_order_id)

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        """Puts a modification on its way. A final order refuses it, and what an exchange would."""
        return await self._alter(account, broker_order_id, lambda order: asked_change(order, change))

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        """Puts a cancellation on its way. A final order refuses it; asking twice is harmless."""
        return await self._alter(account, broker_order_id, lambda order: request_cancel(order, at_ns=at_ns))

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        """Absence from this book is certain: it is written before a request is answered."""
        found = await self._book.by_tag(account, tag)
        return Lookup(report(found[0]) if found else None, definitive=True)

    async def order_book(self, account: str) -> Sequence[BrokerOrder]:
        return [report(order) for order in await self._book.of_account(account)]

    async def follow(self, account: str, tag: str) -> None:
        """Goes on matching an order placed in an earlier life, or by an instance that is gone."""
        found = await self._book.by_tag(account, tag)
        if found is not None and not found[0].status.final:
            self._follow(*found)

    def next_touch(self, instrument: int, ticks: InstrumentTicks, start: int) -> int | None:
        return self._market.next_touch(instrument, ticks, start)

    async def on_tick(self, instrument: int, ticks: InstrumentTicks, index: int) -> Sequence[BrokerOrder]:
        return await self._write(self._market.on_tick(instrument, ticks, index))

    async def advance(self, now_ns: int) -> Sequence[BrokerOrder]:
        return await self._write(self._market.advance(now_ns))

    async def _write(self, changed: PaperOrder | None) -> list[BrokerOrder]:
        if changed is None:
            return []
        if await self._save(changed, version=self._versions[changed.broker_order_id]):
            return [report(changed)]
        found = await self._book.by_id(changed.broker_order_id)
        if found is None:
            return []
        self._follow(*found)  # another instance was first: what it wrote is what happened
        return [report(found[0])]

    async def _alter(
        self, account: str, broker_order_id: str, move: Callable[[PaperOrder], PaperOrder | str]
    ) -> Outcome:
        order, version = await self._book.by_id(broker_order_id) or (None, 0)
        outcome, changed = altered(order, account, broker_order_id, move)
        if changed is not None and not await self._save(changed, version=version):
            return Outcome(Result.UNKNOWN, reason="the order changed at the same moment")
        return outcome

    async def _save(self, order: PaperOrder, *, version: int) -> bool:
        if await self._book.save(order, version=version):
            self._follow(order, version + 1)
            return True
        return False

    def _follow(self, order: PaperOrder, version: int) -> None:
        self._market.follow(order)
        if order.status.final:
            self._versions.pop(order.broker_order_id, None)
        else:
            self._versions[order.broker_order_id] = version
