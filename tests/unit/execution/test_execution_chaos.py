"""A trade against a broker whose words are late, doubled, lost, contradictory — and whose book is the truth."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.trades import MORNING, SECOND, approval, paper_filling

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.contracts.sessions import PaperSettings
from tradebus.contracts.signals import Side
from tradebus.execution import deadlines, lifecycle
from tradebus.execution.decisions import order_request
from tradebus.execution.leaving import exits
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, Place, Request, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.matching.paper import (
    PaperOrder,
    TickQuote,
    accept,
    catch_up,
    match,
    report,
    request_cancel,
    request_change,
)
from tradebus.trading.orders import BrokerOrder, BrokerStatus, OrderModification, Outcome, Result
from tradebus.trading.states import OrderState, TradeState

PAPER = PaperSettings(seed=3, latency_ms=100, slippage_bps=1.0, partial_fill_probability=0.7)
WORDS = ("obeyed", "obeyed", "obeyed", "refused", "lost", "obeyed_and_lost")


class Chaos:
    """The broker's truth is `book`; `told` is every state of it that was ever reported or may still be."""

    def __init__(self, draw, side: Side) -> None:
        self.draw, self.book, self.told = draw, dict[str, PaperOrder](), list[BrokerOrder]()
        self.placed: list[str] = []
        self.late: list[tuple[int, Order]] = []  # left, unanswered, and arrives at the broker after so many ticks
        self.calm = False
        step = TradeStep()
        self.trade = open_trade(approval(side), step, contract=contract(), owner="o")
        self.send(step.requests)

    def word(self) -> str:
        return "obeyed" if self.calm else self.draw(st.sampled_from(WORDS))

    def change(self, decide) -> None:
        step = TradeStep()
        decide(self.trade, step)
        assert_sound(self.trade)
        self.send(step.requests)

    def send(self, requests: list[Request]) -> None:
        queue = list(requests)
        while queue:
            request = queue.pop(0)
            order, step = self.trade.order(request.order_id), TradeStep()
            if isinstance(request, Place):
                self.place(order, step)
            elif order.broker_order_id is not None and not order.ended and order.state is not OrderState.UNKNOWN:
                self.alter(order, request, step)
            assert_sound(self.trade)
            queue += step.requests

    def place(self, order: Order, step: TradeStep) -> None:
        word = self.word()
        if word.startswith("obeyed"):
            assert order.tag not in self.placed, "two broker orders for one intent"
            self.placed.append(order.tag)
            self.write(accept(order_request(self.trade, order), PAPER))
        elif word == "lost" and self.draw(st.booleans()):
            assert order.tag not in self.placed, "two broker orders for one intent"
            self.placed.append(order.tag)
            self.late.append((self.draw(st.integers(1, 60)), order))
        outcome = self.answer(word)
        lifecycle.on_outcome(self.trade, order, step, outcome, at_ns=order.placed_ns)

    def alter(self, order: Order, request: Request, step: TradeStep) -> None:
        paper, word = self.book[order.tag], self.word()
        if paper.status.final:
            word = "refused"
        if isinstance(request, Cancel):
            if word.startswith("obeyed"):
                self.write(request_cancel(paper, at_ns=request.at_ns))
            lifecycle.on_cancel_outcome(self.trade, order, step, self.answer(word), at_ns=request.at_ns)
        elif not isinstance(request, Place):
            if word.startswith("obeyed"):
                change = OrderModification(order.quantity, order.price_paise, order.trigger_paise, request.at_ns)
                self.write(request_change(paper, change))
            lifecycle.on_modify_outcome(self.trade, order, step, self.answer(word), request)

    def answer(self, word: str) -> Outcome:
        if word.endswith("lost"):
            return Outcome(Result.UNKNOWN, reason="?")
        return Outcome(Result.REFUSED, reason="no") if word == "refused" else Outcome(Result.ACCEPTED, "b")

    def write(self, paper: PaperOrder) -> None:
        self.book[paper.request.tag] = paper
        self.told.append(report(paper))

    def arrive(self, at_ns: int) -> None:
        """The broker acts, at last, on what it was asked long ago."""
        self.late = [(ticks - 1, order) for ticks, order in self.late]
        for ticks, order in [one for one in self.late if one[0] <= 0 or self.calm]:
            self.late.remove((ticks, order))
            self.write(accept(replace(order_request(self.trade, order), at_ns=at_ns), PAPER))

    def tick(self, at_ns: int, price: int) -> None:
        for tag, paper in list(self.book.items()):
            after = catch_up(match(paper, TickQuote(at_ns=at_ns, price_paise=price)), at_ns)
            if not self.calm and not after.status.final and self.draw(st.integers(0, 30)) == 0:
                status = self.draw(st.sampled_from([BrokerStatus.CANCELLED, BrokerStatus.REJECTED]))
                after = replace(after, status=status, as_of_ns=at_ns, reason="the exchange's own will")
            if after != paper:
                self.book[tag] = after
                if after.status != paper.status or after.fills != paper.fills or after.change != paper.change:
                    self.told.append(report(after))

    def hear(self, told: BrokerOrder) -> None:
        order = next(order for order in self.trade.orders if order.tag == told.tag)
        self.change(lambda trade, step: lifecycle.on_report(trade, order, step, told))

    def unprotected_seconds(self, at_ns: int) -> float:
        """How long something is held whose stop nobody has answered, with no way out being tried."""
        live = [order for order in self.trade.orders if not order.ended]
        waiting = [order for order in live if order.role is OrderRole.STOP and order.broker_order_id is None]
        if not self.trade.open_quantity or not waiting or len(live) > len(waiting):
            return 0.0
        return max(at_ns - order.placed_ns for order in waiting) / SECOND - 1  # a refused exit is tried a second later

    def give_up(self, at_ns: int) -> None:
        """What is done once a second about stops that stay unanswered."""
        for order in list(self.trade.orders):
            if at_ns - order.placed_ns >= deadlines.STOP_ANSWER_SECONDS * SECOND:
                self.change(lambda trade, step, o=order: exits.give_up_stop(trade, o, step, at_ns=at_ns))

    def look_up(self, at_ns: int) -> None:
        for order in list(self.trade.orders):
            if order.state is not OrderState.UNKNOWN:
                continue
            if order.tag in self.book:
                self.hear(report(self.book[order.tag]))
            elif all(order is not late for _, late in self.late):  # nobody says of those that they are absent
                self.change(lambda trade, step, o=order: lifecycle.on_absent(trade, o, step, at_ns=at_ns))


