"""A trade's invariants against a broker that answers in every way it may."""

from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.contracts import contract

from tradebus.contracts.orders import BrokerRequest, OrderRole, OrderType, Transaction
from tradebus.contracts.sessions import PaperSettings
from tradebus.contracts.signals import Side
from tradebus.execution import deadlines, lifecycle
from tradebus.execution.decisions import order_request
from tradebus.execution.leaving import exits
from tradebus.execution.opening import guard_price_paise, open_trade, refuse_trade
from tradebus.execution.step import Cancel, Modify, Place, TradeStep
from tradebus.execution.trade import Trade
from tradebus.runtime.rendering import message_of
from tradebus.trading.facts import EntryApproved
from tradebus.trading.matching.paper import (
    PaperOrder,
    TickQuote,
    accept,
    catch_up,
    match,
    refusal,
    report,
    request_cancel,
    request_change,
)
from tradebus.trading.orders import BrokerStatus, OrderModification, Outcome, Result
from tradebus.trading.states import TradeState

SECOND = 1_000_000_000
MORNING = 1_704_080_700 * SECOND  # 2024-01-01 09:15 in India
WHOLE = PaperSettings(seed=3, latency_ms=100, slippage_bps=0.0, partial_fill_probability=0.0)
PAPER = PaperSettings(seed=3, latency_ms=100, slippage_bps=1.0, partial_fill_probability=0.5)


def approval(side=Side.LONG, *, quantity=150, price=10_000, stop=9_900, target=10_100, slippage=0.5):
    return EntryApproved(
        event_id="e", ts_event_ns=MORNING, trace_id="t", session_id="s", user_id="u",
        pos_id="p", signal_id="g", strategy="orb", symbol="X", instrument=1, side=side, rule="all_passed",
        intent_id="i", quantity=quantity, lot_size=25, tick_size_paise=5, price_paise=price, stop_paise=stop,
        target_paise=target, valid_until_ns=MORNING + 60 * SECOND, max_slippage_pct=slippage, order_timeout_seconds=30,
    )  # fmt: skip


class Broker:
    """The paper matching rules with answers drawn by hypothesis."""

    def __init__(self, draw) -> None:
        self.draw, self.book = draw, dict[str, PaperOrder]()
        self.sold = self.bought = self.charges = 0

    def answer(self, trade: Trade, step: TradeStep) -> None:
        """Sends a step's requests, and those that their answers lead to."""
        requests = list(step.requests)
        while requests:
            request = requests.pop(0)
            order = trade.order(request.order_id)
            after = TradeStep()
            if isinstance(request, Place):
                lifecycle.on_outcome(trade, order, after, self.place(trade, order), at_ns=order.placed_ns)
            elif order.tag in self.book and not order.ended:
                paper = self.book[order.tag]
                final = paper.status.final
                outcome = Outcome(Result.REFUSED, reason="over") if final else Outcome(Result.ACCEPTED, "b")
                if isinstance(request, Cancel):
                    self.book[order.tag] = request_cancel(paper, at_ns=request.at_ns)
                    lifecycle.on_cancel_outcome(trade, order, after, outcome, at_ns=request.at_ns)
                elif isinstance(request, Modify):
                    change = OrderModification(order.quantity, order.price_paise, order.trigger_paise, request.at_ns)
                    self.book[order.tag] = paper if final else request_change(paper, change)
                    lifecycle.on_modify_outcome(trade, order, after, outcome, request)
            check(trade)
            requests += after.requests

    def place(self, trade, order) -> Outcome:
        choice = self.draw(st.sampled_from(["accept"] * 6 + ["refuse", "lose", "accept_and_lose"]))
        if choice == "refuse":
            return Outcome(Result.REFUSED, reason="margin")
        if choice in ("accept", "accept_and_lose"):
            self.book[order.tag] = accept(order_request(trade, order), PAPER)
        return Outcome(Result.ACCEPTED, "b-" + order.tag) if choice == "accept" else Outcome(Result.UNKNOWN, reason="?")

    def tick(self, trade: Trade, at_ns: int, price: int, *, repeat: bool) -> None:
        for order in list(trade.orders):
            paper = self.book.get(order.tag)
            if paper is None:
                if order.state == "UNKNOWN":
                    self.step(trade, lambda s, o=order: lifecycle.on_absent(trade, o, s, at_ns=at_ns))
                continue
            after = catch_up(match(paper, TickQuote(at_ns=at_ns, price_paise=price)), at_ns)
            self.book[order.tag] = after
            for fill in after.fills[len(paper.fills) :]:
                bought = order.transaction is Transaction.BUY
                self.bought += fill.quantity * bought
                self.sold += fill.quantity * (not bought)
            if after != paper or order.state == "UNKNOWN":
                for _ in range(1 + repeat):
                    self.step(trade, lambda s, o=order, a=after: lifecycle.on_report(trade, o, s, report(a)))

    def step(self, trade: Trade, decide) -> None:
        step = TradeStep()
        decide(step)
        check(trade)
        self.charges += sum(new.charges_paise for new in step.fills)
        self.answer(trade, step)


