"""More than the exchange takes in one order: entries, stops and exits in several, all of them followed to the end."""

from collections import deque
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.broker_life import trading
from testkit.contracts import contract
from testkit.execution_brokers import PRICE, TEN, exit_of
from testkit.execution_brokers import approval as approved
from testkit.fake_broker import FakeBroker
from testkit.trades import MORNING, SECOND, approval, paper_filling

from tradebus.contracts.orders import OrderRole
from tradebus.contracts.signals import Side
from tradebus.execution import decisions, lifecycle
from tradebus.execution.deadlines import EXIT_REPRICE_SECONDS, deadline_ns
from tradebus.execution.decisions import Decide
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, Place, Request, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.money import slices
from tradebus.trading.matching.exchange import PaperExchange
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, InstrumentTicks, Outcome, Result
from tradebus.trading.states import OrderState, TradeState

FREEZE = 60  # two lots of 25, and not a whole number of them
TERMS = replace(contract(lot_size=25), freeze_quantity=FREEZE)


class Desk:
    """A trade of 200 in front of the paper market."""

    def __init__(self, side: Side, *, partial: float) -> None:
        self.exchange, self.settings, step = PaperExchange(), paper_filling(partial), TradeStep()
        self.trade = open_trade(approval(side), step, contract=TERMS, owner="o")
        self._answer(step.requests)

    def decide(self, decide: Decide) -> None:
        step = TradeStep()
        decide(self.trade, step)
        self._answer(step.requests)

    def tick(self, at_ns: int, price: int) -> None:
        """What is due at its time, the market, and the market's time."""
        due_ns = deadline_ns(self.trade)
        if due_ns is not None and due_ns <= at_ns:
            self.decide(decisions.deadline(at_ns))
        one = np.array([price], np.int64)
        ticks = InstrumentTicks(np.array([at_ns], np.int64), one, one - 5, one + 5)
        while (told := self.exchange.on_tick(1, ticks, 0)) is not None:
            self.hear(told)
        while (told := self.exchange.advance(at_ns)) is not None:
            self.hear(told)

    def hear(self, told: BrokerOrder) -> None:
        self.decide(decisions.reported(told, unknown=LookupError(told.tag)))
        check(self.trade)

    def _answer(self, requests: list[Request]) -> None:
        queue = deque(requests)
        while queue:
            request = queue.popleft()
            order, step = self.trade.order(request.order_id), TradeStep()
            if decisions.is_due(self.trade, request):
                decisions.answered(order, request, self._sent(order, request))(self.trade, step)
            queue.extend(step.requests)

    def _sent(self, order: Order, request: Request) -> Outcome:
        if isinstance(request, Place):
            return self.exchange.place(decisions.order_request(self.trade, order), self.settings)
        if isinstance(request, Cancel):
            return self.exchange.cancel("s", order.broker_order_id or "", at_ns=request.at_ns)
        return self.exchange.modify("s", order.broker_order_id or "", decisions.change_of(self.trade, order, request))


def check(trade: Trade) -> None:
    assert all(order.quantity <= FREEZE and order.state is not OrderState.REJECTED for order in trade.orders)
    leaving = sum(order.quantity - order.filled_quantity for order in trade.all_live(OrderRole.EXIT))
    assert leaving <= abs(trade.open_quantity)
    coming = sum(order.quantity - order.filled_quantity for order in trade.all_live(OrderRole.ENTRY))
    assert trade.entry_quantity + coming <= trade.quantity_requested
    assert not (trade.all_live(OrderRole.EXIT) and len(trade.all_live(OrderRole.STOP)))
    assert trade.open_quantity >= 0
    if trade.exit_reason is None and not trade.ended:
        covered = sum(order.quantity - order.filled_quantity for order in trade.all_live(OrderRole.STOP))
        assert covered == trade.open_quantity


@given(quantity=st.integers(1, 400).map(lambda lots: lots * 25), freeze=st.one_of(st.none(), st.integers(25, 2_000)))
def test_the_parts_are_whole_lots_no_larger_than_one_order_and_all_of_it(quantity, freeze):
    parts = slices(quantity, lot_size=25, freeze_quantity=freeze)
    assert sum(parts) == quantity
    assert all(part % 25 == 0 and part > 0 and (freeze is None or part <= freeze) for part in parts)