def assert_sound(trade: Trade) -> None:
    live = [order for order in trade.orders if not order.ended]
    assert sum(order.role is OrderRole.EXIT for order in live) <= 1
    for order in trade.orders:
        assert order.filled_quantity <= order.quantity
    if trade.ended:
        assert trade.open_quantity == 0


@settings(max_examples=400)
@given(
    st.data(),
    st.sampled_from(Side),
    st.lists(st.integers(-30, 30).map(lambda ticks: 10_000 + ticks * 5), min_size=5, max_size=40),
    st.integers(0, 40),
)
def test_late_doubled_and_contradictory_words_end_in_the_brokers_truth(data, side, path, exit_at):
    chaos = Chaos(data.draw, side)
    trade, at_ns = chaos.trade, MORNING
    for number, price in enumerate([*path, *([path[-1]] * 600)]):
        at_ns += SECOND // 2
        chaos.calm = number >= len(path)
        chaos.arrive(at_ns)
        chaos.change(lambda trade, step, now=at_ns: exits.on_deadline(trade, step, now_ns=now))
        chaos.give_up(at_ns)
        assert chaos.unprotected_seconds(at_ns) <= deadlines.STOP_ANSWER_SECONDS
        chaos.tick(at_ns, price)
        if chaos.calm:
            heard = [report(paper) for paper in chaos.book.values()]
        else:
            heard = [data.draw(st.sampled_from(chaos.told)) for _ in range(data.draw(st.integers(0, 3))) if chaos.told]
        for told in heard:
            chaos.hear(told)
        if chaos.calm or data.draw(st.booleans()):
            chaos.look_up(at_ns)
        if number in (exit_at, len(path)):
            chaos.change(lambda trade, step, now=at_ns: exits.request_exit(trade, step, reason="x", at_ns=now))
        if chaos.calm and trade.ended:
            break
    for paper in list(chaos.book.values()):  # and once more, after the end
        chaos.hear(report(paper))
    assert trade.ended, (trade.state, [(order.role, order.state) for order in trade.orders])
    fills = [(paper.request.transaction, fill) for paper in chaos.book.values() for fill in paper.fills]
    signs = {Transaction.SELL: 1, Transaction.BUY: -1}
    assert sum(signs[way] * fill.quantity for way, fill in fills) == 0, "the broker holds something"
    assert {fill.fill_id for _, fill in fills} == trade.fill_ids
    if trade.state is TradeState.CLOSED:
        cash = sum(signs[way] * fill.quantity * fill.price_paise for way, fill in fills)
        assert trade.net_pnl_paise == cash - trade.charges_paise


