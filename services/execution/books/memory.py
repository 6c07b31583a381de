"""Execution's book in memory: passes the Postgres one's suite.

Tables: "trades" (position to Trade), "tags" (an order's tag to its position), "order_history" (order id to its lines),
"fills" (position to its NewFills), "intents" (id to `IntentRow`), "execution_instances" (name to the last beat).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.execution.books.approvals import ApprovalFields, UntakenApproval, untaken_of
from services.execution.books.ports import CLAIMS, CONSUMER, Stale
from tradebus.contracts.base import Message
from tradebus.contracts.orders import OrderRole, Tariff
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.contracts.sessions import ProtectionKind, SessionStatus
from tradebus.contracts.streams import ORDERS
from tradebus.execution.reconciliation import HeldTrade, OwnOrder, held_of
from tradebus.execution.step import NewFill, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.store.books import sessions_book
from tradebus.store.books.sessions import BROKER_BOOK
from tradebus.store.memory_book import EVENTS, INBOX, MemoryBook, MemoryTransaction

# What the book does not keep of an order.
_FORGOTTEN: Mapping[str, Any] = {
    "given_up": False, "changes": 0, "is_moving": False, "move_lost": None, "rests_at_paise": None, "hit_ns": None,
}  # fmt: skip
_ROLES = tuple(OrderRole)  # in the order in which a trade has them


@dataclass(frozen=True, slots=True)
class IntentRow:
    """An approval that was taken, and what became of it."""

    approval: ApprovalFields
    kind: str
    outcome: str


class MemoryLedger:
    """See `services.execution.books.ports.Ledger`. `timers` measure how long an instance is silent."""

    def __init__(self, book: MemoryBook, *, timers: Timers) -> None:
        self._book, self._sessions, self._timers = book, sessions_book(book), timers

    async def open_trade(
        self, trade: Trade, step: TradeStep, approval: Message, *, outcome: str, transaction: Any = None
    ) -> bool:
        if transaction is None:
            async with self._book.begin() as alone:
                return await self.open_trade(trade, step, approval, outcome=outcome, transaction=alone)
        trade.trade_id = None
        await transaction.lock(trade.pos_id)
        if not await transaction.first_time(CLAIMS, trade.pos_id):
            return False
        if not await transaction.first_time(CONSUMER, trade.intent_id):
            return False
        await transaction.lock("trade ids")
        numbers = transaction.table("trade_ids")
        trade.trade_id = numbers["last"] = numbers.get("last", 0) + 1
        transaction.table("intents")[trade.intent_id] = IntentRow(ApprovalFields.of(approval), "ENTRY", outcome)
        _write(transaction, trade, step)
        return True

    async def claim_unopened(self, transaction: Any, pos_id: str) -> bool:
        await transaction.first_time(CLAIMS, pos_id)
        return pos_id not in transaction.table("trades")

    async def reopen_claim(self, transaction: Any, pos_id: str) -> bool:
        inbox = transaction.table(INBOX)
        if (CLAIMS, pos_id) not in inbox or pos_id in transaction.table("trades"):
            return False
        del inbox[CLAIMS, pos_id]
        return True

    async def update_trade(
        self, trade: Trade, step: TradeStep, *, messages: Sequence[Message] = (), transaction: Any = None
    ) -> None:
        if transaction is None:
            async with self._book.begin() as alone:
                await self.update_trade(trade, step, messages=messages, transaction=alone)
            return
        await transaction.lock(f"trades {trade.pos_id}")
        known = transaction.table("trades").get(trade.pos_id)
        if known is None or known.version != trade.version:
            raise Stale(trade.pos_id)
        trade.version += 1
        _write(transaction, trade, step)
        for message in messages:
            transaction.emit(ORDERS.name, message)

    async def insert_intent(self, transaction: Any, approval: ApprovalFields, *, outcome: str) -> None:
        kind = "EXIT" if approval.is_exit else "ENTRY"
        transaction.table("intents").setdefault(approval.intent_id, IntentRow(approval, kind, outcome))

    async def untaken(self) -> list[UntakenApproval]:
        intents = _table(self._book, "intents")
        alive = {one.session_id for one in await self._sessions.alive()}
        found = [
            event.message for event in _table(self._book, EVENTS).values()
            if isinstance(event.message, EntryApproved | EntryReduced | ExitApproved)
            and event.message.session_id in alive and event.message.intent_id not in intents
        ]  # fmt: skip
        found.sort(key=lambda one: (one.ts_event_ns, isinstance(one, ExitApproved), one.event_id))
        return [untaken_of(json.loads(one.to_json())) for one in found]

    async def load(self, pos_id: str) -> Trade | None:
        trade = _table(self._book, "trades").get(pos_id)
        if trade is None:
            return None
        found = _copy(trade)
        found.touch, found.pressed_ns, found.at_broker = None, 0, False
        found.trailing, found.trail_from_ns, found.protection = None, 0, ProtectionKind.STOP
        found.tariff, found.is_worst_first = Tariff.ZERODHA, False
        found.orders = [replace(one, **_FORGOTTEN) for one in found.orders]
        found.fill_ids = {one.fill.fill_id for one in _table(self._book, "fills").get(pos_id, ())}
        return found

    async def alive(self, owner: str) -> dict[str, str]:
        trades = sorted(_table(self._book, "trades").items())
        return {pos_id: trade.session_id for pos_id, trade in trades if trade.owner == owner and not trade.ended}

    async def sessions_alive(self) -> list[str]:
        return sorted({trade.session_id for trade in _table(self._book, "trades").values() if not trade.ended})

    async def growth_unanswered(self, entries: Sequence[Order], stop: Order) -> tuple[int, int] | None:
        fills: Sequence[NewFill] = _table(self._book, "fills").get(_table(self._book, "tags").get(stop.tag), ())
        lines = _table(self._book, "order_history").get(stop.order_id, ())
        wanted = {entry.order_id for entry in entries}
        answered_ns = max((one.ts_event_ns for one in lines if one.event == "MODIFIED"), default=-1)
        found = [
            (one.fill.ts_event_ns, one.fill.quantity) for one in fills
            if one.order_id in wanted and one.fill.ts_event_ns > max(stop.placed_ns, answered_ns)
        ]  # fmt: skip
        return max(found, key=lambda one: one[0], default=None)

    async def position_of_tag(self, tag: str) -> str | None:
        found: str | None = _table(self._book, "tags").get(tag)
        return found

    async def heartbeat(self, owner: str) -> None:
        async with self._book.begin() as transaction:
            transaction.table("execution_instances")[owner] = self._timers.monotonic_ns()

    async def adopt_orphans(self, owner: str, *, silent_seconds: float) -> list[str]:
        adopted: list[str] = []
        async with self._book.begin() as transaction:
            trades, beats = transaction.table("trades"), transaction.table("execution_instances")
            before_ns = self._timers.monotonic_ns() - int(silent_seconds * NANOSECONDS_PER_SECOND)
            silent = {name for name, beat_ns in beats.items() if beat_ns < before_ns}
            for pos_id in sorted(one for one, trade in trades.items() if trade.owner in silent and not trade.ended):
                await transaction.lock(f"trades {pos_id}")
                trade = trades[pos_id]
                if trade.owner in silent and not trade.ended:
                    trades[pos_id] = replace(trade, owner=owner, version=trade.version + 1)
                    adopted.append(pos_id)
        return adopted

    async def save_extremes(self, trades: Sequence[Trade]) -> None:
        async with self._book.begin() as transaction:
            rows = transaction.table("trades")
            for one in sorted(trades, key=lambda one: one.pos_id):
                await transaction.lock(f"trades {one.pos_id}")
                known = rows.get(one.pos_id)
                if known is not None and known.version == one.version:
                    rows[one.pos_id] = replace(
                        known, highest_paise=one.highest_paise, lowest_paise=one.lowest_paise, as_of_ns=one.as_of_ns
                    )


class MemoryOwnBook:
    """See `services.execution.books.ports.OwnBook`."""

    def __init__(self, book: MemoryBook) -> None:
        self._book, self._sessions = book, sessions_book(book)

    async def orders(self, tags: Sequence[str], sessions: Sequence[str]) -> list[OwnOrder]:
        wanted = frozenset(tags)
        found = [
            OwnOrder(
                pos_id=trade.pos_id, order_id=order.order_id, session_id=trade.session_id, tag=order.tag,
                role=order.role, state=order.state, quantity=order.quantity, filled_quantity=order.filled_quantity,
                trigger_paise=order.trigger_paise, broker_order_id=order.broker_order_id, instrument=trade.instrument,
                owner=trade.owner,
            )
            for trade in self._trades() for order in trade.orders
            if order.tag in wanted or (trade.session_id in sessions and not order.ended)
        ]  # fmt: skip
        return sorted(found, key=lambda one: one.order_id)

    async def tag_of(self, broker_order_id: str, sessions: Sequence[str]) -> str | None:
        found = [
            order for trade in self._trades() if trade.session_id in sessions
            for order in trade.orders if order.broker_order_id == broker_order_id
        ]  # fmt: skip
        return max(found, key=lambda one: one.placed_ns).tag if found else None

    async def net(self, sessions: Sequence[str]) -> dict[int, int]:
        held: dict[int, int] = {}
        for trade in self._trades():
            if trade.session_id in sessions and trade.open_quantity:
                sign = 1 if trade.side == "LONG" else -1
                held[trade.instrument] = held.get(trade.instrument, 0) + sign * trade.open_quantity
        return held

    async def traded(self, broker: str, login: str, *, since_ns: int) -> dict[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        specs = await self._sessions.specs({one.session_id for one in self._trades()})
        for trade in self._trades():
            spec = specs.get(trade.session_id)
            at = None if spec is None else (spec.broker, spec.credential or spec.broker)
            if at != (broker, login) or trade.created_ns < since_ns or not trade.entry_quantity:
                continue
            sign = 1 if trade.side == "LONG" else -1
            cash_paise, net = found.get(trade.instrument, (0, 0))
            found[trade.instrument] = (
                cash_paise + sign * (trade.exit_value_paise - trade.entry_value_paise), net + sign * trade.open_quantity
            )  # fmt: skip
        return found

    async def held(self, sessions: Sequence[str]) -> list[HeldTrade]:
        found = [held_of(one) for one in self._trades() if one.session_id in sessions and one.open_quantity]
        return sorted(found, key=lambda one: one.pos_id)

    async def ended(self, sessions: Sequence[str]) -> list[str]:
        return await self._sessions.ended(sessions)

    async def finished(self, sessions: Sequence[str]) -> list[str]:
        alive = {trade.session_id for trade in self._trades() if not trade.ended}
        stopping = {
            one.session_id for one in await self._sessions.alive() if one.status is SessionStatus.STOPPING
        }  # fmt: skip
        return [one for one in sessions if one in stopping - alive]

    async def seen_clear(self, session: str) -> None:
        async with self._book.begin() as transaction:
            await self._sessions.participate(transaction, session, service=BROKER_BOOK)

    def _trades(self) -> Sequence[Trade]:
        return list(_table(self._book, "trades").values())


def _table(book: MemoryBook, name: str) -> Mapping[Any, Any]:
    """What is committed. Raises Unavailable while the book is away."""
    book.database.check()
    return book.database.table(name)


def _write(transaction: MemoryTransaction, trade: Trade, step: TradeStep) -> None:
    """Stores the trade as it is now, and what the step adds to histories and fills."""
    stored = _copy(trade)
    stored.orders.sort(key=lambda one: (_ROLES.index(one.role), one.sequence))
    transaction.table("trades")[trade.pos_id] = stored
    for order in trade.orders:
        transaction.table("tags")[order.tag] = trade.pos_id
    history, fills = transaction.table("order_history"), transaction.table("fills")
    for line in step.history:
        history[line.order_id] = (*history.get(line.order_id, ()), line)
    for fill in step.fills:
        known: tuple[NewFill, ...] = fills.get(trade.pos_id, ())
        if not any((one.order_id, one.fill.fill_id) == (fill.order_id, fill.fill.fill_id) for one in known):
            fills[trade.pos_id] = (*known, fill)


def _copy(trade: Trade) -> Trade:
    """Its own orders and fill ids: what one process does to it, the book does not see."""
    return replace(trade, orders=[replace(order) for order in trade.orders], fill_ids=set(trade.fill_ids))
