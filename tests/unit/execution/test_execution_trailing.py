"""A trailing stop never loosens, at the broker as in the book, whatever ticks, fills and answers come."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.trades import SECOND, approval

from tradebus.calendar import protection_band
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.sessions import Trailing
from tradebus.contracts.signals import Side
from tradebus.execution import decisions, lifecycle
from tradebus.execution.decisions import Decide
from tradebus.execution.governor.ratio import CHANGES_KEPT, CHANGES_MAX
from tradebus.execution.opening import open_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import Cancel, Modify, Place, Request, TradeStep
from tradebus.execution.stops.tightening import LOST_SECONDS
from tradebus.execution.supervision import Supervision, TradeDecision, TrailStop
from tradebus.execution.trade import Order
from tradebus.kernel.time import ist_date
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, OrderModification, Outcome, Result
from tradebus.trading.states import OrderState

START = 1_795_667_400 * SECOND  # 2026-11-26 10:00 in India
HALF_R = Trailing(distance_r=1.0, step_pct=50)
ACCEPTED, REFUSED, LOST = Outcome(Result.ACCEPTED, "b"), Outcome(Result.REFUSED, reason="no"), Outcome(Result.UNKNOWN)
ANSWERS = ("made", "made", "slow", "refused", "made and lost", "lost", "late")
LATE = (3, 20, LOST_SECONDS - 10)  # so many seconds after its answer was given up a request still arrives


@dataclass
class Line:
    """A stop as the broker has it, with all triggers it ever had, and changes that are on their way to it."""

    order: Order
    quantity: int
    triggers: list[int]
    limit: int | None
    asked: int = 0
    late: list[tuple[int, OrderModification]] = field(default_factory=list)

    def make(self, change: OrderModification) -> None:
        self.quantity = change.quantity
        if change.trigger_paise is not None and change.trigger_paise != self.triggers[-1]:
            self.triggers.append(change.trigger_paise)
        self.limit = change.price_paise


class Desk:
    """One trade at a broker that answers each change of its stop as it likes."""

    def __init__(self, side: Side, trailing: Trailing, *, kind: str = "FUTURE", answers: Any = lambda: "made") -> None:
        step = TradeStep()
        self.trade = open_trade(approval(side), step, contract=contract(kind), owner="me", at_ns=START)
        self.trade.trailing, self.trade.target_paise, self.trade.at_broker = trailing, None, True
        self.answers, self.lines, self.said = answers, dict[str, Line](), list[Any]()
        self.roster = Roster("me")
        self.roster.remember(self.trade)
        self.watch = Supervision(self.roster, None)
        self.now_ns, self.entered = START, 0
        self.waiting = deque[Request]()  # as an account's sender has them: one at a time is under way
        self.under_way: Request | None = None
        self.send(step.requests)

    def decide(self, decide: Decide) -> None:
        before, step = self.trade.stop_paise, TradeStep()
        decide(self.trade, step)
        if any(one.event == "TRAILED" for one in step.history):
            assert self.trade.side.sign * (self.trade.stop_paise - before) > 0
        self.said += step.facts
        self.roster.remember(self.trade)
        self.send(step.requests)

    def send(self, requests: list[Request]) -> None:
        self.waiting.extend(requests)
        while self.waiting and self.under_way is None:
            request = self.waiting.popleft()
            if decisions.is_due(self.trade, request):
                order = self.trade.order(request.order_id)
                outcome = self.answer(order, request)
                if outcome is None:
                    self.under_way = request
                else:
                    self.decide(decisions.answered(order, request, outcome))

    def answered(self) -> None:
        """The answer to what was slow comes: it was made when it was sent."""
        request, self.under_way = self.under_way, None
        if request is not None:
            self.decide(decisions.answered(self.trade.order(request.order_id), request, ACCEPTED))
        self.send([])

    def answer(self, order: Order, request: Request) -> Outcome | None:
        if isinstance(request, Place):
            if order.role is OrderRole.STOP:
                assert order.trigger_paise is not None
                self.lines[order.tag] = Line(order, order.quantity, [order.trigger_paise], order.price_paise)
            return replace(ACCEPTED, broker_order_id=order.tag)
        if isinstance(request, Cancel):
            return ACCEPTED
        line, change = self.lines[order.tag], decisions.change_of(self.trade, order, request)
        line.asked += 1
        word = self.answers() if request.trails else "made"
        if word.startswith("made") or word == "slow":
            line.make(change)
        if word == "late":
            line.late.append((self.now_ns + LATE[line.asked % 3] * SECOND, change))
        return {"made": ACCEPTED, "refused": REFUSED, "slow": None}.get(word, LOST)

    def enter(self, quantity: int, price: int) -> None:
        entry = self.trade.entry_order()
        if entry.ended or self.trade.exit_reason is not None:
            return
        self.entered = min(entry.quantity, self.entered + quantity)
        known = sum(1 for _ in self.trade.fill_ids)
        fill = BrokerFill(f"f{known}", self.entered - entry.filled_quantity, price, self.now_ns)
        status = BrokerStatus.FILLED if self.entered == entry.quantity else BrokerStatus.OPEN
        self.hear(entry, BrokerOrder(
            entry.tag, entry.tag, "s", 1, entry.transaction, status, entry.quantity, self.entered, None, (fill,),
            self.now_ns,
        ))  # fmt: skip

    def hear(self, order: Order, report: BrokerOrder) -> None:
        self.decide(lambda trade, step: lifecycle.on_report(trade, order, step, report))

    def look_up(self) -> None:
        """What the broker's book says of the stops, as a look-up or reconciliation hears it."""
        for line in list(self.lines.values()):
            if not line.order.ended:
                self.hear(line.order, self.shown(line))

    def shown(self, line: Line) -> BrokerOrder:
        return BrokerOrder(
            line.order.tag, line.order.tag, "s", 1, line.order.transaction, BrokerStatus.TRIGGER_PENDING, line.quantity,
            0, line.triggers[-1], (), self.now_ns,
        )  # fmt: skip

    def realign(self) -> None:
        for line in list(self.lines.values()):
            ours = line.order.quantity, line.order.trigger_paise
            if not line.order.ended and ours != (line.quantity, line.triggers[-1]):
                again = decisions.realign(
                    line.order.order_id, self.now_ns, quantity=line.quantity, trigger_paise=line.triggers[-1]
                )
                self.decide(again)

    def tick(self, *prices: int, seconds: float = 2.0) -> None:
        """The market, a tick each `seconds`; a stop that the broker has is hit where it is."""
        for price in prices:
            self.now_ns += int(seconds * SECOND)
            for line in self.lines.values():
                for due in [one for one in line.late if one[0] <= self.now_ns]:
                    line.late.remove(due)
                    if not line.order.ended:
                        line.make(due[1])
            if self.is_hit(price):
                return
            for action in self.watch.apply(one_tick(self.now_ns, price), end_ns=self.now_ns + 1):
                if isinstance(action, TradeDecision | TrailStop):
                    self.decide(action.decide)

    def is_hit(self, price: int) -> bool:
        """The trade is over: what the broker has of a stop that was reached has filled."""
        sign = self.trade.side.sign
        hit = [one for one in self.lines.values() if sign * (price - one.triggers[-1]) <= 0]
        return bool(hit)