def check(trade: Trade) -> None:
    for role in OrderRole:
        assert sum(1 for order in trade.orders if order.role is role and not order.ended) <= 1
    exits = [order for order in trade.orders if order.role is OrderRole.EXIT and not order.ended]
    others = [order for order in trade.orders if order.role is not OrderRole.EXIT and not order.ended]
    assert not (exits and others), "an exit while something else can still fill"
    assert trade.open_quantity >= 0
    if trade.state is TradeState.POSITION_OPEN and trade.exit_reason is None:
        stop = trade.live(OrderRole.STOP)
        assert stop is not None
        assert stop.quantity - stop.filled_quantity == trade.open_quantity
    if trade.ended:
        assert trade.open_quantity == 0
        assert all(order.ended for order in trade.orders)


@settings(max_examples=300)
@given(
    st.data(),
    st.sampled_from(Side),
    st.lists(st.integers(-40, 40).map(lambda ticks: 10_000 + ticks * 5), min_size=5, max_size=60),
    st.integers(0, 60),
    st.booleans(),
    st.sampled_from(["FUTURE", "OPTION"]),
)
def test_whatever_the_broker_answers_the_trade_ends_flat_and_exact(data, side, path, exit_at, repeat, kind):
    stop, target = (9_900, 10_100) if side is Side.LONG else (10_100, 9_900)
    step = TradeStep()
    trade = open_trade(approval(side, stop=stop, target=target), step, contract=contract(kind), owner="o")
    broker = Broker(data.draw)
    broker.answer(trade, step)
    at_ns = MORNING
    # After the drawn path the price stays: whatever waits fills, or times out and is replaced.
    for number, price in enumerate([*path, *([path[-1]] * 400)]):
        at_ns += SECOND // 2
        if trade.ended:
            break
        due = deadlines.deadline_ns(trade)
        if due is not None and due <= at_ns:
            broker.step(trade, lambda s, now=at_ns: exits.on_deadline(trade, s, now_ns=now))
        broker.tick(trade, at_ns, price, repeat=repeat)
        if number == exit_at or number == len(path):
            broker.step(trade, lambda s, now=at_ns: exits.request_exit(trade, s, reason="x", at_ns=now))
    assert trade.ended, (trade.state, [(order.role, order.state) for order in trade.orders])
    assert broker.bought == broker.sold, "the broker holds something"
    if trade.state is TradeState.CLOSED:
        sent = [order for order in trade.orders if order.tag in broker.book]
        fills = [(order, fill) for order in sent for fill in broker.book[order.tag].fills]
        assert broker.charges > 0
        signs = {Transaction.SELL: 1, Transaction.BUY: -1}
        cash = sum(signs[order.transaction] * fill.quantity * fill.price_paise for order, fill in fills)
        assert trade.net_pnl_paise == cash - broker.charges


def test_a_stale_approval_becomes_a_cancelled_trade_that_never_left():
    step = TradeStep()
    trade = refuse_trade(approval(), step, contract=contract(), owner="o", reason="stale_approval")
    assert trade.state is TradeState.CANCELLED
    assert step.requests == []
    assert [fact.TYPE for fact in step.facts] == ["ORDER_CANCELLED"]


