"""A book as the services fill it, each through its own books: what the gateway's views show. On any book."""

from collections.abc import Sequence

import numpy as np

from services.execution.books import books_of
from services.risk.adapters.memory import MemoryRiskBook
from services.risk.adapters.postgres import PostgresRiskBook
from services.risk.ports import MessageEffect, StateChange
from services.strategy.adapters.journal import Journal
from services.strategy.adapters.memory_journal import MemoryJournal
from services.strategy.messages import signal_message
from testkit.execution_service import approval
from testkit.risk import at, entry
from testkit.waiting import WALL_TIMERS
from tradebus.calendar import contract_of
from tradebus.contracts.base import Message
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import Difference, OrderRole, OrderType, Reconciled, ReconcileMismatch, Transaction
from tradebus.contracts.records import CANDLE
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import ORDERS
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_date
from tradebus.risk.published import JournalLine
from tradebus.risk.state import RiskState, WaitingEntry
from tradebus.store.book import Book
from tradebus.store.books import candles_book
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store
from tradebus.strategies.lane.decisions import DecisionRow
from tradebus.trading.facts import EntrySignal, ExitSignal
from tradebus.trading.states import OrderState, TradeState

MORNING_NS = 1_704_167_220_000_000_000
SECOND_NS = 1_000_000_000


async def put_trade(
    book: Book, number: int, *, session_id: str, instrument: Instrument, user_id: str = "123", strategy: str = "orb",
    side: Side = Side.LONG, entered: int = 30, exited: int = 0, net_pnl_paise: int | None = None,
    r_multiple: float | None = None,
) -> str:  # fmt: skip
    """As execution keeps one: entered at 50,000.00, left at the same; CLOSED where all of it was. Its position."""
    at_ns = MORNING_NS + number * SECOND_NS
    message = approval(number, at_ns=at_ns).model_copy(
        update={"session_id": session_id, "user_id": user_id, "strategy": strategy, "symbol": instrument.symbol,
                "instrument": instrument.instrument_id, "quantity": 30}
    )  # fmt: skip
    order = Order(
        order_id=f"o{number}", tag=f"tag{number}", role=OrderRole.ENTRY, sequence=1, transaction=Transaction.BUY,
        order_type=OrderType.LIMIT, quantity=30, price_paise=5_000_005, trigger_paise=None,
        state=OrderState.PENDING, placed_ns=at_ns, updated_ns=at_ns,
    )  # fmt: skip
    trade = Trade(
        pos_id=message.pos_id or "", session_id=session_id, user_id=user_id, strategy=strategy,
        symbol=instrument.symbol, instrument=instrument.instrument_id,
        contract=contract_of(instrument, ist_date(at_ns)), side=side, state=TradeState.ENTRY_PENDING,
        quantity_requested=30, expected_price_paise=5_000_000, initial_stop_paise=4_990_000, stop_paise=4_990_000,
        target_paise=None, lot_size=15, tick_size_paise=5, max_slippage_pct=0.5, order_timeout_seconds=30,
        trace_id="t1", intent_id=message.intent_id, created_ns=at_ns, as_of_ns=at_ns, owner="execution-1",
        orders=[order],
    )  # fmt: skip
    ledger = books_of(book, timers=WALL_TIMERS).ledger
    assert await ledger.open_trade(trade, TradeStep(), message, outcome="TAKEN")
    if entered:
        over = entered == exited
        trade.state = TradeState.CLOSED if over else TradeState.POSITION_OPEN
        trade.entry_quantity, trade.entry_value_paise, trade.opened_ns = entered, entered * 5_000_000, at_ns + 1
        trade.exit_quantity, trade.exit_value_paise, trade.charges_paise = exited, exited * 5_000_000, 5_050
        trade.net_pnl_paise, trade.r_multiple, trade.mae_r = net_pnl_paise, r_multiple, r_multiple
        trade.closed_ns = at_ns + 2 if over else None
        order.state, order.broker_order_id = OrderState.FILLED, f"B{number}"
        order.filled_quantity, order.filled_value_paise = entered, entered * 5_000_000
        async with book.begin() as transaction:
            await ledger.update_trade(trade, TradeStep(), transaction=transaction)
    return trade.pos_id