@settings(max_examples=150, deadline=None)
@given(
    side=st.sampled_from(Side), partial=st.sampled_from([0.0, 0.5, 1.0]), exit_at=st.integers(0, 60),
    path=st.lists(st.integers(-40, 40).map(lambda ticks: 10_000 + ticks * 5), min_size=2, max_size=50),
)  # fmt: skip
def test_whatever_the_market_does_the_whole_position_is_covered_and_ends_flat(side, partial, exit_at, path):
    desk = Desk(side, partial=partial)
    for number, price in enumerate([*path, *([path[-1]] * 300)]):
        at_ns = MORNING + (number + 1) * SECOND // 2
        desk.tick(at_ns, price)
        if number in (exit_at, len(path)):
            desk.decide(decisions.exit_at(reason="x", at_ns=at_ns))
        if desk.trade.ended:
            break
    assert desk.trade.ended
    assert desk.trade.open_quantity == 0
    assert all(order.ended for order in desk.trade.orders)


def entered() -> Desk:
    desk = Desk(Side.LONG, partial=0.0)
    for number in range(12):
        desk.tick(MORNING + (number + 1) * SECOND, 10_000)
    return desk


def test_an_entry_of_200_is_four_orders_and_so_are_its_stops():
    trade = entered().trade
    of = {role: [order.quantity for order in trade.orders if order.role is role] for role in OrderRole}
    assert of == {OrderRole.ENTRY: [50] * 4, OrderRole.STOP: [50] * 4, OrderRole.EXIT: []}
    assert trade.open_quantity == 200


def test_stops_that_are_hit_together_fill_together():
    desk = entered()
    desk.tick(MORNING + 20 * SECOND, 9_900)
    trade = desk.trade
    assert (trade.ended, trade.exit_reason) == (True, "stop")
    assert [order.state for order in trade.orders if order.role is not OrderRole.ENTRY] == [OrderState.FILLED] * 4


def test_a_stop_that_stays_behind_the_others_becomes_the_exit():
    desk = entered()
    trade, at_ns = desk.trade, MORNING + 20 * SECOND
    trade.at_broker = True
    first, *others = trade.all_live(OrderRole.STOP)
    fill = BrokerFill("f", 50, 9_900, at_ns)
    told = BrokerOrder(
        first.broker_order_id or "", first.tag, "s", 1, first.transaction, BrokerStatus.FILLED, 50, 50, 9_900, (fill,),
        at_ns,
    )  # fmt: skip
    step = TradeStep()
    lifecycle.on_report(trade, first, step, told)
    assert step.requests == [], "the others may be filling at this moment"
    assert deadline_ns(trade) == at_ns + EXIT_REPRICE_SECONDS * SECOND
    for number in range(20):
        desk.tick(at_ns + (number + 1) * SECOND, 9_950)
    assert trade.ended
    assert {(one.state, one.filled_quantity, one.is_turned) for one in others} == {(OrderState.FILLED, 50, True)}
    assert not any(order.role is OrderRole.EXIT for order in trade.orders)


def test_an_entry_made_smaller_by_hand_is_followed_by_no_more_than_was_planned():
    desk = Desk(Side.LONG, partial=0.0)
    entry = desk.trade.entry_order()
    fill = BrokerFill("f", 25, 10_000, MORNING + SECOND)
    told = BrokerOrder(
        entry.broker_order_id or "", entry.tag, "s", 1, entry.transaction, BrokerStatus.FILLED, 25, 25, None, (fill,),
        MORNING + SECOND,
    )  # fmt: skip
    lifecycle.on_report(desk.trade, entry, TradeStep(), told)
    assert [order.quantity for order in desk.trade.orders if order.role is OrderRole.ENTRY] == [25, 50, 50, 50]


def sliced() -> tuple[Trade, list[Order]]:
    """An entry of 200 whose first order the broker has taken, and its orders."""
    trade = open_trade(approval(Side.LONG), TradeStep(), contract=TERMS, owner="o")
    trade.at_broker = True
    [first], step = trade.orders, TradeStep()
    lifecycle.on_outcome(trade, first, step, Outcome(Result.ACCEPTED, "b0"), at_ns=MORNING)
    entries = trade.all_live(OrderRole.ENTRY)
    assert step.requests == [Place(order.order_id) for order in entries[1:]], "all others at once"
    assert [order.quantity for order in entries] == [50] * 4
    return trade, entries