def placed_trade() -> Trade:
    step = TradeStep()
    trade = open_trade(approval(Side.LONG), step, contract=contract(), owner="o")
    lifecycle.on_outcome(trade, trade.entry_order(), step, Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    return trade


def test_an_accepted_order_that_the_broker_no_longer_knows_has_ended():
    trade = placed_trade()
    lifecycle.on_absent(trade, trade.entry_order(), TradeStep(), at_ns=MORNING + SECOND)
    assert trade.entry_order().state is OrderState.CANCELLED
    assert trade.state is TradeState.CANCELLED


def test_a_refused_order_that_the_stream_calls_cancelled_stays_refused():
    step = TradeStep()
    trade = open_trade(approval(Side.LONG), step, contract=contract(), owner="o")
    paper = accept(order_request(trade, trade.entry_order()), PAPER)
    lifecycle.on_outcome(trade, trade.entry_order(), step, Outcome(Result.REFUSED, reason="no"), at_ns=MORNING)
    gone = report(replace(paper, status=BrokerStatus.CANCELLED))
    lifecycle.on_report(trade, trade.entry_order(), TradeStep(), gone)
    assert trade.state is TradeState.REJECTED


def test_a_stop_that_filled_in_part_and_then_rests_is_cancelled_and_the_rest_sold():
    """Its trigger was hit, its limit (market protection) was not met again: nobody else would close the rest."""
    trade = placed_trade()
    entry = trade.entry_order()
    whole = accept(order_request(trade, entry), paper_filling(0.0))
    paper = match(whole, TickQuote(at_ns=MORNING + SECOND, price_paise=10_000))
    step = TradeStep()
    lifecycle.on_report(trade, entry, step, report(paper))
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    lifecycle.on_outcome(trade, stop, step, Outcome(Result.ACCEPTED, "b2"), at_ns=MORNING + SECOND)
    resting = accept(order_request(trade, stop), paper_filling(1.0))
    hit = match(resting, TickQuote(at_ns=MORNING + 3 * SECOND, price_paise=9_900))
    assert hit.status is BrokerStatus.OPEN
    lifecycle.on_report(trade, stop, step, report(hit))
    due = deadlines.deadline_ns(trade)
    assert due == MORNING + (3 + deadlines.EXIT_REPLACE_SECONDS) * SECOND
    late = TradeStep()
    exits.on_deadline(trade, late, now_ns=due)
    assert [type(request) for request in late.requests] == [Cancel]
    assert stop.state is OrderState.CANCEL_PENDING


def test_an_entry_still_filling_when_its_stop_is_hit_is_cancelled():
    trade = placed_trade()
    entry, step = trade.entry_order(), TradeStep()
    half = match(accept(order_request(trade, entry), paper_filling(1.0)), TickQuote(MORNING + SECOND, 10_000))
    lifecycle.on_report(trade, entry, step, report(half))
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    lifecycle.on_outcome(trade, stop, step, Outcome(Result.ACCEPTED, "b2"), at_ns=MORNING + SECOND)
    hit = match(accept(order_request(trade, stop), paper_filling(1.0)), TickQuote(MORNING + 3 * SECOND, 9_900))
    after = TradeStep()
    lifecycle.on_report(trade, stop, after, report(hit))
    assert [(type(request), request.order_id) for request in after.requests] == [(Cancel, entry.order_id)]


def test_the_stop_stays_until_the_entry_can_fill_no_more():
    """A cancellation whose answer is lost may hold the exit up for as long as the broker is silent."""
    trade = placed_trade()
    entry, step = trade.entry_order(), TradeStep()
    half = match(accept(order_request(trade, entry), paper_filling(1.0)), TickQuote(MORNING + SECOND, 10_000))
    lifecycle.on_report(trade, entry, step, report(half))
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    lifecycle.on_outcome(trade, stop, step, Outcome(Result.ACCEPTED, "b2"), at_ns=MORNING + SECOND)
    out = TradeStep()
    exits.request_exit(trade, out, reason="flatten", at_ns=MORNING + 2 * SECOND)
    lost = Outcome(Result.UNKNOWN, reason="no answer")
    lifecycle.on_cancel_outcome(trade, entry, out, lost, at_ns=MORNING + 2 * SECOND)
    assert [(type(request), request.order_id) for request in out.requests] == [(Cancel, entry.order_id)]
    assert (entry.state, stop.state) == (OrderState.UNKNOWN, OrderState.TRIGGER_PENDING)
    gone, then = replace(report(half), status=BrokerStatus.CANCELLED), TradeStep()
    lifecycle.on_report(trade, entry, then, gone)
    assert [(type(request), request.order_id) for request in then.requests] == [(Cancel, stop.order_id)]
