"""The paper broker behind the order gateway's port.

It follows in memory the orders it was given in this process's life, or asked to follow again after a restart; its book
(PaperBook) is durable and is what reconciliation reads.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from tradebus.brokers.paper.book import PaperBook
from tradebus.contracts.sessions import PaperSettings
from tradebus.trading.matching.paper import (
    PaperOrder,
    Quote,
    accept,
    catch_up,
    match,
    refusal,
    report,
    request_cancel,
    request_change,
)
from tradebus.trading.matching.touch import next_touch
from tradebus.trading.orders import BrokerOrder, Change, InstrumentTicks, Lookup, OrderRequest, Outcome, Result

_Followed = tuple[PaperOrder, int]
SettingsOf = Callable[[str], Awaitable[PaperSettings]]


class PaperGateway:
    """`settings_of` gives an account's behaviour (latency, slippage, partial fills)."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", settings_of: SettingsOf) -> None:
        self._book = PaperBook(pool)
        self._settings_of = settings_of
        self._followed: dict[int, dict[str, _Followed]] = defaultdict(dict)
        self._next_effect_ns: int | None = None  # when the next cancellation or modification takes effect

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
        self._follow(*found)
        return Outcome(Result.ACCEPTED, broker_order_id=found[0].broker_order_id)

    async def modify(self, account: str, broker_order_id: str, change: Change) -> Outcome:
        """Puts a modification on its way. A final order refuses it."""
        if change.trigger_paise is not None and change.trigger_paise <= 0:
            return Outcome(Result.REFUSED, reason="a trigger must be positive")
        return await self._alter(account, broker_order_id, lambda order: request_change(order, change))

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
        touches = [next_touch(order, ticks, start) for order, _ in self._followed.get(instrument, {}).values()]
        found = [touch for touch in touches if touch is not None]
        return min(found) if found else None

    async def on_tick(self, instrument: int, ticks: InstrumentTicks, index: int) -> Sequence[BrokerOrder]:
        quote = Quote(
            at_ns=int(ticks.at_ns[index]),
            price_paise=int(ticks.price_paise[index]),
            bid_paise=int(ticks.bid_paise[index]),
            ask_paise=int(ticks.ask_paise[index]),
        )
        return await self._step(instrument, lambda order: match(order, quote))

    async def advance(self, now_ns: int) -> Sequence[BrokerOrder]:
        if self._next_effect_ns is None or self._next_effect_ns > now_ns:
            return []
        for instrument in sorted(self._followed):
            changed = await self._step(instrument, lambda order: catch_up(order, now_ns))
            if changed:
                return changed
        return []

    async def _step(self, instrument: int, move: Callable[[PaperOrder], PaperOrder]) -> list[BrokerOrder]:
        """The first order that changes, in the order they entered the book; the next call goes on with the others.

        One at a time, so that what one leads to is done before the next is looked at, with a crash between or without.
        """
        for broker_order_id, (before, version) in sorted(self._followed[instrument].items()):
            after = move(before)
            if _same_book_line(before, after):
                self._followed[instrument][broker_order_id] = (after, version)
                continue
            if await self._save(after, version=version):
                return [report(after)]
            found = await self._book.by_id(broker_order_id)
            if found is not None:  # another instance was first: what it wrote is what happened
                self._follow(*found)
                return [report(found[0])]
        return []

    async def _alter(self, account: str, broker_order_id: str, move: Callable[[PaperOrder], PaperOrder]) -> Outcome:
        found = await self._book.by_id(broker_order_id)
        if found is None or found[0].request.account != account:
            return Outcome(Result.REFUSED, reason=f"no order {broker_order_id} in this account")
        order, version = found
        if order.status.final:
            return Outcome(Result.REFUSED, reason=f"the order is {order.status} already")
        if not await self._save(move(order), version=version):
            return Outcome(Result.UNKNOWN, reason="the order changed at the same moment")
        return Outcome(Result.ACCEPTED, broker_order_id=broker_order_id)

    async def _save(self, order: PaperOrder, *, version: int) -> bool:
        if await self._book.save(order, version=version):
            self._follow(order, version + 1)
            return True
        return False

    def _follow(self, order: PaperOrder, version: int) -> None:
        followed = self._followed[order.request.instrument]
        if order.status.final:
            followed.pop(order.broker_order_id, None)
        else:
            followed[order.broker_order_id] = (order, version)
        effects = [effect for own in self._followed.values() for each, _ in own.values() for effect in _effects(each)]
        self._next_effect_ns = min(effects, default=None)


def _effects(order: PaperOrder) -> list[int]:
    return [due for due in (order.cancel_effective_ns, order.change_effective_ns) if due is not None]


def _same_book_line(before: PaperOrder, after: PaperOrder) -> bool:
    """Nothing that the book or a caller would notice has changed."""
    return after.status == before.status and len(after.fills) == len(before.fills) and after.change == before.change
