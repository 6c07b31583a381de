"""What the book keeps of stops: when they left, and how they were moved. On both: in memory and on Postgres."""

from testkit.execution_books import ExecutionHands, begin, register
from testkit.execution_service import MORNING, SECOND, approval, spec

from services.execution.books import Books
from tradebus.calendar import contract_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.execution.opening import new_order, open_trade
from tradebus.execution.step import Moved, TradeStep
from tradebus.execution.stops.tightening import TRAIL_REFUSED, TRAILED
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_date
from tradebus.runtime.rendering import fact_of
from tradebus.trading import facts

FUTURE = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5, instrument_key="NFO:NIFTY:2024-01-25:FUT",
)  # fmt: skip


async def with_stop(hands: ExecutionHands) -> tuple[Books, Trade, Order]:
    await register(hands.book, FUTURE)
    await begin(hands.book, spec())
    books, _ = await hands.life()
    message, step = approval(1, at_ns=MORNING), TradeStep()
    fact = fact_of(message)
    assert isinstance(fact, facts.EntryApproved)
    trade = open_trade(fact, step, contract=contract_of(FUTURE, ist_date(MORNING)), owner="execution-1")
    assert await books.ledger.open_trade(trade, step, message, outcome="TAKEN")
    placing = TradeStep()
    stop = new_order(
        trade, placing, role=OrderRole.STOP, transaction=Transaction.SELL, order_type=OrderType.SL_M, quantity=25,
        at_ns=MORNING + SECOND, trigger_paise=9_900,
    )  # fmt: skip
    stop.moves = 3
    await books.ledger.update_trade(trade, placing)
    return books, trade, stop


async def test_a_move_is_unanswered_until_a_change_or_a_refusal_is_in_the_history(hands: ExecutionHands) -> None:
    books, trade, stop = await with_stop(hands)
    assert await books.departures.trail_unanswered(stop) is None
    for second, answer in ((2, "MODIFIED"), (4, TRAIL_REFUSED)):
        at_ns = MORNING + second * SECOND
        for event, unanswered_ns in ((TRAILED, at_ns), (answer, None)):
            line = Moved(stop.order_id, stop.state, stop.state, event, at_ns)
            await books.ledger.update_trade(trade, TradeStep(history=[line]))
            assert await books.departures.trail_unanswered(stop) == unanswered_ns
    found = await books.ledger.load(trade.pos_id)
    assert found is not None
    assert [order.moves for order in found.orders] == [0, 3], "whoever has it by now"
    await books.book.close()


async def test_how_long_ago_a_stop_left_is_counted_from_when_that_was_first_said(hands: ExecutionHands) -> None:
    books, trade, stop = await with_stop(hands)
    assert await books.departures.left_seconds_ago(stop) is None
    assert await books.departures.leaves(trade, stop, at_ns=MORNING)
    ago_seconds = await books.departures.left_seconds_ago(stop)
    assert ago_seconds is not None
    assert 0.0 <= ago_seconds < 60.0, "by the book's clock, whatever the market's says"
    assert await books.departures.leaves(trade, stop, at_ns=MORNING + 90 * SECOND)
    again_seconds = await books.departures.left_seconds_ago(stop)
    assert again_seconds is not None
    assert again_seconds > ago_seconds
    await books.book.close()
