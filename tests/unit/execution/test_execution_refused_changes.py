"""A broker that refuses the way out: the stop stays or comes back, exits are tried at other terms, a person is told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.trades import SECOND, approval

from tradebus.calendar import protection_band
from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.contracts.signals import Side
from tradebus.execution import decisions, lifecycle
from tradebus.execution.deadlines import deadline_ns
from tradebus.execution.leaving import exits
from tradebus.execution.leaving.pricing import Touch
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, Modify, Place, Request, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result
from tradebus.trading.states import OrderState

DAY = date(2026, 11, 25)
TEN = ist_to_ns(DAY, time(10))
HELD_IN = (OrderState.TRIGGER_PENDING, OrderState.OPEN)
Takes = Callable[[Trade, Order, Request], bool]


@dataclass
class Refusing:
    """Answers every request at once: what `takes` says no to is refused. An exit that it takes rests."""

    trade: Trade
    takes: Takes
    at_ns: int = TEN
    asked: list[tuple[int, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    bare_seconds: int = 0

    def answer(self, step: TradeStep) -> None:
        self.told += [notice.brokers for notice in step.notices]
        for request in step.requests:
            order, after = self.trade.order(request.order_id), TradeStep()
            self._note(order, request)
            if not self.takes(self.trade, order, request):
                self._refuse(order, request, after)
            elif isinstance(request, Place):
                outcome = Outcome(Result.ACCEPTED, f"b-{order.tag}")
                lifecycle.on_outcome(self.trade, order, after, outcome, at_ns=self.at_ns)
            elif isinstance(request, Modify):
                outcome = Outcome(Result.ACCEPTED, order.broker_order_id)
                lifecycle.on_modify_outcome(self.trade, order, after, outcome, request)
            else:
                self._say(order, after, BrokerStatus.CANCELLED)
            self.answer(after)
        self._never_too_much()

    def until(self, seconds: int, *, leaves: bool = False) -> None:
        """Or, where that is asked for, until the broker has taken what closes the position."""
        while (due_ns := deadline_ns(self.trade)) is not None and due_ns <= TEN + seconds * SECOND:
            if leaves and any(order.state is OrderState.OPEN for order in self.trade.orders):
                return
            due_ns = max(due_ns, self.at_ns)
            if not any(order.state in HELD_IN for order in self.trade.orders):
                self.bare_seconds += (due_ns - self.at_ns) // SECOND
            self.at_ns = due_ns
            step = TradeStep()
            exits.on_deadline(self.trade, step, now_ns=due_ns)
            self.answer(step)

    def fill(self, order: Order) -> None:
        fills = (BrokerFill(f"f-{order.tag}", order.quantity, 10_000, self.at_ns),)
        step = TradeStep()
        self._say(order, step, BrokerStatus.FILLED, fills)
        self.answer(step)

    def _refuse(self, order: Order, request: Request, after: TradeStep) -> None:
        refused = Outcome(Result.REFUSED, reason="trading is halted")
        if isinstance(request, Place):
            lifecycle.on_outcome(self.trade, order, after, refused, at_ns=self.at_ns)
        elif isinstance(request, Modify):
            lifecycle.on_modify_outcome(self.trade, order, after, refused, request)
        else:  # and it is looked up
            lifecycle.on_cancel_outcome(self.trade, order, after, refused, at_ns=self.at_ns)
            waits = order.role is OrderRole.STOP
            self._say(order, after, BrokerStatus.TRIGGER_PENDING if waits else BrokerStatus.OPEN)

    def _say(self, order: Order, step: TradeStep, status: BrokerStatus, fills: tuple[BrokerFill, ...] = ()) -> None:
        line = BrokerOrder(
            order.broker_order_id or "b", order.tag, "s", 1, order.transaction, status, order.quantity,
            sum(fill.quantity for fill in fills), order.trigger_paise, fills, self.at_ns,
        )  # fmt: skip
        lifecycle.on_report(self.trade, order, step, line)

    def _note(self, order: Order, request: Request) -> None:
        kind = {Place: "place", Modify: "change", Cancel: "cancel"}[type(request)]
        self.asked.append(((self.at_ns - TEN) // SECOND, f"{kind} {order.role} {order.order_type}"))

    def _never_too_much(self) -> None:
        living = [order for order in self.trade.orders if not order.ended and order.role is not OrderRole.ENTRY]
        assert sum(order.quantity - order.filled_quantity for order in living) <= max(0, self.trade.there_quantity)


def leaving(takes: Takes, *, kind: str = "FUTURE", side: Side = Side.LONG) -> Refusing:
    """Held behind a stop that rests at a broker, and asked to leave."""
    trade = open_trade(approval(side), TradeStep(), contract=contract(kind), owner="o", at_ns=TEN)
    trade.at_broker = True
    broker = Refusing(trade, lambda *_: True)
    step = TradeStep()
    lifecycle.on_outcome(trade, trade.entry_order(), step, Outcome(Result.ACCEPTED, "b1"), at_ns=TEN)
    broker.answer(step)
    broker.fill(trade.entry_order())
    assert trade.live(OrderRole.STOP) is not None
    trade.touch = Touch(9_990, 10_010, 10_000, 10_000.0)
    broker.takes, broker.asked = takes, []
    step = TradeStep()
    exits.request_exit(trade, step, reason="x", at_ns=TEN)
    broker.answer(step)
    return broker


def halted(_trade: Trade, _order: Order, request: Request) -> bool:
    return isinstance(request, Cancel)


def no_market(_trade: Trade, order: Order, request: Request) -> bool:
    return isinstance(request, Cancel) or order.order_type is not OrderType.MARKET


def no_change_no_exit(_trade: Trade, order: Order, request: Request) -> bool:
    return isinstance(request, Cancel) or (isinstance(request, Place) and order.role is OrderRole.STOP)


def test_a_stop_whose_change_is_refused_stays_and_is_asked_again_less_and_less_often_at_other_terms() -> None:
    broker = leaving(halted)
    broker.until(30)
    assert broker.asked == [
        (0, "change STOP MARKET"), (1, "change STOP LIMIT"), (3, "change STOP MARKET"), (7, "change STOP LIMIT"),
        (15, "change STOP MARKET"),
    ]  # fmt: skip
    assert broker.trade.live(OrderRole.STOP) is not None
    assert (broker.bare_seconds, broker.told) == (0, ["refused: trading is halted"]), "and a person is told once"


def test_reconciliation_does_not_ask_between_the_times() -> None:
    broker = leaving(halted)
    stop, step = broker.trade.all_live(OrderRole.STOP)[0], TradeStep()
    again = decisions.realign(stop.order_id, TEN, quantity=stop.quantity, trigger_paise=broker.trade.stop_paise)
    again(broker.trade, step)
    assert step.requests == []


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("kind", ["FUTURE", "OPTION"])
def test_where_the_market_is_blocked_the_stop_becomes_a_limit_inside_the_protection(kind: str, side: Side) -> None:
    broker = leaving(no_market, kind=kind, side=side)
    broker.until(1)
    stop = broker.trade.live(OrderRole.STOP)
    assert stop is not None
    assert (stop.state, stop.order_type) == (OrderState.OPEN, OrderType.LIMIT)
    assert stop.price_paise is not None
    sells = side is Side.LONG
    assert stop.price_paise < 9_990 if sells else stop.price_paise > 10_010, "beyond whoever takes it"
    assert stop.price_paise % broker.trade.tick_size_paise == 0
    band = protection_band(broker.trade.contract, 10_000, DAY)
    assert band is None or band[0] <= stop.price_paise <= band[1]
    broker.fill(stop)
    assert broker.trade.ended


def test_without_a_market_the_limit_is_beyond_the_stop() -> None:
    broker = leaving(no_market)
    broker.trade.touch = None
    broker.until(1)
    stop = broker.trade.live(OrderRole.STOP)
    assert stop is not None
    assert stop.price_paise is not None
    assert stop.price_paise < broker.trade.stop_paise


def test_while_a_halt_lasts_the_position_is_bare_only_where_the_broker_takes_no_stop_either() -> None:
    broker = leaving(no_change_no_exit)
    broker.until(3600)
    assert broker.bare_seconds == 1, "from the first of two exits to the second"
    assert (31, "cancel STOP LIMIT") in broker.asked, "perhaps it is this order that may not be changed"
    assert (31, "place EXIT MARKET") in broker.asked
    assert (32, "place EXIT LIMIT") in broker.asked, "after one at the market a limit"
    assert (32, "place STOP SL-M") in broker.asked, "then a stop is put back"
    assert len(broker.asked) < 200
    assert len(broker.told) == 2, "of the change, and of the exits"


def test_an_hour_of_a_halt_costs_fewer_than_two_hundred_requests() -> None:
    broker = leaving(halted)
    broker.until(3600)
    assert len(broker.asked) < 200
    assert broker.trade.there_quantity


def test_when_the_halt_ends_the_position_leaves_within_a_minute_by_one_order() -> None:
    broker = leaving(halted)
    broker.until(600)
    broker.takes = lambda *_: True
    broker.until(661)
    [order] = [one for one in broker.trade.orders if not one.ended]
    assert order.role is OrderRole.EXIT or order.is_turned
    broker.fill(order)
    assert broker.trade.ended


@given(script=st.lists(st.booleans(), min_size=1, max_size=40), kind=st.sampled_from(["FUTURE", "OPTION"]))
def test_whatever_is_refused_what_lives_never_closes_more_than_is_held_and_it_gets_out_in_the_end(script, kind) -> None:
    answers = iter(script)
    broker = leaving(lambda *_: next(answers, True), kind=kind)
    broker.until(3600, leaves=True)
    living = [order for order in broker.trade.orders if not order.ended]
    assert living
    for order in living:
        broker.fill(order)
    assert broker.trade.ended
