"""Execution's book in Postgres. Every write checks the version it read: whoever comes second loses and reads again."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import asyncpg
import structlog

from services.execution.books.approvals import ApprovalFields, UntakenApproval, untaken_of
from services.execution.books.ports import CLAIMS, CONSUMER, Stale
from tradebus.calendar import contract_of
from tradebus.contracts.base import Message
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import ORDERS
from tradebus.execution.reconciliation import HeldTrade, OwnOrder
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.ids import lock_key
from tradebus.kernel.time import ist_date
from tradebus.store.books.sessions import BROKER_BOOK
from tradebus.store.postgres.together import StatementTogether
from tradebus.store.queries import load_queries
from tradebus.store.store import Store, emission_columns
from tradebus.trading.states import OrderState, TradeState

_SQL, _OWN = load_queries("services.execution.books", "ledger"), load_queries("services.execution.books", "own")
_TERMS = ("kind", "market_class", "underlying", "expiry", "strike_paise", "right", "freeze_quantity", "terms_on")
_log = structlog.get_logger()


class PostgresLedger:
    """See `services.execution.books.ports.Ledger`."""

    def __init__(self, store: Store) -> None:
        self._pool = store.pool
        self._opening = StatementTogether(partial(store.each, _SQL["open_trade"]), key_column="pos_id")
        self._changing = StatementTogether(partial(store.record_each, _SQL["update_trade"]), key_column="pos_id")

    async def open_trade(
        self, trade: Trade, step: TradeStep, approval: Message, *, outcome: str, transaction: Any = None
    ) -> bool:
        t, o = trade, trade.entry_order()
        lines = [(h.order_id, h.from_state, h.to_state, h.event, h.ts_event_ns) for h in step.history]
        arguments = (
            lock_key(t.pos_id), CONSUMER, t.intent_id,
            t.pos_id, t.session_id, t.user_id, t.strategy, t.symbol, t.instrument, t.side, t.state,
            t.quantity_requested, t.expected_price_paise, t.initial_stop_paise, t.stop_paise, t.target_paise,
            t.lot_size, t.tick_size_paise, t.max_slippage_pct, t.order_timeout_seconds, t.exit_reason, t.trace_id,
            t.created_ns, t.closed_ns, t.as_of_ns, t.owner,
            o.order_id, o.tag, o.transaction, o.order_type, o.quantity, o.price_paise, o.state, o.placed_ns,
            o.updated_ns, o.reason,
            *_columns(lines, 5),
            outcome, approval.model_dump(mode="json", exclude_none=True), t.group_id,
        )  # fmt: skip
        if transaction is None:  # one statement and one round trip, on the way of every entry
            row = await self._opening.run(t.pos_id, arguments)
        else:
            row = await transaction.connection.fetchrow(_SQL["open_trade"], *arguments)
        t.trade_id = row["trade_id"] if row else None
        return row is not None

    async def claim_unopened(self, transaction: Any, pos_id: str) -> bool:
        return await transaction.connection.fetchval(_SQL["claim_unopened"], CLAIMS, pos_id) is not None

    async def reopen_claim(self, transaction: Any, pos_id: str) -> bool:
        return await transaction.connection.fetchval(_SQL["reopen_claim"], CLAIMS, pos_id) is not None

    async def update_trade(
        self, trade: Trade, step: TradeStep, *, messages: Sequence[Message] = (), transaction: Any = None
    ) -> None:
        if transaction is None:
            said = [(ORDERS.name, message) for message in messages]
            row = await self._changing.run(trade.pos_id, (_change(trade, step), said))
        else:
            nothing = ("", *emission_columns([], []))
            row = await transaction.connection.fetchrow(_SQL["update_trade"], *_change(trade, step), *nothing)
        if row is None or not row["is_saved"]:
            raise Stale(trade.pos_id)
        trade.version += 1
        for message in messages if transaction is not None else ():
            transaction.emit(ORDERS.name, message)

    async def insert_intent(self, transaction: Any, approval: ApprovalFields, *, outcome: str) -> None:
        kind, at_ns = "EXIT" if approval.is_exit else "ENTRY", approval.fields.get("ts_event_ns")
        await transaction.connection.execute(
            _SQL["insert_intent"], approval.intent_id, approval.pos_id, approval.session_id, kind, outcome,
            at_ns if isinstance(at_ns, int) else 0, dict(approval.fields),
        )  # fmt: skip

    async def untaken(self) -> list[UntakenApproval]:
        return [untaken_of(row["body"]) for row in await self._pool.fetch(_SQL["untaken"])]

    async def load(self, pos_id: str) -> Trade | None:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(readonly=True, isolation="repeatable_read"),
        ):
            row = await connection.fetchrow(_SQL["select_trade"], pos_id)
            if row is None:
                return None
            orders = await connection.fetch(_SQL["select_orders"], pos_id)
            fills = await connection.fetch(_SQL["select_fill_ids"], pos_id)
        trade = _trade(row)
        trade.orders = [_order(order) for order in orders]
        trade.fill_ids = {fill["fill_id"] for fill in fills}
        return trade

    async def alive(self, owner: str) -> dict[str, str]:
        rows = await self._pool.fetch(_SQL["select_alive"], owner)
        return {row["pos_id"]: row["session_id"] for row in rows}

    async def sessions_alive(self) -> list[str]:
        return [row["session_id"] for row in await self._pool.fetch(_SQL["select_sessions_alive"])]

    async def growth_unanswered(self, entries: Sequence[Order], stop: Order) -> tuple[int, int] | None:
        row = await self._pool.fetchrow(
            _SQL["select_growth_unanswered"], [entry.order_id for entry in entries], stop.order_id, stop.placed_ns
        )
        return (row["at_ns"], row["quantity"]) if row else None

    async def position_of_tag(self, tag: str) -> str | None:
        found: str | None = await self._pool.fetchval(_SQL["select_pos_of_tag"], tag)
        return found

    async def heartbeat(self, owner: str) -> None:
        await self._pool.execute(_SQL["heartbeat"], owner)

    async def adopt_orphans(self, owner: str, *, silent_seconds: float) -> list[str]:
        return [row["pos_id"] for row in await self._pool.fetch(_SQL["adopt_orphans"], owner, silent_seconds)]

    async def save_extremes(self, trades: Sequence[Trade]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute(
                _SQL["save_extremes"],
                *_columns([(t.pos_id, t.version, t.highest_paise, t.lowest_paise, t.as_of_ns) for t in trades], 5),
            )


class PostgresOwnBook:
    """See `services.execution.books.ports.OwnBook`."""

    def __init__(self, store: Store) -> None:
        self._pool = store.pool

    async def orders(self, tags: Sequence[str], sessions: Sequence[str]) -> list[OwnOrder]:
        return [
            OwnOrder(**{**dict(row), "role": OrderRole(row["role"]), "state": OrderState(row["state"])})
            for row in await self._pool.fetch(_OWN["orders_of_account"], list(tags), list(sessions))
        ]

    async def tag_of(self, broker_order_id: str, sessions: Sequence[str]) -> str | None:
        found: str | None = await self._pool.fetchval(_OWN["tag_of"], broker_order_id, list(sessions))
        return found

    async def net(self, sessions: Sequence[str]) -> dict[int, int]:
        rows = await self._pool.fetch(_OWN["net"], list(sessions))
        return {row["instrument_id"]: row["net"] for row in rows}

    async def traded(self, broker: str, login: str, *, since_ns: int) -> dict[int, tuple[int, int]]:
        rows = await self._pool.fetch(_OWN["traded"], broker, login, since_ns)
        return {row["instrument_id"]: (row["cash_paise"], row["net"]) for row in rows}

    async def held(self, sessions: Sequence[str]) -> list[HeldTrade]:
        rows = await self._pool.fetch(_OWN["held"], list(sessions))
        return [HeldTrade(**{**dict(row), "entry_tags": tuple(row["entry_tags"])}) for row in rows]

    async def ended(self, sessions: Sequence[str]) -> list[str]:
        return [row["session_id"] for row in await self._pool.fetch(_OWN["ended"], list(sessions))]

    async def finished(self, sessions: Sequence[str]) -> list[str]:
        return [row["session_id"] for row in await self._pool.fetch(_OWN["finished"], list(sessions))]

    async def seen_clear(self, session: str) -> None:
        await self._pool.execute(_OWN["seen_clear"], session, BROKER_BOOK)


def _change(trade: Trade, step: TradeStep) -> tuple[object, ...]:
    """What is stored of a change, as `change_trade` takes it."""
    t = trade
    orders = [
        (o.order_id, t.pos_id, o.tag, o.role, o.sequence, o.transaction, o.order_type, o.quantity, o.price_paise,
         o.trigger_paise, o.state, o.broker_order_id, o.filled_quantity, o.filled_value_paise, o.placed_ns,
         o.updated_ns, o.reason, o.moves) for o in t.orders
    ]  # fmt: skip
    lines = [(h.order_id, h.from_state, h.to_state, h.event, h.ts_event_ns) for h in step.history]
    fills = [
        (f.fill.fill_id, f.order_id, t.pos_id, f.fill.quantity, f.fill.price_paise, f.charges_paise,
         f.fill.ts_event_ns) for f in step.fills
    ]  # fmt: skip
    return (
        t.pos_id, t.version, t.state, t.entry_quantity, t.entry_value_paise, t.exit_quantity, t.exit_value_paise,
        t.charges_paise, t.stop_paise, t.highest_paise, t.lowest_paise, t.exit_reason, t.opened_ns, t.closed_ns,
        t.net_pnl_paise, t.r_multiple, t.mae_r, t.mfe_r, t.as_of_ns, t.owner, t.missing_quantity,
        *_columns(orders, 18), *_columns(lines, 5), *_columns(fills, 7),
    )  # fmt: skip


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into the columns that unnest wants."""
    return [[row[index] for row in rows] for index in range(width)]


def _trade(row: asyncpg.Record) -> Trade:
    fields = dict(row)
    fields["instrument"] = fields.pop("instrument_id")
    listed = Instrument(
        instrument_id=fields["instrument"], symbol=fields["symbol"], lot_size=fields["lot_size"],
        tick_size_paise=fields["tick_size_paise"], **{name: fields.pop(name) for name in _TERMS},
    )  # fmt: skip
    fields["contract"] = contract_of(listed, ist_date(fields["created_ns"]))
    fields["side"] = Side(fields["side"])
    fields["state"] = TradeState(fields["state"])
    return Trade(**fields)


def _order(row: asyncpg.Record) -> Order:
    fields = dict(row)
    fields.pop("pos_id")
    fields["role"] = OrderRole(fields["role"])
    fields["transaction"] = Transaction(fields.pop("transaction_type"))
    fields["order_type"] = OrderType(fields["order_type"])
    fields["state"] = OrderState(fields["state"])
    return Order(**fields)
