"""A position whose stop and target stand at the broker as one trigger of two legs (GTT)."""

from dataclasses import replace

import numpy as np
import pytest
from testkit.broker_life import BrokerLife, opened
from testkit.contracts import contract
from testkit.execution_brokers import PRICE, TEN, exit_of, spec
from testkit.execution_brokers import approval as approved
from testkit.fake_broker import FakeBroker
from testkit.trades import MORNING, SECOND, approval, paper_filling

from services.execution.trades.protection import is_unprotected
from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.contracts.sessions import ProtectionKind, Trailing
from tradebus.contracts.signals import Side
from tradebus.execution import decisions, lifecycle
from tradebus.execution.deadlines import EXIT_REPRICE_SECONDS, deadline_ns
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, Modify, Place, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.execution.watching import note_extremes, target_index
from tradebus.trading.matching.exchange import PaperExchange
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, InstrumentTicks, Outcome, Result
from tradebus.trading.states import OrderState, TradeState

SIDES = pytest.mark.parametrize("side", list(Side))


def entering(side: Side, *, kind: str = "FUTURE", target: bool = True) -> Trade:
    """An entry of 200 at the broker."""
    asked = approval(side) if target else replace(approval(side), target_paise=None)
    trade = open_trade(asked, TradeStep(), contract=contract(kind, lot_size=25), owner="o")
    trade.at_broker, trade.protection = True, ProtectionKind.GTT
    lifecycle.on_outcome(trade, trade.entry_order(), TradeStep(), Outcome(Result.ACCEPTED, "e"), at_ns=MORNING)
    return trade


def report(
    trade: Trade, order: Order, word: str, *, filled: int = 0, price: int = 10_000, after: int = 1
) -> TradeStep:  # fmt: skip
    """The broker says so `after` seconds."""
    at_ns = MORNING + after * SECOND
    fills = (BrokerFill(f"{order.tag}{filled}", filled - order.filled_quantity, price, at_ns),) if filled else ()
    told = BrokerOrder(
        order.broker_order_id or "", order.tag, "s", 1, order.transaction, BrokerStatus(word), order.quantity, filled,
        order.trigger_paise, fills, at_ns,
    )  # fmt: skip
    step = TradeStep()
    lifecycle.on_report(trade, order, step, told)
    return step


def held(side: Side, *, kind: str = "FUTURE") -> tuple[Trade, Order]:
    """200 held, and its trigger at the broker."""
    trade = entering(side, kind=kind)
    step = report(trade, trade.entry_order(), "FILLED", filled=200)
    [stop] = trade.all_live(OrderRole.STOP)
    assert step.requests == [Place(stop.order_id)]
    lifecycle.on_outcome(trade, stop, TradeStep(), Outcome(Result.ACCEPTED, "t1"), at_ns=MORNING + SECOND)
    return trade, stop


def ticks(*prices: int) -> InstrumentTicks:
    price = np.array(prices, np.int64)
    at_ns = MORNING + (10 + np.arange(len(prices))) * SECOND
    return InstrumentTicks(at_ns, price, price - 5, price + 5)


@SIDES
@pytest.mark.parametrize("kind", ["FUTURE", "OPTION"])
def test_both_legs_are_asked_for_with_the_market_between_them(side, kind):
    trade, stop = held(side, kind=kind)
    asked = decisions.order_request(trade, stop)
    assert (asked.order_type, asked.quantity, asked.trigger_paise) == (OrderType.GTT, 200, trade.stop_paise)
    assert (asked.target_paise, asked.market_paise) == (trade.target_paise, trade.entry_price_paise)
    assert asked.price_paise is not None
    assert side.sign * (asked.price_paise - trade.stop_paise) < 0, "what the stop places may trade beyond its trigger"
    note_extremes(trade, ticks(10_010), 0, 1)
    assert decisions.order_request(trade, stop).market_paise == 10_010


@SIDES
def test_without_a_target_the_stop_rests_at_the_exchange(side):
    trade = entering(side, target=False)
    report(trade, trade.entry_order(), "FILLED", filled=200)
    [stop] = trade.all_live(OrderRole.STOP)
    assert (stop.order_type, decisions.order_request(trade, stop).target_paise) == (OrderType.SL_M, None)


@SIDES
def test_execution_watches_no_target_that_the_broker_has(side):
    trade, stop = held(side)
    beyond = ticks(trade.target_paise + side.sign * 50)
    assert target_index(trade, beyond, 0) is None
    stop.order_type = OrderType.SL_M
    assert target_index(trade, beyond, 0) == 0