def one_tick(at_ns: int, price: int) -> Records:
    rows = np.zeros(1, TICK)
    rows["ts_event_ns"], rows["price_paise"], rows["instrument"] = at_ns, price, 1
    return rows


def held(side: Side = Side.LONG, trailing: Trailing = HALF_R, **given: Any) -> Desk:
    """Two hundred, from 100.00, behind a stop a rupee away."""
    desk = Desk(side, trailing, **given)
    desk.now_ns += SECOND
    desk.enter(200, 10_000)
    return desk


def up(desk: Desk, *gains: int) -> list[int]:
    """Prices so many paise better than the entry."""
    return [10_000 + desk.trade.side.sign * gain for gain in gains]


def triggers(desk: Desk) -> list[int]:
    """How far from the entry the broker has had the stop, in paise of profit."""
    [line] = desk.lines.values()
    return [desk.trade.side.sign * (trigger - 10_000) for trigger in line.triggers]


both = pytest.mark.parametrize("side", list(Side))


@both
def test_a_stop_follows_the_market_by_steps_and_never_back(side: Side) -> None:
    desk = held(side)
    desk.tick(*up(desk, 20, 49, 50, 80, 60, 110, 40, 159, 170, 90))
    assert triggers(desk) == [-100, -50, 10, 70]
    moved = [fact for fact in desk.said if fact.TYPE == "STOP_MOVED"]
    assert [side.sign * (one.trigger_paise - one.previous_trigger_paise) for one in moved] == [50, 60, 60]


@both
def test_a_refused_move_leaves_the_stop_and_the_position_where_they_are_and_is_tried_again(side: Side) -> None:
    answers = iter(["refused", "made"])
    desk = held(side, answers=lambda: next(answers))
    desk.tick(*up(desk, 60))
    assert (triggers(desk), desk.trade.exit_reason) == ([-100], None)
    assert side.sign * (desk.trade.stop_paise - 10_000) == -100
    desk.tick(*up(desk, 60, 60))
    assert triggers(desk) == [-100], "not at once"
    desk.tick(*up(desk, *[60] * 5))
    assert triggers(desk) == [-100, -40]


@both
@pytest.mark.parametrize("word", ["made and lost", "lost"])
def test_a_move_without_an_answer_is_looked_up_and_told_once(side: Side, word: str) -> None:
    answers = iter([word, "made", "made"])
    desk = held(side, answers=lambda: next(answers))
    desk.tick(*up(desk, 60))
    desk.tick(*up(desk, 200, 200))
    assert not [fact for fact in desk.said if fact.TYPE == "STOP_MOVED"], "no second one while nobody knows"
    desk.look_up()
    desk.look_up()
    [moved] = [fact for fact in desk.said if fact.TYPE == "STOP_MOVED"]
    assert side.sign * (moved.trigger_paise - moved.previous_trigger_paise) == 60
    assert (triggers(desk), desk.trade.exit_reason) == ([-100, -40], None)
    desk.tick(*up(desk, *[200] * 20))
    assert triggers(desk) == [-100, -40], "the first request may arrive late, and would undo a second"
    desk.tick(*up(desk, *[200] * 20))
    assert triggers(desk) == [-100, -40, 100]


