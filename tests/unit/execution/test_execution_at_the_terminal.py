"""Orders that somebody changes at the broker's own terminal, and reports that no table knows: facts, all of them."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.contracts import contract

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.leaving import exits
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, Modify, Place, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.facts import EntryApproved
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result
from tradebus.trading.states import OrderState, TradeState

SECOND = 1_000_000_000
MORNING = 1_704_080_700 * SECOND
LOT = 65


def opened() -> Trade:
    approval = EntryApproved(
        event_id="e", ts_event_ns=MORNING, trace_id="t", session_id="s", user_id="u", pos_id="p", signal_id="g",
        strategy="orb", symbol="X", instrument=1, side=Side.LONG, rule="all_passed", intent_id="i", quantity=LOT,
        lot_size=LOT, tick_size_paise=5, price_paise=10_000, stop_paise=9_900, target_paise=None,
        valid_until_ns=MORNING + 60 * SECOND, max_slippage_pct=0.5, order_timeout_seconds=30,
    )  # fmt: skip
    trade = open_trade(approval, TradeStep(), contract=contract(), owner="me")
    accept(trade, trade.entry_order())
    return trade


def accept(trade: Trade, order: Order) -> TradeStep:
    step = TradeStep()
    lifecycle.on_outcome(trade, order, step, Outcome(Result.ACCEPTED, f"b-{order.tag}"), at_ns=MORNING)
    return step


def told(order: Order, status: BrokerStatus, *, filled: int = 0, quantity: int = LOT) -> BrokerOrder:
    """The broker's line: fills in lots, at the signal's price."""
    fills = tuple(
        BrokerFill(f"{order.tag}-{number}", LOT, 10_000, MORNING + (number + 1) * SECOND)
        for number in range(filled // LOT)
    )
    return BrokerOrder(
        order.broker_order_id or "b", order.tag, "s", 1, order.transaction, status, quantity, filled, None, fills,
        MORNING + 9 * SECOND,
    )  # fmt: skip


def hear(trade: Trade, report: BrokerOrder) -> TradeStep:
    step = TradeStep()
    order = next(order for order in trade.orders if order.tag == report.tag)
    lifecycle.on_report(trade, order, step, report)
    return step


def held() -> tuple[Trade, Order]:
    """A trade that holds one lot behind its stop."""
    trade = opened()
    hear(trade, told(trade.entry_order(), BrokerStatus.FILLED, filled=LOT))
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    accept(trade, stop)
    return trade, stop


def test_an_entry_that_was_raised_is_held_whole_and_covered_whole():
    trade = opened()
    entry = trade.entry_order()
    first = hear(trade, told(entry, BrokerStatus.OPEN, filled=LOT, quantity=2 * LOT))
    assert [(type(request), trade.order(request.order_id).quantity) for request in first.requests] == [(Place, LOT)]
    assert [(note.ours, note.brokers) for note in first.notices] == [("65", "130")]
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    accept(trade, stop)
    second = hear(trade, told(entry, BrokerStatus.FILLED, filled=2 * LOT, quantity=2 * LOT))
    assert (trade.open_quantity, trade.state, entry.state) == (130, TradeState.POSITION_OPEN, OrderState.FILLED)
    assert [(type(request), stop.quantity) for request in second.requests] == [(Modify, 130)]


def test_a_stop_that_was_raised_and_hit_is_cancelled_and_what_it_sold_too_much_bought_back():
    trade, stop = held()
    first = hear(trade, told(stop, BrokerStatus.OPEN, filled=LOT, quantity=3 * LOT))
    assert [type(request) for request in first.requests] == [Cancel], "flat: its rest must not fill"
    assert first.notices
    second = hear(trade, told(stop, BrokerStatus.CANCELLED, filled=2 * LOT, quantity=3 * LOT))
    assert trade.open_quantity == -LOT
    [place] = second.requests
    back = trade.order(place.order_id)
    assert (back.role, back.transaction, back.quantity) == (OrderRole.EXIT, Transaction.BUY, LOT)
    accept(trade, back)
    hear(trade, told(back, BrokerStatus.FILLED, filled=LOT))
    assert (trade.open_quantity, trade.state) == (0, TradeState.CLOSED)


def test_an_order_raised_after_it_was_taken_for_whole_lives_again():
    trade, stop = held()
    hear(trade, told(stop, BrokerStatus.FILLED, filled=LOT))
    assert trade.state is TradeState.CLOSED
    step = hear(trade, told(stop, BrokerStatus.OPEN, filled=LOT, quantity=2 * LOT))
    assert [type(request) for request in step.requests] == [Cancel]
    end = hear(trade, told(stop, BrokerStatus.CANCELLED, filled=LOT, quantity=2 * LOT))
    assert trade.state is TradeState.CLOSED
    assert "POSITION_CLOSED" not in [fact.TYPE for fact in end.facts], "nothing came of it"


def test_a_trade_that_fills_after_its_close_is_closed_again_and_told_again():
    trade, stop = held()
    first = hear(trade, told(stop, BrokerStatus.FILLED, filled=LOT))
    hear(trade, told(stop, BrokerStatus.FILLED, filled=2 * LOT, quantity=2 * LOT))
    back = trade.live(OrderRole.EXIT)
    assert back is not None
    accept(trade, back)
    second = hear(trade, told(back, BrokerStatus.FILLED, filled=LOT))
    closes = [fact for step in (first, second) for fact in step.facts if fact.TYPE == "POSITION_CLOSED"]
    assert len({fact.event_id for fact in closes}) == len(closes) == 2
    assert closes[-1].net_pnl_paise == trade.net_pnl_paise


def test_an_exit_that_was_lowered_is_followed_by_one_for_the_rest():
    trade = opened()
    entry = trade.entry_order()
    hear(trade, told(entry, BrokerStatus.FILLED, filled=2 * LOT, quantity=2 * LOT))
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    accept(trade, stop)
    exits.request_exit(trade, TradeStep(), reason="flatten", at_ns=MORNING)
    hear(trade, told(stop, BrokerStatus.CANCELLED, quantity=2 * LOT))
    leaving = trade.live(OrderRole.EXIT)
    assert leaving is not None
    accept(trade, leaving)
    lowered = hear(trade, told(leaving, BrokerStatus.OPEN, quantity=LOT))
    assert [(note.ours, note.brokers) for note in lowered.notices] == [("130", "65")]
    hear(trade, told(leaving, BrokerStatus.FILLED, filled=LOT))
    rest = trade.live(OrderRole.EXIT)
    assert rest is not None
    assert (rest.sequence, rest.quantity) == (2, LOT)


def test_a_stop_that_was_lowered_and_hit_leaves_a_rest_that_is_sold():
    trade = opened()
    hear(trade, told(trade.entry_order(), BrokerStatus.FILLED, filled=2 * LOT, quantity=2 * LOT))
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    accept(trade, stop)
    hear(trade, told(stop, BrokerStatus.FILLED, filled=LOT))
    rest = trade.live(OrderRole.EXIT)
    assert rest is not None
    assert rest.quantity == trade.open_quantity == LOT


def test_the_same_words_again_and_older_ones_change_nothing():
    trade = opened()
    entry = trade.entry_order()
    words = [
        told(entry, BrokerStatus.OPEN),
        told(entry, BrokerStatus.OPEN, filled=LOT, quantity=2 * LOT),
        told(entry, BrokerStatus.FILLED, filled=2 * LOT, quantity=2 * LOT),
    ]
    for word in words:
        hear(trade, word)
    before = replace(entry)
    for word in words:
        step = hear(trade, word)
        assert (entry, step.requests, step.notices) == (before, [], [])


def test_a_look_up_of_an_order_that_has_ended_meanwhile_changes_nothing():
    trade = opened()
    hear(trade, told(trade.entry_order(), BrokerStatus.FILLED, filled=LOT))
    step = TradeStep()
    lifecycle.on_absent(trade, trade.entry_order(), step, at_ns=MORNING)
    assert (trade.entry_order().state, step.history) == (OrderState.FILLED, [])


@pytest.mark.parametrize("state", list(OrderState))
@pytest.mark.parametrize("result", list(Result))
def test_no_answer_to_a_request_raises_whatever_the_order_has_become(state, result):
    trade, stop = held()
    outcome, answer = Outcome(result, "b", "?"), Modify(stop.order_id, MORNING, LOT, 9_900)
    for decide in (
        lambda step: lifecycle.on_outcome(trade, stop, step, outcome, at_ns=MORNING),
        lambda step: lifecycle.on_cancel_outcome(trade, stop, step, outcome, at_ns=MORNING),
        lambda step: lifecycle.on_modify_outcome(trade, stop, step, outcome, answer),
    ):
        stop.state = state
        decide(TradeStep())


class Terminal:
    """A broker whose orders a person changes at will; what filled is the truth."""

    def __init__(self) -> None:
        self.trade = opened()
        self.lines: dict[str, BrokerOrder] = {}
        self.told: list[BrokerOrder] = []
        self._write(self.trade.entry_order(), told(self.trade.entry_order(), BrokerStatus.OPEN))

    def _write(self, order: Order, line: BrokerOrder) -> None:
        self.lines[order.tag] = line
        self.told.append(line)

    def hear(self, report: BrokerOrder) -> None:
        self.obey(hear(self.trade, report))

    def obey(self, step: TradeStep) -> None:
        queue = list(step.requests)
        while queue:
            request = queue.pop(0)
            order, after = self.trade.order(request.order_id), TradeStep()
            line = self.lines.get(order.tag)
            if isinstance(request, Place):
                if line is None:
                    status = BrokerStatus.TRIGGER_PENDING if order.role is OrderRole.STOP else BrokerStatus.OPEN
                    self._write(order, told(order, status, quantity=order.quantity))
                    lifecycle.on_outcome(self.trade, order, after, Outcome(Result.ACCEPTED, order.tag), at_ns=MORNING)
            elif line is not None:
                result = Result.REFUSED if line.status.final else Result.ACCEPTED
                if isinstance(request, Cancel):
                    if not line.status.final:
                        self._write(order, replace(line, status=BrokerStatus.CANCELLED))
                    lifecycle.on_cancel_outcome(self.trade, order, after, Outcome(result, "b"), at_ns=MORNING)
                else:
                    if not line.status.final:
                        self._write(order, replace(line, quantity=max(order.quantity, line.filled_quantity)))
                    lifecycle.on_modify_outcome(self.trade, order, after, Outcome(result, "b"), request)
            queue += after.requests

    def change(self, order: Order, quantity: int, filled: int, status: BrokerStatus) -> None:
        """Somebody changes the line and it fills on: never below what it has filled."""
        line = self.lines.get(order.tag)
        if line is None or line.status.final:
            return
        filled = max(line.filled_quantity, min(filled, quantity) // LOT * LOT)
        quantity = max(quantity, filled, LOT)
        if status is BrokerStatus.FILLED:
            filled = quantity
        elif filled == quantity and not status.final:
            status = BrokerStatus.FILLED
        self._write(order, told(order, status, filled=filled, quantity=quantity))

    @property
    def net(self) -> int:
        signs = {Transaction.BUY: 1, Transaction.SELL: -1}
        return sum(signs[line.transaction] * line.filled_quantity for line in self.lines.values())


changes = st.tuples(
    st.integers(0, 5), st.integers(1, 4).map(lambda lots: lots * LOT), st.integers(0, 4).map(lambda lots: lots * LOT),
    st.sampled_from(BrokerStatus), st.lists(st.integers(0, 30), max_size=3),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(changes, max_size=15))
def test_whatever_is_done_at_the_terminal_the_ledger_holds_what_the_broker_holds(script):
    broker = Terminal()
    trade = broker.trade
    for which, quantity, filled, status, heard in script:
        broker.change(trade.orders[which % len(trade.orders)], quantity, filled, status)
        for number in heard:  # late, doubled, out of order
            broker.hear(broker.told[number % len(broker.told)])
    at_ns = MORNING
    for _ in range(60):  # and then it is left alone: everything is heard, what waits is filled
        at_ns += 20 * SECOND
        for order in list(trade.orders):
            line = broker.lines.get(order.tag)
            if line is not None and not line.status.final and order.role is OrderRole.EXIT:
                broker.change(order, line.quantity, line.quantity, BrokerStatus.FILLED)
        for line in list(broker.lines.values()):
            broker.hear(line)
        step = TradeStep()
        exits.on_deadline(trade, step, now_ns=at_ns)
        broker.obey(step)
    assert trade.open_quantity == broker.net
    if trade.ended:
        assert broker.net == 0
        assert all(line.status.final or not line.filled_quantity for line in broker.lines.values())
    elif trade.exit_reason is None and broker.net > 0:
        stop = trade.live(OrderRole.STOP)
        assert stop is not None
        assert stop.quantity - stop.filled_quantity == broker.net
