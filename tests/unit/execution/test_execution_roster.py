"""The living trades in memory, what leaves first, and what a sender lets out."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from testkit.contracts import contract
from testkit.trades import MORNING, SECOND, approval

from services.execution.accounts.pacing import PassThrough, SenderMetrics
from services.execution.accounts.sender import Sender
from services.execution.recovery.quarantine import Quarantine
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.decisions import Priority, priority_of
from tradebus.execution.opening import open_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import Cancel, Place, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.timers import SimulatedTimers
from tradebus.trading.orders import Outcome, Result


def trade_of(number: int) -> Trade:
    made = open_trade(approval(Side.LONG), TradeStep(), contract=contract("FUTURE"), owner="me")
    made.pos_id = f"p{number}"
    made.orders[0].tag = f"t{number}"
    return made


def test_a_trade_is_found_by_everything_until_it_is_forgotten():
    roster, trade = Roster("me"), trade_of(1)
    roster.remember(trade)
    assert roster.position_of("t1") == "p1"
    assert roster.of_instrument(1) == [trade]
    assert roster.due(MORNING + 60 * SECOND) == [], "its answer is awaited, not a deadline"
    lifecycle.on_outcome(trade, trade.entry_order(), TradeStep(), Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    roster.remember(trade)
    assert roster.due(MORNING + 60 * SECOND) == [trade]
    assert list(roster.due_in(1, MORNING + 60 * SECOND)) == [trade]
    assert list(roster.due_in(1, MORNING)) == list(roster.due_in(2, 2**62)) == []
    roster.forget("p1")
    assert list(roster.due_in(1, 2**62)) == []
    assert (roster.position_of("t1"), roster.of_instrument(1), roster.due(2**62)) == (None, [], [])
    assert not roster.by_instrument


def test_another_instances_trades_are_not_acted_on():
    roster, trade = Roster("other"), trade_of(1)
    roster.remember(trade)
    assert roster.of_instrument(1) == []
    trade.owner = "other"
    roster.remember(trade)
    assert roster.of_instrument(1) == [trade]


@pytest.mark.parametrize(
    ("reason", "priority"),
    [(None, Priority.IN), ("target", Priority.OUT), ("flatten", Priority.FLATTEN), ("kill_switch", Priority.KILL)],
)
def test_what_a_person_asked_for_goes_first_and_entries_last(reason, priority):
    trade = trade_of(1)
    trade.exit_reason = reason
    assert priority_of(trade, Place(trade.entry_order().order_id)) is priority


class Desk:
    """A sender whose requests wait until they are let go."""

    def __init__(self) -> None:
        self.roster, self.sent, self.go = Roster("me"), list[str](), asyncio.Event()
        metrics = SenderMetrics(CollectorRegistry())
        self.sender = Sender(
            "kite:mine", self, roster=self.roster, pacing=PassThrough(), timers=SimulatedTimers(), metrics=metrics,
        )  # fmt: skip

    async def deliver(self, pos_id, request) -> None:
        self.sent.append(f"{pos_id} {type(request).__name__}")
        await self.go.wait()

    async def refuse(self, pos_id, request, reason) -> None:
        raise AssertionError("everything passes")

    def leaves(self, pos_id, request) -> bool:
        return True

    def add(self, number: int, *, reason: str | None = None) -> Trade:
        trade = trade_of(number)
        trade.exit_reason = reason
        self.roster.remember(trade)
        return trade

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


async def test_entries_that_hang_leave_a_way_out_for_exits_and_what_is_urgent_goes_first():
    desk = Desk()
    running = asyncio.create_task(desk.sender.run())
    for number in range(10):
        entry = desk.add(number).entry_order()
        desk.sender.put(f"p{number}", [Place(entry.order_id)])
    await desk.settle()
    assert desk.sent == ["p0 Place", "p1 Place", "p2 Place", "p3 Place"], "half of what may be under way"
    for number, reason in ((20, "target"), (21, "flatten"), (22, "kill_switch")):
        order = desk.add(number, reason=reason).entry_order()
        desk.sender.put(f"p{number}", [Cancel(order.order_id, MORNING)])
    await desk.settle()
    assert desk.sent[4:] == ["p22 Cancel", "p21 Cancel", "p20 Cancel"]
    desk.go.set()
    await desk.settle()
    assert len(desk.sent) == 13
    running.cancel()


async def test_requests_of_one_trade_leave_one_at_a_time_in_their_order():
    desk = Desk()
    running = asyncio.create_task(desk.sender.run())
    order = desk.add(1).entry_order()
    desk.sender.put("p1", [Place(order.order_id), Cancel(order.order_id, MORNING)])
    await desk.settle()
    assert desk.sent == ["p1 Place"]
    assert desk.sender.is_busy("p1")
    desk.go.set()
    await desk.settle()
    assert desk.sent == ["p1 Place", "p1 Cancel"]
    assert not desk.sender.is_busy("p1")
    running.cancel()


async def test_what_was_forgotten_is_not_sent():
    desk = Desk()
    order = desk.add(1).entry_order()
    desk.sender.put("p1", [Place(order.order_id)])
    desk.roster.forget("p1")
    running = asyncio.create_task(desk.sender.run())
    await desk.settle()
    assert desk.sent == []
    assert not desk.sender.is_busy("p1"), "whoever recovers it may send"
    running.cancel()


def test_a_trade_that_fails_is_left_alone_longer_each_time_and_is_free_once_it_was_handled():
    timers = SimulatedTimers()
    quarantine = Quarantine(timers, CollectorRegistry())
    for seconds in (1, 2, 4):
        quarantine.put("p1", ValueError("?"))
        timers.advance(timers.now_ns() + seconds * SECOND - 1)
        assert quarantine.holds("p1")
        assert not quarantine.holds("p2")
        timers.advance(timers.now_ns() + 1)
        assert not quarantine.holds("p1")
    quarantine.release("p1")
    quarantine.put("p1", ValueError("?"))
    timers.advance(timers.now_ns() + SECOND)
    assert not quarantine.holds("p1")