@SIDES
def test_a_leg_that_fills_closes_the_trade_and_says_which_it_was(side):
    for price, reason in ((approval(side).target_paise, "target"), (approval(side).stop_paise, "stop")):
        trade, stop = held(side)
        assert report(trade, stop, "FILLED", filled=200, price=price, after=20).requests == []
        assert (trade.state, trade.exit_reason, trade.open_quantity) == (TradeState.CLOSED, reason, 0)


@SIDES
def test_an_exit_waits_until_the_trigger_is_gone(side):
    trade, stop = held(side)
    step = TradeStep()
    decisions.exit_at(reason="flatten", at_ns=MORNING + 20 * SECOND)(trade, step)
    assert step.requests == [Cancel(stop.order_id, MORNING + 20 * SECOND)], "it is never made the exit"
    accepted = TradeStep()
    lifecycle.on_cancel_outcome(trade, stop, accepted, Outcome(Result.ACCEPTED, "t1"), at_ns=MORNING + 20 * SECOND)
    assert accepted.requests == []
    gone = report(trade, stop, "CANCELLED", after=21)
    [leaving] = trade.all_live(OrderRole.EXIT)
    assert (gone.requests, leaving.quantity) == ([Place(leaving.order_id)], 200)


@SIDES
def test_a_leg_that_fires_before_its_cancellation_sells_nothing_twice(side):
    trade, stop = held(side)
    decisions.exit_at(reason="flatten", at_ns=MORNING + 20 * SECOND)(trade, TradeStep())
    step = report(trade, stop, "FILLED", filled=200, price=trade.stop_paise, after=20)
    assert (step.requests, trade.state, trade.open_quantity) == ([], TradeState.CLOSED, 0)


@SIDES
def test_what_a_leg_has_placed_and_does_not_fill_is_taken_back_and_sold(side):
    trade, stop = held(side)
    report(trade, stop, "OPEN", after=20)  # the other leg is gone by now
    assert stop.state is OrderState.OPEN, "which the book has, for another life"
    due_ns = deadline_ns(trade)
    assert due_ns == MORNING + (20 + EXIT_REPRICE_SECONDS) * SECOND
    step = TradeStep()
    decisions.deadline(due_ns)(trade, step)
    assert (step.requests, trade.exit_reason) == ([Cancel(stop.order_id, due_ns)], "gtt_not_filled")
    half = report(trade, stop, "OPEN", filled=75, price=trade.target_paise, after=23)
    assert half.requests == []
    report(trade, stop, "CANCELLED", filled=75, price=trade.target_paise, after=23)
    [leaving] = trade.all_live(OrderRole.EXIT)
    assert leaving.quantity == 125


@SIDES
def test_it_protects_until_a_leg_is_reached_or_it_is_gone(side):
    trade, stop = held(side)
    assert not is_unprotected(trade)
    report(trade, stop, "OPEN", after=20)
    assert is_unprotected(trade), "at the target's limit, and its stop is gone"
    trade, stop = held(side)
    decisions.exit_at(reason="flatten", at_ns=MORNING + 20 * SECOND)(trade, TradeStep())
    assert not is_unprotected(trade), "until the broker says that it is deleted"
    report(trade, stop, "CANCELLED", after=21)
    assert is_unprotected(trade)


@SIDES
def test_it_grows_with_the_position_and_a_refusal_leaves_the_position(side):
    trade = entering(side)
    report(trade, trade.entry_order(), "OPEN", filled=75)
    [stop] = trade.all_live(OrderRole.STOP)
    lifecycle.on_outcome(trade, stop, TradeStep(), Outcome(Result.ACCEPTED, "t1"), at_ns=MORNING + SECOND)
    step = report(trade, trade.entry_order(), "FILLED", filled=200, after=2)
    [grown] = [one for one in step.requests if isinstance(one, Modify)]
    change = decisions.change_of(trade, stop, grown)
    assert change.asked is not None
    assert (change.quantity, change.asked.quantity, change.asked.target_paise) == (200, 200, trade.target_paise)
    decisions.modified(grown, Outcome(Result.REFUSED, reason="it has fired"))(trade, TradeStep())
    assert trade.exit_reason == "stop_not_moved"


@SIDES
def test_its_stop_trails_with_the_limit_that_belongs_to_it(side):
    trade, stop = held(side)
    trade.trailing = Trailing(distance_paise=100, step_pct=25)
    before_paise, limit_paise = stop.trigger_paise, stop.price_paise
    note_extremes(trade, ticks(10_000 + side.sign * 80), 0, 1)
    step = TradeStep()
    decisions.trail(market_paise=10_000 + side.sign * 80, at_ns=MORNING + 12 * SECOND)(trade, step)
    [moved] = step.requests
    assert isinstance(moved, Modify)
    change = decisions.change_of(trade, stop, moved)
    assert side.sign * (change.trigger_paise - before_paise) > 0
    assert side.sign * (change.price_paise - limit_paise) > 0
    assert change.asked.trigger_paise == change.trigger_paise


