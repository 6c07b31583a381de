"""Both books of one real run: the exchange's own, told at the sandbox's address, and ours, read from Postgres."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from services.cli.drill.real.standing import RealStack
from services.cli.drill.running.invariants import BookAtEnd
from services.cli.drill.running.truth import tags_of
from services.execution.books import books_of
from services.sandbox.ports import BrokerName, NewOrder, SandboxOrder, SandboxStatus, SandboxTrade
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.execution.step import NewFill
from tradebus.execution.trade import Trade
from tradebus.store.queries import load_queries
from tradebus.trading.orders import BrokerFill, Product
from tradebus.waiting.timers import wall_timers

_SQL = load_queries("services.cli.drill.real", "book")


def order_of(row: Mapping[str, Any], *, account: str, numbers: Mapping[str, int]) -> SandboxOrder:
    """An order of the exchange's as its address tells it, its trades named with their order's number, as adapters name
    fills; `numbers` are instruments by name."""
    asked = NewOrder(
        numbers[row["key"]], Transaction(row["transaction"]), OrderType(row["order_type"]), Product(row["product"]),
        row["quantity"], price_paise=row["price_paise"], trigger_paise=row["trigger_paise"], tag=row["tag"],
        source=BrokerName(row["source"]),
    )  # fmt: skip
    trades = tuple(
        SandboxTrade(
            trade_id=f"{row['order_id']}-{one['trade_id']}", order_id=row["order_id"], quantity=one["quantity"],
            price_paise=one["price_paise"], at_ns=one["at_ns"],
        )
        for one in row["trades"]
    )  # fmt: skip
    return SandboxOrder(
        order_id=row["order_id"], exchange_order_id="", account=account, request=asked, asked=asked,
        status=SandboxStatus(row["status"]), filled_quantity=row["filled_quantity"],
        average_price_paise=row["average_price_paise"], placed_ns=row["placed_ns"], updated_ns=row["updated_ns"],
        number=0, modifications=0, reason=row["reason"], trades=trades, history=(),
    )  # fmt: skip


async def trades_of(stack: RealStack, session: str) -> dict[str, Trade]:
    """By position, as they are committed."""
    ledger = books_of(stack.store, timers=wall_timers()).ledger
    rows = await stack.store.pool.fetch(_SQL["positions"], session)
    loaded = [await ledger.load(row["pos_id"]) for row in rows]
    return {one.pos_id: one for one in loaded if one is not None}


async def book_of(stack: RealStack, session: str, *, orders: Sequence[SandboxOrder]) -> BookAtEnd:
    """With the exchange's `orders` of its account. Upstox's fills are told apart from others by a sign only."""
    trades = await trades_of(stack, session)
    fills: dict[str, list[NewFill]] = defaultdict(list)
    for row in await stack.store.pool.fetch(_SQL["fills"], session):
        fill = BrokerFill(row["fill_id"].replace(":", "-"), row["quantity"], row["price_paise"], row["ts_event_ns"])
        fills[row["pos_id"]].append(NewFill(row["order_id"], fill, row["charges_paise"]))
    return BookAtEnd(orders, tags_of(trades), trades, fills, frozenset())