@both
def test_a_run_without_end_costs_twenty_changes_and_keeps_the_last_for_growth(side: Side) -> None:
    desk = held(side, Trailing(distance_r=1.0))
    desk.tick(*up(desk, *range(0, 5_000, 5)), seconds=1.5)
    [line] = desk.lines.values()
    assert line.asked == CHANGES_MAX - CHANGES_KEPT
    assert triggers(desk)[-1] > 1_500, "and they reach far"


def test_what_leaves_does_not_wait_for_a_stop_to_trail() -> None:
    desk = held()
    stop = desk.trade.live(OrderRole.STOP)
    assert stop is not None
    move = Modify(stop.order_id, desk.now_ns, 200, 9_900, trails=True)
    assert decisions.is_due(desk.trade, move)
    desk.decide(decisions.exit_at(reason="flatten", at_ns=desk.now_ns))
    assert not decisions.is_due(desk.trade, move)
    desk.tick(*up(desk, 500))
    assert triggers(desk) == [-100]


TRAILINGS = st.sampled_from([
    HALF_R, Trailing(distance_r=0.5, step_pct=10, after_r=0.5), Trailing(distance_pct=0.4),
    Trailing(distance_paise=35, step_pct=100),
])  # fmt: skip
EVENTS = st.one_of(
    *[st.tuples(st.just("tick"), st.sampled_from([-4, -2, 8, 12, 16, 30]))] * 4,
    st.tuples(st.just("fill"), st.sampled_from([25, 50])), st.tuples(st.just("look"), st.just(0)),
    st.tuples(st.just("realign"), st.just(0)), st.tuples(st.just("pause"), st.integers(1, 70)),
    st.tuples(st.just("answer"), st.just(0)),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    side=st.sampled_from(Side), trailing=TRAILINGS, kind=st.sampled_from(["FUTURE", "OPTION"]),
    events=st.lists(EVENTS, min_size=10, max_size=40),
    answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=12),
)  # fmt: skip
def test_whatever_happens_a_stop_only_tightens(side, trailing, kind, events, answers) -> None:
    number = iter(range(10_000))
    desk = Desk(side, trailing, kind=kind, answers=lambda: answers[next(number) % len(answers)])
    desk.now_ns += SECOND
    desk.enter(50, 10_000)
    price = 10_000
    for what, much in events:
        if what == "tick":
            price += 5 * much * side.sign
            if desk.is_hit(price):
                break
            desk.tick(price)
        elif what == "fill":
            desk.enter(much, 10_000)
        elif what == "look":
            desk.look_up()
        elif what == "realign":
            desk.realign()
        elif what == "answer":
            desk.answered()
        else:
            desk.now_ns += much * SECOND
        check(desk, market=price)
    assert desk.trade.exit_reason is None, "nobody leaves because a stop could not trail"


def check(desk: Desk, *, market: int) -> None:
    sign = desk.trade.side.sign
    for line in desk.lines.values():
        run = [sign * trigger for trigger in line.triggers]
        assert run == sorted(run), "the broker's stop was loosened"
        assert all(trigger % 5 == 0 and trigger > 0 for trigger in line.triggers)
        assert line.asked <= CHANGES_MAX + len(desk.trade.fill_ids)
        assert line.order.state is OrderState.TRIGGER_PENDING
        ours = line.order.trigger_paise or 0
        assert sign * (ours - line.triggers[0]) >= 0
        band = protection_band(desk.trade.contract, line.triggers[-1], ist_date(desk.now_ns))
        if line.limit is not None and band is not None:
            assert band[0] <= line.limit <= band[1]
            assert sign * (line.limit - line.triggers[-1]) <= 0
    moves = [one for one in (*desk.waiting, desk.under_way) if isinstance(one, Modify) and one.trails]
    assert len(moves) <= 1, "one at a time"
    assert sum(line.order.quantity for line in desk.lines.values()) == desk.trade.open_quantity


def test_a_stop_of_a_trade_that_does_not_trail_stays() -> None:
    desk = held()
    desk.trade.trailing = None
    desk.tick(*up(desk, 500, 900))
    assert triggers(desk) == [-100]


def test_the_answer_to_a_move_is_not_taken_for_that_of_the_exit_which_the_stop_became() -> None:
    desk = held(answers=lambda: "slow")
    desk.tick(*up(desk, 60))
    stop, move = desk.trade.live(OrderRole.STOP), desk.under_way
    assert stop is not None
    assert isinstance(move, Modify)
    desk.decide(decisions.exit_at(reason="flatten", at_ns=desk.now_ns))
    assert stop.is_turned
    lifecycle.on_modify_outcome(desk.trade, stop, TradeStep(), ACCEPTED, move)
    assert stop.state is OrderState.TRIGGER_PENDING, "the broker knows nothing of the exit yet"
    desk.under_way = None
    desk.send([])
    assert stop.state is OrderState.OPEN
