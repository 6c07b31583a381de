"""Orders changed at the broker's own terminal, and other accounts' orders that bear our tags: through the service."""

from dataclasses import replace

from testkit.broker_life import BrokerLife, opened, trading
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, spec
from testkit.fake_broker import FakeBroker

from tradebus.trading.orders import BrokerStatus
from tradebus.trading.states import TradeState


def raised(broker: FakeBroker, number: str, quantity: int) -> None:
    broker.book.orders[number] = replace(broker.book.orders[number], quantity=quantity)


async def test_an_entry_raised_at_the_terminal_is_held_whole_behind_its_stop_and_a_person_is_told(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await life.send(approval(1))
        number = (await life.order("ENTRY", "OPEN")).broker_order_id
        raised(broker, number, 130)
        broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + SECOND, quantity=65))
        await life.order("STOP", "TRIGGER_PENDING")
        broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + 2 * SECOND))
        await life.trade(entry_quantity=130, state=TradeState.POSITION_OPEN)
        stop = (await life.order("STOP", "TRIGGER_PENDING")).broker_order_id

        async def covered():
            return broker.book.orders[stop].quantity == 130

        await life.until(covered)
        [told, *_] = await life.told("RECONCILE_MISMATCH")
        assert [(one.ours, one.brokers) for one in told.differences] == [("65", "130")]
        assert "raised at the broker" in told.differences[0].action


async def test_a_stop_raised_at_the_terminal_and_hit_leaves_nothing_at_the_broker(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker, reconcile_seconds=60) as life:
        await opened(life, broker, approval(1))
        number = (await life.order("STOP", "TRIGGER_PENDING")).broker_order_id
        raised(broker, number, 60_060)
        broker.tell(broker.book.fill(number, PRICE - 10_000, at_ns=TEN + 2 * SECOND, quantity=130))
        await life.order("STOP", "CANCEL_PENDING")

        async def cancelled():
            return broker.book.orders[number].status is BrokerStatus.CANCELLED

        await life.until(cancelled)
        broker.tell(broker.book.orders[number])
        back = await life.order("EXIT", "OPEN")
        assert (back.transaction, back.quantity) == ("BUY", 65)
        broker.tell(broker.book.fill(back.broker_order_id, PRICE, at_ns=TEN + 4 * SECOND))
        await life.trade(state=TradeState.CLOSED)
    assert [row.quantity for row in broker.book.positions()] == [0]


async def test_an_exit_lowered_at_the_terminal_is_followed_by_one_for_the_rest(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await life.send(approval(1, quantity=130))
        number = (await life.order("ENTRY", "OPEN")).broker_order_id
        broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + SECOND))
        stop = (await life.order("STOP", "TRIGGER_PENDING")).broker_order_id
        broker.book.orders[stop] = replace(broker.book.orders[stop], status=BrokerStatus.CANCELLED)
        leaving = (await life.order("EXIT", "OPEN")).broker_order_id
        raised(broker, leaving, 65)
        broker.tell(broker.book.fill(leaving, PRICE, at_ns=TEN + 2 * SECOND))
        rest = await life.order("EXIT", "OPEN", sequence=2)
        assert rest.quantity == 65


async def test_another_accounts_order_with_our_tag_changes_nothing_of_ours(around) -> None:
    mine, other = FakeBroker("kite"), FakeBroker("dhan")
    async with BrokerLife(around, mine, other) as life:
        await life.started(spec("s1", broker="kite"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await opened(life, mine, approval(1))
        stop = (await life.order("STOP", "TRIGGER_PENDING")).broker_order_id
        foreign = replace(mine.book.orders[stop], broker_order_id="X1")
        other.book.orders["X1"] = foreign
        filled = other.book.fill("X1", PRICE, at_ns=TEN + 2 * SECOND)
        other.tell(filled)
        told = (await life.told("RECONCILE_MISMATCH"))[-1]
        assert told.session_id == "s2"
        (trade,) = await life.trades()
        assert (trade.state, trade.exit_quantity) == (TradeState.POSITION_OPEN, 0)