class PaperDesk:
    """A trade of 200 in front of the paper market, without partial fills."""

    def __init__(self, side: Side) -> None:
        self.exchange, step = PaperExchange(), TradeStep()
        self.trade = open_trade(approval(side), step, contract=contract("FUTURE", lot_size=25), owner="o")
        self.trade.protection = ProtectionKind.GTT
        self._send(step)

    def plays(self, *prices: int) -> None:
        """A tick a second, and what is due by then."""
        for at_ns, price in zip(MORNING + (10 + np.arange(len(prices))) * SECOND, prices, strict=True):
            one, at = np.array([price], np.int64), np.array([at_ns], np.int64)
            while (told := self.exchange.on_tick(1, InstrumentTicks(at, one, one - 5, one + 5), 0)) is not None:
                self._decide(decisions.reported(told, unknown=LookupError(told.tag)))
            while (told := self.exchange.advance(int(at_ns))) is not None:
                self._decide(decisions.reported(told, unknown=LookupError(told.tag)))
            due_ns = deadline_ns(self.trade)
            if due_ns is not None and due_ns <= at_ns:
                self._decide(decisions.deadline(int(at_ns)))

    def _decide(self, decide: decisions.Decide) -> None:
        step = TradeStep()
        decide(self.trade, step)
        self._send(step)

    def _send(self, step: TradeStep) -> None:
        for request in step.requests:
            order = self.trade.order(request.order_id)
            if isinstance(request, Place):
                outcome = self.exchange.place(decisions.order_request(self.trade, order), paper_filling(0.0))
            elif isinstance(request, Cancel):
                outcome = self.exchange.cancel("s", order.broker_order_id or "", at_ns=request.at_ns)
            else:
                change = decisions.change_of(self.trade, order, request)
                outcome = self.exchange.modify("s", order.broker_order_id or "", change)
            self._decide(decisions.answered(order, request, outcome))


@SIDES
def test_on_paper_each_leg_closes_the_trade_without_an_order_of_ours(side):
    for reached, reason in ((approval(side).target_paise, "target"), (approval(side).stop_paise, "stop")):
        desk = PaperDesk(side)
        beyond = reached + side.sign * (10 if reason == "target" else -10)
        desk.plays(10_000, 10_000, reached, beyond)
        assert (desk.trade.state, desk.trade.exit_reason) == (TradeState.CLOSED, reason)
        assert [order.role for order in desk.trade.orders] == [OrderRole.ENTRY, OrderRole.STOP]


@SIDES
def test_on_paper_a_target_that_was_only_touched_is_left_as_well(side):
    desk = PaperDesk(side)
    desk.plays(10_000, 10_000, desk.trade.target_paise, *[10_000] * 30)
    assert (desk.trade.state, desk.trade.exit_reason) == (TradeState.CLOSED, "gtt_not_filled")
    assert [order.state for order in desk.trade.orders[1:]] == [OrderState.CANCELLED, OrderState.FILLED]


GTT = spec().model_copy(update={"protection": ProtectionKind.GTT})


async def test_an_exit_follows_the_deletion_at_once_though_no_stream_tells_of_it(around) -> None:
    broker, entry = FakeBroker(), approved(1)
    async with BrokerLife(around, broker, reconcile_seconds=60) as life:
        await life.started(GTT)
        stop = await opened(life, broker, entry)
        assert stop.order_type is OrderType.GTT
        await life.send(exit_of(entry, at_ns=TEN + 2 * SECOND))
        leaving = await life.order("EXIT", "OPEN", of=entry)
        assert (await life.order("STOP", "CANCELLED", of=entry)).order_id == stop.order_id
        assert leaving.broker_order_id is not None
        broker.tell(broker.book.fill(leaving.broker_order_id, PRICE, at_ns=TEN + 3 * SECOND))
        await life.trade(pos_id=entry.pos_id, state=TradeState.CLOSED)
    assert [one.role for one in broker.book.requests] == [OrderRole.ENTRY, OrderRole.STOP, OrderRole.EXIT]


async def test_a_broker_without_such_triggers_serves_no_session_that_asks_for_them(around) -> None:
    dhan = FakeBroker("dhan")
    async with BrokerLife(around, dhan) as life:
        wanted = spec(broker="dhan", credential="dhan").model_copy(update={"protection": ProtectionKind.GTT})
        await life.start(wanted)
        assert "protection" in await life.refusal(wanted.session_id)
    assert OrderState.TRIGGER_PENDING not in [one.state for one in await life.orders()]