def test_an_entry_that_waits_too_long_is_timed_out_and_cancelled():
    step = TradeStep()
    trade = open_trade(approval(), step, contract=contract(), owner="o")
    lifecycle.on_outcome(trade, trade.entry_order(), step, Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    late = TradeStep()
    exits.on_deadline(trade, late, now_ns=MORNING + 31 * SECOND)
    assert [fact.TYPE for fact in late.facts] == ["ORDER_TIMEOUT"]
    assert isinstance(late.requests[0], Cancel)


def test_a_fill_beyond_the_slippage_limit_is_reported_and_exited():
    step = TradeStep()
    trade = open_trade(approval(), step, contract=contract(), owner="o")
    entry = trade.entry_order()
    paper = match(accept(order_request(trade, entry), PAPER), TickQuote(at_ns=MORNING + 2 * SECOND, price_paise=10_000))
    bad = paper.fills[0].__class__(paper.fills[0].fill_id, 150, 10_100, MORNING + 2 * SECOND)
    book = report(paper)
    worse = book.__class__(**{name: getattr(book, name) for name in book.__slots__} | {
        "fills": (bad,), "filled_quantity": 150, "status": BrokerStatus.FILLED})  # fmt: skip
    after = TradeStep()
    lifecycle.on_report(trade, entry, after, worse)
    types = [fact.TYPE for fact in after.facts]
    assert "ORDER_SLIPPAGE" in types
    assert trade.exit_reason == "slippage"
    assert trade.live(OrderRole.EXIT) is not None
    assert trade.live(OrderRole.STOP) is None


@given(st.sampled_from(Side), st.integers(201, 40_000).map(lambda ticks: ticks * 5))
def test_an_options_stop_is_one_that_the_exchange_takes(side, price):
    stop = price - 100 if side is Side.LONG else price + 100
    listed = contract("OPTION", lot_size=25)
    trade = open_trade(approval(side, price=price, stop=stop, target=None), TradeStep(), contract=listed, owner="o")
    entry, step = trade.entry_order(), TradeStep()
    paper = match(accept(order_request(trade, entry), WHOLE), TickQuote(at_ns=MORNING + 2 * SECOND, price_paise=price))
    lifecycle.on_report(trade, entry, step, report(paper))
    made = trade.live(OrderRole.STOP)
    assert made is not None
    assert (made.order_type, made.trigger_paise) == (OrderType.SL, stop)
    assert refusal(order_request(trade, made)) is None
    future = open_trade(approval(side, price=price, stop=stop), TradeStep(), contract=contract(lot_size=25), owner="o")
    lifecycle.on_report(future, future.entry_order(), TradeStep(), report(paper))
    plain = future.live(OrderRole.STOP)
    assert plain is not None
    assert (plain.order_type, plain.price_paise) == (OrderType.SL_M, None)


def test_the_guard_price_is_on_the_tick_and_within_the_limit():
    for side, stop in ((Side.LONG, 9_900), (Side.SHORT, 10_100)):
        trade = open_trade(approval(side, price=10_003, stop=stop), TradeStep(), contract=contract(), owner="o")
        guard = guard_price_paise(trade)
        assert guard % 5 == 0
        assert abs(guard - 10_003) * 100 / 10_003 <= 0.5


def test_what_a_dry_runs_order_would_have_sent_is_in_the_event_of_its_placement() -> None:
    trade, step = open_trade(approval(), TradeStep(), contract=contract(), owner="o"), TradeStep()
    entry = trade.entry_order()
    shown = BrokerRequest(broker="kite", method="POST", url="https://b/orders", body='{"quantity": 150}')
    lifecycle.on_outcome(
        trade, entry, step, Outcome(Result.ACCEPTED, "1", would_send=shown), at_ns=entry.placed_ns
    )  # fmt: skip
    assert [message_of(fact, source="execution", recorded_ns=1).would_send for fact in step.facts] == [shown]