async def put_signals(book: Book, *, session_id: str, instrument: Instrument, user_id: str = "123") -> None:
    """As strategy keeps them: a HOLD, and an entry and an exit with their signals."""
    journal = MemoryJournal(book) if isinstance(book, MemoryBook) else Journal(_store(book))
    number, at_ns = instrument.instrument_id, MORNING_NS
    facts = [
        EntrySignal(
            event_id=f"{session_id}-enter", ts_event_ns=at_ns + 1, trace_id="t", session_id=session_id, user_id=user_id,
            strategy="orb", symbol=instrument.symbol, instrument=number, side=Side.LONG, price_paise=5_000_000,
            reason="breakout", stop_paise=4_990_000, target_paise=None, confidence=0.5, pos_id="p1",
        ),
        ExitSignal(
            event_id=f"{session_id}-exit", ts_event_ns=at_ns + 2, trace_id="t", session_id=session_id, user_id=user_id,
            strategy="orb", symbol=instrument.symbol, instrument=number, side=Side.LONG, price_paise=5_010_000,
            reason="done", pos_id="p1",
        ),
    ]  # fmt: skip
    rows = [
        DecisionRow(session_id, "orb", number, at_ns, "HOLD", "no setup", 5_000_000),
        DecisionRow(session_id, "orb", number, at_ns + 1, "ENTER_LONG", "breakout", 5_000_000),
        DecisionRow(session_id, "orb", number, at_ns + 2, "EXIT", "done", 5_010_000),
    ]
    await journal.write_with_signals(rows, [signal_message(one, recorded_ns=1) for one in facts])


async def put_verdicts(book: Book, *, session_id: str) -> None:
    """As risk keeps them: one that blocks, one that allows."""
    risk = MemoryRiskBook(book) if isinstance(book, MemoryBook) else PostgresRiskBook(_store(book))
    lines = [
        JournalLine(f"{session_id}-r1", session_id, "g1", "p1", "BLOCK", "cooldown", None, 1, {"symbol": "BANKNIFTY"}),
        JournalLine(f"{session_id}-r2", session_id, "g2", None, "ALLOW", "all_passed", 30, 2, {"detail": "30 of 60"}),
    ]
    assert await risk.record(MessageEffect(f"{session_id}-message", lines=lines))


async def put_halt(book: Book, *, session_id: str, rule: str) -> None:
    """The session's state as risk keeps it after a limit was hit."""
    risk = MemoryRiskBook(book) if isinstance(book, MemoryBook) else PostgresRiskBook(_store(book))
    await risk.take_up(f"{session_id}-start", session_id)
    change = StateChange(session_id, RiskState(halted_rule=rule, halted_parts={"symbol TCS": "symbol_max_loss"}), 0)
    assert await risk.record(MessageEffect(f"{session_id}-halt", changes=[change]))


async def put_waiting(book: Book, *, session_id: str, approval_ids: Sequence[str]) -> None:
    """Entries that wait for a person, a second apart, as risk keeps them."""
    risk = MemoryRiskBook(book) if isinstance(book, MemoryBook) else PostgresRiskBook(_store(book))
    await risk.take_up(f"{session_id}-start", session_id)
    waiting = {
        name: WaitingEntry(
            name, (entry(f"p{number}"),), 75, at("10:00") + number * SECOND_NS, at("10:01") + number * SECOND_NS
        )
        for number, name in enumerate(approval_ids)
    }
    change = StateChange(session_id, RiskState(waiting=waiting), 0)
    assert await risk.record(MessageEffect(f"{session_id}-waits", changes=[change]))


async def put_reconciliation(book: Book, *, session_id: str, at_ns: int, held: str | None, pos_id: str | None) -> None:
    """What execution tells of a look at the broker: a position that differs where `held` says so, an agreement else."""
    told = Difference(what="position X", ours="65", brokers=held or "", action="look at it")
    envelope = {
        "event_id": f"{session_id}-{at_ns}", "ts_event_ns": at_ns, "ts_recorded_ns": at_ns, "source": "execution",
        "trace_id": "t", "user_id": "u", "session_id": session_id, "pos_id": pos_id,
    }  # fmt: skip
    message: Message = (
        Reconciled.model_validate({**envelope, "orders_checked": 1})
        if held is None
        else ReconcileMismatch.model_validate({**envelope, "differences": (told,)})
    )
    async with book.begin() as tx:
        tx.emit(ORDERS.name, message)


async def put_close(book: Book, instrument: Instrument, *closes_paise: int) -> None:
    """One-minute candles, as market data keeps them."""
    bars = np.zeros(len(closes_paise), CANDLE)
    bars["instrument"], bars["timeframe_seconds"], bars["close_paise"] = instrument.instrument_id, 60, closes_paise
    bars["ts_open_ns"] = MORNING_NS + 60 * SECOND_NS * np.arange(len(bars))
    bars["ts_close_ns"] = bars["ts_open_ns"] + 60 * SECOND_NS
    await candles_book(book).upsert(bars)


def _store(book: Book) -> Store:
    assert isinstance(book, Store)
    return book
