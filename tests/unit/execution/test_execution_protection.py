"""How long a position stands without a stop, told from the changes of its trade."""

from prometheus_client import CollectorRegistry
from testkit.broker_life import trading
from testkit.contracts import contract
from testkit.execution_brokers import PRICE, TEN
from testkit.execution_brokers import approval as brokers_approval
from testkit.execution_sandbox import HastyTimers
from testkit.fake_broker import FakeBroker
from testkit.trades import MORNING, SECOND, approval, paper_filling

from services.execution.metrics import ExecutionMetrics
from services.execution.trades.protection import Protection, is_unprotected
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.decisions import order_request
from tradebus.execution.opening import open_trade
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.matching.paper import TickQuote, accept, match, report
from tradebus.trading.orders import Outcome, Result

ACCEPTED, LOST, REFUSED = (Outcome(result, "b", "?") for result in (Result.ACCEPTED, Result.UNKNOWN, Result.REFUSED))


def placed() -> Trade:
    trade = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="o")
    answer(trade, trade.entry_order(), ACCEPTED)
    return trade


def answer(trade: Trade, order: Order, outcome: Outcome) -> None:
    lifecycle.on_outcome(trade, order, TradeStep(), outcome, at_ns=order.placed_ns)


def fill(trade: Trade, order: Order, *, at_ns: int, price: int) -> None:
    paper = match(accept(order_request(trade, order), paper_filling(0.0)), TickQuote(at_ns, price))
    lifecycle.on_report(trade, order, TradeStep(), report(paper))


def held() -> Trade:
    """Filled a second after the morning; its stop is on the way."""
    trade = placed()
    fill(trade, trade.entry_order(), at_ns=MORNING + SECOND, price=10_000)
    return trade


def live(trade: Trade, role: OrderRole) -> Order:
    order = trade.live(role)
    assert order is not None
    return order


def test_a_stop_accepted_at_once_left_no_time_between():
    protection, trade = Protection(ExecutionMetrics(CollectorRegistry())), placed()
    assert protection.note(trade, now_ns=MORNING) is None
    fill(trade, trade.entry_order(), at_ns=MORNING + SECOND, price=10_000)
    assert is_unprotected(trade)
    assert protection.note(trade, now_ns=MORNING + SECOND) is None
    answer(trade, live(trade, OrderRole.STOP), ACCEPTED)
    assert protection.note(trade, now_ns=MORNING + SECOND) == 0
    assert protection.note(trade, now_ns=MORNING + 9 * SECOND) is None


def test_a_stop_whose_answer_was_lost_counts_until_it_is_found():
    protection, trade = Protection(ExecutionMetrics(CollectorRegistry())), held()
    protection.note(trade, now_ns=MORNING + SECOND)
    stop = live(trade, OrderRole.STOP)
    answer(trade, stop, LOST)
    assert protection.note(trade, now_ns=MORNING + SECOND) is None
    resting = report(accept(order_request(trade, stop), paper_filling(0.0)))
    lifecycle.on_report(trade, stop, TradeStep(), resting)
    assert protection.note(trade, now_ns=MORNING + 4 * SECOND) == 3


def test_a_stop_that_was_refused_counts_until_the_position_is_closed():
    name = "tradebus_execution_unprotected_seconds"
    registry = CollectorRegistry()
    protection, trade = Protection(ExecutionMetrics(registry)), held()
    protection.note(trade, now_ns=MORNING + SECOND)
    answer(trade, live(trade, OrderRole.STOP), REFUSED)
    assert protection.note(trade, now_ns=MORNING + SECOND) is None
    leaving = live(trade, OrderRole.EXIT)
    answer(trade, leaving, ACCEPTED)
    fill(trade, leaving, at_ns=MORNING + 6 * SECOND, price=9_990)
    assert trade.ended
    assert protection.note(trade, now_ns=MORNING + 6 * SECOND) == 5
    assert registry.get_sample_value(f"{name}_sum") == 5
    assert registry.get_sample_value("tradebus_execution_unprotected_positions") == 0


def shown(registry: CollectorRegistry) -> float | None:
    labels = {"session": "s", "symbol": "X", "position": "p"}
    return registry.get_sample_value("tradebus_execution_position_unprotected_seconds", labels)


def test_each_position_shows_its_seconds_without_a_stop_and_is_told_of_once_after_five():
    registry = CollectorRegistry()
    protection, trade = Protection(ExecutionMetrics(registry)), held()
    told = [protection.look([trade], monotonic_ns=number * SECOND) for number in (100, 104, 105, 109)]
    assert told == [[], [], [(trade, 5)], []]
    assert shown(registry) == 9
    answer(trade, live(trade, OrderRole.STOP), ACCEPTED)
    assert protection.look([trade], monotonic_ns=110 * SECOND) == []
    assert shown(registry) is None


def test_one_that_is_bare_again_is_told_of_again_and_one_that_is_gone_is_forgotten():
    registry = CollectorRegistry()
    protection, trade = Protection(ExecutionMetrics(registry)), held()
    for began in (100, 200):
        protection.look([trade], monotonic_ns=began * SECOND)
        assert [seconds for _, seconds in protection.look([trade], monotonic_ns=(began + 6) * SECOND)] == [6]
        assert protection.look([], monotonic_ns=(began + 7) * SECOND) == []
        assert shown(registry) is None


async def test_a_position_that_can_be_neither_covered_nor_closed_is_told_to_people(around):
    broker = FakeBroker()
    async with trading(around, broker, timers=HastyTimers()) as life:
        entry = brokers_approval(1)
        await life.send(entry)
        sent = await life.order("ENTRY", "OPEN", of=entry)
        broker.book.refused = "the account is blocked"
        broker.tell(broker.book.fill(sent.broker_order_id, PRICE, at_ns=TEN + SECOND))
        [told] = await life.told("POSITION_UNPROTECTED")
        assert (told.quantity, told.seconds >= 5, told.pos_id) == (65, True, entry.pos_id)
        await life.time_passes(1)
        assert len(await around.told("POSITION_UNPROTECTED")) == 1
