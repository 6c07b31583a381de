"""`tradebus settle`: what a person says of a position that the broker does not have any more."""

from datetime import date, time

from hypothesis import given
from hypothesis import strategies as st
from testkit.broker_life import BrokerLife, opened, trading
from testkit.contracts import contract
from testkit.execution_brokers import FUTURE, PRICE, SECOND, TEN, approval, spec
from testkit.fake_broker import FakeBroker
from testkit.trades import MORNING
from testkit.trades import approval as approved

from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import Settle
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.risk import EntryApproved
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import COMMANDS
from tradebus.execution import lifecycle
from tradebus.execution.closing.settling import settle
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, Modify, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, OrderRequest, Outcome, Result
from tradebus.trading.states import OrderState, TradeState

SOLD = PRICE - 5_000


async def sold_by_hand(broker: FakeBroker, quantity: int) -> None:
    request = OrderRequest("s1", "", FUTURE, "X", Transaction.SELL, OrderType.MARKET, quantity, 65, 10, TEN)
    number = (await broker.book.place(request)).broker_order_id
    broker.tell(broker.book.fill(number, SOLD, at_ns=TEN + 30 * SECOND))


async def command(life: BrokerLife, entry: EntryApproved, number: int = 1, **fields: int) -> None:
    """What the gateway publishes for SETTLE."""
    said = Settle(
        event_id=f"settle-{number}", ts_event_ns=1, ts_recorded_ns=1, source="gateway", trace_id="t", user_id="u1",
        session_id=entry.session_id, pos_id=entry.pos_id, reason="sold at the terminal", **fields,
    )  # fmt: skip
    await life.around.publish(Outgoing(COMMANDS.name, said.TYPE, said.to_json()))


async def test_what_was_sold_by_hand_is_booked_at_the_brokers_own_price_and_time(around) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        await sold_by_hand(broker, 65)
        await life.told("RECONCILE_MISMATCH")
        await command(life, entry)
        trade = await life.trade(state=TradeState.CLOSED)
        await life.told("RECONCILED")
    leaving = trade.orders[-1]
    assert (trade.exit_reason, trade.exit_value_paise, trade.closed_ns) == ("settled", 65 * SOLD, TEN + 30 * SECOND)
    assert (leaving.role, leaving.reason) == (OrderRole.EXIT, "settled: sold at the terminal")
    assert sum(row.quantity for row in broker.book.positions()) == 0
    [closed] = await around.told("POSITION_CLOSED")
    assert closed.exit_price_paise == SOLD


async def test_a_price_that_is_said_counts_and_the_rest_is_held_behind_its_stop(around) -> None:
    broker, entry = FakeBroker(), approval(1, quantity=195)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        await sold_by_hand(broker, 130)
        await life.told("RECONCILE_MISMATCH")
        await command(life, entry, quantity=130, price_paise=PRICE)
        trade = await life.trade(exit_quantity=130)
        assert (trade.state, trade.exit_value_paise, trade.exit_reason) == (TradeState.POSITION_OPEN, 130 * PRICE, None)
        stop = await life.order("STOP", "TRIGGER_PENDING", quantity=65)
        assert broker.book.orders[stop.broker_order_id].quantity == 65


async def test_one_order_by_hand_that_closed_two_positions_is_given_to_each_once(around) -> None:
    broker, first, second = FakeBroker(), approval(1), approval(1, session="s2")
    async with trading(around, broker) as life:
        await life.started(spec("s2"))
        for entry in (first, second):
            await opened(life, broker, entry)
        await sold_by_hand(broker, 65)
        await command(life, first)
        await life.trade(pos_id=first.pos_id, state=TradeState.CLOSED)
        await command(life, second, 2)

        async def refused() -> list[str]:
            told = [one for said in await around.told("RECONCILE_MISMATCH") for one in said.differences]
            return [one.action for one in told if one.what.startswith("settle")]

        assert await life.until(refused) == ["not settled: no order of others at the broker closed them: say a --price"]
        [trade] = await life.trades(pos_id=second.pos_id)
        assert trade.open_quantity == 65


async def test_a_position_squared_off_overnight_is_settled_without_a_word_to_the_broker(around) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
    today = FakeBroker()  # its book begins anew
    async with BrokerLife(around, today, at_ns=ist_to_ns(date(2026, 11, 26), time(9, 15))) as life:
        await life.told("RECONCILE_MISMATCH")
        await command(life, entry, price_paise=SOLD)
        trade = await life.trade(state=TradeState.CLOSED)
    assert [one.state for one in trade.orders if one.role is OrderRole.STOP] == [OrderState.CANCELLED]
    assert today.book.requests == []


def held(side: Side) -> Trade:
    """200 behind a stop that rests."""
    trade = open_trade(approved(side), TradeStep(), contract=contract(), owner="o")
    entry = trade.entry_order()
    lifecycle.on_outcome(trade, entry, TradeStep(), Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    fill = BrokerFill("f", 200, 10_000, MORNING)
    told = BrokerOrder("b", entry.tag, "s", 1, entry.transaction, BrokerStatus.FILLED, 200, 200, None, (fill,), MORNING)
    lifecycle.on_report(trade, entry, TradeStep(), told)
    lifecycle.on_outcome(trade, trade.orders[-1], TradeStep(), Outcome(Result.ACCEPTED, "b2"), at_ns=MORNING)
    return trade


@given(
    side=st.sampled_from(Side), parts=st.lists(st.integers(-1, 10).map(lambda lots: lots * 25), max_size=8),
    repeats=st.lists(st.integers(0, 7), max_size=4),
)  # fmt: skip
def test_nothing_is_given_twice_nor_more_than_is_held_and_the_rest_stays_covered(side, parts, repeats):
    trade, taken = held(side), 0
    for number in [*range(len(parts)), *(one for one in repeats if one < len(parts))]:
        quantity, step = parts[number], TradeStep()
        before = trade.open_quantity
        is_first = f"t{number}" not in {order.tag for order in trade.orders}
        fills = [BrokerFill(f"s{number}", quantity, 9_000, MORNING + number + 1)]
        settle(trade, step, fills, tag=f"t{number}", reason="r", is_of_today=True)
        if is_first and 0 < quantity <= before:
            taken += quantity
        assert trade.open_quantity == 200 - taken
        assert all(isinstance(request, Cancel | Modify) for request in step.requests)
        stops = trade.all_live(OrderRole.STOP)
        if trade.open_quantity:
            assert sum(stop.quantity for stop in stops) == trade.open_quantity
            assert trade.exit_reason is None
        else:
            assert all(stop.state is OrderState.CANCEL_PENDING for stop in stops)