def end(trade: Trade, order: Order, *, filled: int = 0, word: str = "CANCELLED") -> TradeStep:
    """The broker says that the order has ended."""
    fills = (BrokerFill(f"f{order.tag}", filled, 10_000, MORNING + SECOND),) if filled else ()
    told = BrokerOrder(
        order.broker_order_id or f"b{order.sequence}", order.tag, "s", 1, order.transaction, BrokerStatus(word),
        order.quantity, filled, None, fills, MORNING + SECOND,
    )  # fmt: skip
    step = TradeStep()
    lifecycle.on_report(trade, order, step, told)
    return step


def test_where_the_first_part_is_refused_no_other_leaves():
    trade, step = open_trade(approval(Side.LONG), TradeStep(), contract=TERMS, owner="o"), TradeStep()
    [first] = trade.orders
    lifecycle.on_outcome(trade, first, step, Outcome(Result.REFUSED, reason="margin"), at_ns=MORNING)
    assert (step.requests, trade.orders, trade.state) == ([], [first], TradeState.REJECTED)


def test_a_part_that_is_refused_leaves_the_others_and_what_is_held_covered():
    trade, (first, second, third, fourth) = sliced()
    end(trade, second, word="REJECTED")
    assert not trade.ended, "nothing is held, and three of them may fill"
    step = end(trade, first, filled=50, word="FILLED")
    [stop] = trade.all_live(OrderRole.STOP)
    assert step.requests == [Place(stop.order_id)]
    lifecycle.on_outcome(trade, stop, TradeStep(), Outcome(Result.ACCEPTED, "s1"), at_ns=MORNING + SECOND)
    end(trade, third, filled=25)
    end(trade, fourth)
    covered = sum(order.quantity for order in trade.all_live(OrderRole.STOP))
    assert (trade.open_quantity, covered, trade.exit_reason, trade.ended) == (75, 75, None, False)


def test_parts_that_nobody_takes_are_timed_out_together_and_the_trade_ends_with_the_last():
    trade, entries = sliced()
    for order in entries[1:]:
        lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.ACCEPTED, order.tag), at_ns=MORNING)
    step, due_ns = TradeStep(), deadline_ns(trade)
    assert due_ns is not None
    decisions.deadline(due_ns)(trade, step)
    assert [type(one) for one in step.requests] == [Cancel] * 4
    for order in entries:
        assert not trade.ended
        end(trade, order)
    assert (trade.ended, trade.state) == (True, TradeState.CANCELLED)


def test_parts_that_have_not_left_end_where_somebody_wants_out():
    trade, entries = sliced()
    step = TradeStep()
    decisions.exit_at(reason="flatten", at_ns=MORNING + SECOND)(trade, step)
    assert [type(one) for one in step.requests] == [Cancel]
    for order in entries[1:]:
        decisions.absent(order.order_id, MORNING + SECOND, seen=order.state)(trade, TradeStep())
        assert not trade.ended
    end(trade, entries[0])
    assert (trade.ended, trade.open_quantity) == (True, 0)


def leaving_in_parts() -> tuple[Trade, list[Order]]:
    """A position of 200 whose stops have ended for the exit that somebody wants, and its exits."""
    trade, at_ns = entered().trade, MORNING + 20 * SECOND
    decisions.exit_at(reason="flatten", at_ns=at_ns)(trade, TradeStep())
    *first, last = trade.all_live(OrderRole.STOP)
    for stop in first:
        assert end(trade, stop).requests == []
    step = end(trade, last)
    exits = trade.all_live(OrderRole.EXIT)
    assert [order.quantity for order in exits] == [50] * 4
    assert step.requests == [Place(order.order_id) for order in exits]
    trade.at_broker = True
    return trade, exits


def test_the_parts_of_an_exit_that_has_no_stop_to_become_it_leave_together():
    trade, exits = leaving_in_parts()
    for number, order in enumerate(exits):
        lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.ACCEPTED, f"x{number}"), at_ns=order.placed_ns)
    assert trade.all_live(OrderRole.EXIT) == exits
    for order in exits:
        assert not trade.ended
        end(trade, order, filled=50, word="FILLED")
    assert (trade.ended, trade.open_quantity) == (True, 0)


def test_what_one_of_several_stops_leaves_bare_is_sold_at_once_beside_the_others():
    trade = entered().trade
    trade.at_broker = True
    gone, *others = trade.all_live(OrderRole.STOP)
    step = end(trade, gone)
    [exit_order] = trade.all_live(OrderRole.EXIT)
    assert (exit_order.quantity, trade.exit_reason) == (50, "stop_cancelled_by_exchange")
    assert all(order.is_turned for order in others)
    assert Place(exit_order.order_id) in step.requests


def test_a_part_that_is_refused_follows_the_others_in_its_time_and_alone():
    trade, exits = leaving_in_parts()
    for number, order in enumerate(exits[1:]):
        lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.ACCEPTED, f"x{number}"), at_ns=order.placed_ns)
    refused_ns = exits[0].placed_ns + SECOND // 10
    lifecycle.on_outcome(trade, exits[0], TradeStep(), Outcome(Result.REFUSED, reason="margin"), at_ns=refused_ns)
    assert (trade.state, trade.all_live(OrderRole.EXIT)) == (TradeState.EXIT_PENDING, exits[1:])
    due_ns = deadline_ns(trade)
    assert due_ns is not None
    assert due_ns <= refused_ns + SECOND
    step = TradeStep()
    decisions.deadline(due_ns)(trade, step)
    *others, again = trade.all_live(OrderRole.EXIT)
    assert (step.requests, others, again.quantity) == ([Place(again.order_id)], exits[1:], 50)


def test_where_all_parts_were_refused_one_is_tried_and_the_others_follow_when_it_is_taken():
    trade, exits = leaving_in_parts()
    for order in exits:
        lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.REFUSED, reason="x"), at_ns=order.placed_ns)
    due_ns, step = deadline_ns(trade), TradeStep()
    assert due_ns is not None
    decisions.deadline(due_ns)(trade, step)
    [first] = trade.all_live(OrderRole.EXIT)
    assert step.requests == [Place(first.order_id)]
    waiting = TradeStep()
    decisions.deadline(due_ns + 5 * SECOND)(trade, waiting)
    assert waiting.requests == [], "it has no answer yet"
    taken = TradeStep()
    lifecycle.on_outcome(trade, first, taken, Outcome(Result.ACCEPTED, "y"), at_ns=due_ns)
    assert [type(one) for one in taken.requests] == [Place] * 3
    assert sum(order.quantity for order in trade.all_live(OrderRole.EXIT)) == trade.open_quantity


async def test_at_a_broker_its_own_freeze_quantity_counts_and_every_part_is_followed(around) -> None:
    """1,820 where the day's master says 1,800, and the calendar nothing for the contract."""
    broker = FakeBroker()
    async with trading(around, broker) as life:
        entry = approved(1, quantity=1820)
        await life.send(entry)
        sent = [await life.order("ENTRY", "OPEN", sequence=number) for number in (1, 2)]
        for number, one in enumerate(sent):
            broker.tell(broker.book.fill(one.broker_order_id, PRICE, at_ns=TEN + (number + 1) * SECOND))
        await life.until_orders(2, role=OrderRole.STOP, state=OrderState.TRIGGER_PENDING)
        await life.send(exit_of(entry, at_ns=TEN + 3 * SECOND))
        for number in (0, 1):
            leaving = await life.order("STOP", "OPEN", sequence=number + 1)
            broker.tell(broker.book.fill(leaving.broker_order_id, PRICE, at_ns=TEN + (number + 4) * SECOND))
        await life.trade(state=TradeState.CLOSED)
    asked = [(one.role, one.quantity) for one in broker.book.requests]
    assert asked[:2] == [(OrderRole.ENTRY, 1755), (OrderRole.ENTRY, 65)], "neither waits for the other to fill"
    roles = (OrderRole.ENTRY, OrderRole.STOP)
    assert sorted(asked) == sorted((role, part) for role in roles for part in (1755, 65))
