"""A sender in front of a governor that holds back: who is asked for, who waits, who is refused."""

import asyncio
from dataclasses import replace

from testkit.broker_life import trading
from testkit.contracts import contract
from testkit.execution_brokers import TEN, approval, exit_of
from testkit.fake_broker import FakeBroker
from testkit.sender_desk import Counting, Desk, limit
from testkit.simulated import passes
from testkit.trades import MORNING
from testkit.trades import approval as approved

from tradebus.contracts.orders import OrderRole
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.governor.budget import Admission, OrderAsk
from tradebus.execution.governor.limits import OrderLimit
from tradebus.execution.leaving import exits
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Modify, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.timers import SimulatedTimers
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result

SECOND = 1_000_000_000


async def test_entries_queue_at_their_share_and_an_exit_passes_them_at_once():
    desk = Desk(limit(1, 9, 4))
    running = asyncio.create_task(desk.sender.run())
    for number in range(20):
        desk.entry(f"e{number}")
    await passes(desk.timers, 0.1)
    assert desk.sent == ["e0", "e1", "e2", "e3", "e4"]
    assert desk.pacing.hurried == 0
    for number in range(4):
        desk.exit(f"x{number}")
    assert desk.pacing.hurried == 4, "no exit waits for what an entry is told"
    await passes(desk.timers, 0.0)
    assert desk.sent[5:] == ["x0", "x1", "x2", "x3"], "no time has passed"
    await passes(desk.timers, 1.1)
    assert len(desk.sent) == 10, "the four exits still count: of five entries one leaves"
    waited = desk.registry.get_sample_value(
        "tradebus_execution_request_wait_seconds_sum", {"account": "kite:mine", "lane": "EXIT"}
    )
    assert waited == 0
    running.cancel()


async def test_entries_that_wait_are_asked_for_together_and_exits_that_come_meanwhile_use_what_they_are_told():
    desk = Desk()
    desk.pacing = Slow(desk.timers)
    desk.sender, desk.hangs = desk.made(), True
    running = asyncio.create_task(desk.sender.run())
    for number in range(5):
        desk.entry(f"e{number}")
    await passes(desk.timers, 0.0)
    desk.exit("x")
    desk.unwanted = {"e1", "e2"}
    desk.pacing.answering.set()
    await passes(desk.timers, 0.0)
    assert desk.pacing.asked == ["ENTRY"], "four may be unanswered: one question for four"
    assert sorted(desk.sent) == ["e0", "e1", "e2", "e3", "x"], "e1 and e2 are handled as what does not leave"
    assert desk.pacing.given_back == 1, "of four admissions the exit and two entries use three"
    running.cancel()


async def test_what_is_admitted_and_does_not_leave_counts_no_longer():
    desk = Desk(limit(1, 9, 4))
    desk.pacing = Slow(desk.timers, limit(1, 9, 4))
    desk.sender = desk.made()
    running = asyncio.create_task(desk.sender.run())
    for number in range(4):
        desk.entry(f"e{number}")
    await passes(desk.timers, 0.0)
    for number in range(1, 4):
        desk.roster.forget(f"e{number}")
    desk.pacing.answering.set()
    await passes(desk.timers, 0.0)
    assert (desk.sent, desk.pacing.given_back) == (["e0"], 3)
    for number in range(9):
        desk.exit(f"x{number}")
    await passes(desk.timers, 0.0)
    assert len(desk.sent) == 9, "eight of nine are free"
    running.cancel()


async def test_an_entry_that_is_not_wanted_any_more_uses_nothing_up():
    desk = Desk(limit(1, 9, 4))
    running = asyncio.create_task(desk.sender.run())
    desk.unwanted = {f"e{number}" for number in range(100)}
    for number in range(100):
        desk.entry(f"e{number}")
    desk.exit("x")
    await passes(desk.timers, 0.0)
    assert len(desk.sent) == 101
    assert desk.pacing.asked == ["EXIT"]
    running.cancel()


async def test_entries_that_stand_behind_one_that_waits_are_ended_soon_after_nobody_wants_them():
    desk = Desk(limit(1, 2, 1))
    running = asyncio.create_task(desk.sender.run())
    for number in range(4):
        desk.entry(f"e{number}")
    await passes(desk.timers, 0.0)
    assert desk.sent == ["e0"]
    desk.unwanted = {"e2", "e3"}
    desk.entry("e4")
    await passes(desk.timers, 0.1)
    assert desk.sent == ["e0", "e2", "e3"], "they do not leave, and are over"
    desk.unwanted.add("e1")
    desk.exit("x")
    await passes(desk.timers, 0.0)
    assert sorted(desk.sent[3:]) == ["e1", "x"], "with what may have come with the word that ends them, at once"
    running.cancel()


async def test_an_entry_is_refused_by_name_and_what_stands_behind_it_goes_on():
    desk = Desk(limit(60, 3, 2))
    running = asyncio.create_task(desk.sender.run())
    for pos_id in ("e0", "e1", "e2"):
        desk.entry(pos_id)
    desk.exit("x")
    await passes(desk.timers, 0.0)
    assert desk.sent == ["x"]
    assert [one[:31] for one in desk.refused] == [f"e{n}: order limit: 1 of the 3 req" for n in range(3)]
    labels = {"account": "kite:mine", "span": "minute"}
    assert desk.registry.get_sample_value("tradebus_execution_entries_over_limit_total", labels) == 3
    running.cancel()


async def test_an_exit_that_has_to_wait_for_its_minute_lets_entries_hear_that_it_is_used_up():
    desk = Desk(limit(60, 2, 1))
    running = asyncio.create_task(desk.sender.run())
    for number in range(3):
        desk.exit(f"x{number}")
    await passes(desk.timers, 0.0)
    assert desk.sent == ["x0", "x1"]
    desk.entry("e0")
    await passes(desk.timers, 1.0)
    assert len(desk.refused) == 1
    await passes(desk.timers, 10.0)
    assert desk.sent == ["x0", "x1", "x2"], "getting out is tried in any case"
    running.cancel()


async def test_a_session_hears_in_words_why_its_entry_was_not_sent_and_its_exits_go_on(around):
    broker = FakeBroker()
    async with trading(around, broker, order_limit_scale=0.02) as life:  # a minute has 7, 5 for entries
        entries = [approval(number, at_ns=TEN + number * SECOND) for number in range(1, 8)]
        await life.send(*entries)
        [refusal, *_] = await life.told("ORDER_REJECTED")
        assert refusal.reason.startswith("not sent: order limit: ")
        assert "requests of kite for one" in refusal.reason
        first = entries[0]
        await life.order("ENTRY", "OPEN", of=first)
        await life.send(exit_of(first, at_ns=TEN + 9 * SECOND))
        await life.order("ENTRY", "CANCELLED", of=first)


def held(pos_id: str) -> tuple[Trade, TradeStep]:
    """Filled, with its stop to be sent."""
    made, step = open_trade(approved(Side.LONG), TradeStep(), contract=contract("FUTURE"), owner="me"), TradeStep()
    made.pos_id = pos_id
    entry = made.entry_order()
    lifecycle.on_outcome(made, entry, TradeStep(), Outcome(Result.ACCEPTED, f"b {pos_id}"), at_ns=MORNING)
    filled = BrokerFill(f"f {pos_id}", entry.quantity, 10_000, MORNING)
    told = BrokerOrder(
        f"b {pos_id}", entry.tag, "s", 1, entry.transaction, BrokerStatus.FILLED, entry.quantity, entry.quantity, None,
        (filled,), MORNING,
    )  # fmt: skip
    lifecycle.on_report(made, entry, step, told)
    return made, step


async def test_the_parts_of_an_entry_leave_together_and_the_stop_of_one_waits_for_none_of_them():
    desk = Desk()
    desk.hangs = True
    running = asyncio.create_task(desk.sender.run())
    freezing = replace(contract("FUTURE", lot_size=25), freeze_quantity=75)
    trade, step = open_trade(approved(Side.LONG), TradeStep(), contract=freezing, owner="me"), TradeStep()
    desk.roster.remember(trade)
    lifecycle.on_outcome(trade, trade.entry_order(), step, Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    desk.sender.put("p", step.requests)
    await passes(desk.timers, 0.0)
    assert desk.sent == ["p", "p"], "the second and the third"
    fill = BrokerFill("f", 75, 10_000, MORNING + SECOND)
    filled = BrokerOrder(
        "b", trade.entry_order().tag, "s", 1, trade.entry_transaction, BrokerStatus.FILLED, 75, 75, None, (fill,),
        MORNING + SECOND,
    )  # fmt: skip
    after = TradeStep()
    lifecycle.on_report(trade, trade.entry_order(), after, filled)
    desk.sender.put("p", after.requests)
    await passes(desk.timers, 0.0)
    assert desk.sent == ["p", "p", "p"], "and the stop of the first"
    running.cancel()


async def test_exits_leave_while_as_many_stops_hang_as_an_account_lets_out():
    desk = Desk()
    desk.hangs = True
    running = asyncio.create_task(desk.sender.run())
    trades = [held(f"p{number}") for number in range(8)]
    for trade, step in trades:
        desk.roster.remember(trade)
        desk.sender.put(trade.pos_id, step.requests)
    await passes(desk.timers, 0.0)
    assert len(desk.sent) == 8
    for trade, _ in trades:
        [stop] = [order for order in trade.orders if order.role is OrderRole.STOP]
        step = TradeStep()
        exits.give_up_stop(trade, stop, step, at_ns=MORNING + 5 * SECOND)
        desk.roster.remember(trade)
        desk.sender.put(trade.pos_id, step.requests)
    await passes(desk.timers, 0.0)
    assert sorted(desk.sent[8:]) == [f"p{number}" for number in range(8)]
    running.cancel()


async def test_an_exit_passes_what_of_its_own_trade_waits_behind_a_stop_that_hangs():
    desk = Desk()
    desk.hangs = True
    running = asyncio.create_task(desk.sender.run())
    trade, step = held("p")
    [stop] = [order for order in trade.orders if order.role is OrderRole.STOP]
    desk.roster.remember(trade)
    grown = Modify(stop.order_id, MORNING, stop.quantity, previous_trigger_paise=stop.trigger_paise or 0)
    desk.sender.put("p", [*step.requests, grown])  # it filled in two parts
    await passes(desk.timers, 0.0)
    assert desk.sent == ["p"], "the change waits for the stop's answer"
    step = TradeStep()
    exits.give_up_stop(trade, stop, step, at_ns=MORNING + 5 * SECOND)
    desk.roster.remember(trade)
    desk.sender.put("p", step.requests)
    await passes(desk.timers, 0.0)
    assert desk.sent == ["p", "p"], "and the exit for nothing"
    running.cancel()


class Failing(Counting):
    """Raises while `is_broken`."""

    is_broken = True

    async def admit(self, account: str, ask: OrderAsk, *, more: int = 0) -> Admission:
        if self.is_broken:
            self.asked.append(ask.lane.name)
            raise ZeroDivisionError("a defect of the governor")
        return await super().admit(account, ask, more=more)


async def test_a_governor_that_fails_lets_exits_out_and_entries_wait_until_it_works_again():
    desk = Desk()
    desk.pacing = Failing(desk.timers)
    desk.sender = desk.made()
    running = asyncio.create_task(desk.sender.run())
    desk.entry("e")
    desk.exit("x")
    await passes(desk.timers, 0.0)
    assert desk.sent == ["x"]
    assert "governor" in desk.sender.trouble.problem
    labels = {"account": "kite:mine", "of": "governor"}
    assert desk.registry.get_sample_value("tradebus_execution_sender_failures_total", labels) >= 2
    desk.pacing.is_broken = False
    await passes(desk.timers, 1.1)
    assert desk.sent == ["x", "e"]
    assert desk.sender.trouble.problem is None
    running.cancel()


async def test_a_request_that_cannot_be_looked_at_is_left_alone_and_the_others_leave():
    desk = Desk()
    running = asyncio.create_task(desk.sender.run())
    desk.broken = {"e0"}
    desk.entry("e0")
    desk.entry("e1")
    desk.exit("x")
    await passes(desk.timers, 0.0)
    assert desk.sent == ["x", "e1"]
    assert desk.sender.is_busy("e0")
    desk.broken.clear()
    await passes(desk.timers, 1.1)
    assert desk.sent == ["x", "e1", "e0"]
    running.cancel()


class Slow(Counting):
    """Answers an entry when `answering` is set. `let_out` is what it has admitted."""

    def __init__(self, timers: SimulatedTimers, *limits: OrderLimit) -> None:
        super().__init__(timers, *limits)
        self.answering, self.let_out = asyncio.Event(), list[OrderAsk]()

    async def admit(self, account: str, ask: OrderAsk, *, more: int = 0) -> Admission:
        if ask.lane.name == "ENTRY":
            await self.answering.wait()
        self.let_out.append(ask)
        return await super().admit(account, ask, more=more)


async def test_an_exit_that_comes_while_an_entry_is_asked_for_goes_first_and_is_counted_as_what_it_is():
    desk = Desk()
    desk.pacing = Slow(desk.timers)
    desk.sender = desk.made()
    running = asyncio.create_task(desk.sender.run())
    desk.entry("e")
    await passes(desk.timers, 0.0)
    desk.exit("x")
    desk.pacing.answering.set()
    await passes(desk.timers, 0.0)
    assert desk.sent == ["x", "e"]
    assert len(desk.pacing.let_out) == 2, "nothing leaves that nobody has counted"
    running.cancel()


async def test_a_sender_whose_task_has_ended_is_started_again_with_what_waits_there(around):
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await life.send(approval(1))
        await life.order("ENTRY", "OPEN", of=approval(1))
        [task] = [one for one in asyncio.all_tasks() if one.get_name() == "sender kite:mine"]
        task.cancel()
        await asyncio.wait([task])
        assert [one.problem for one in life.life.service.troubles if one.problem is not None]
        await life.send(approval(2))
        await life.order("ENTRY", "OPEN", of=approval(2))
        assert not [one.problem for one in life.life.service.troubles if one.problem is not None]


async def test_a_trade_that_is_forgotten_while_its_request_is_asked_for_ends_nothing():
    desk = Desk()
    admit = desk.pacing.admit

    async def forgetting(account: str, ask: OrderAsk, *, more: int = 0) -> Admission:
        desk.roster.forget("gone")
        return await admit(account, ask, more=more)

    desk.pacing.admit = forgetting
    running = asyncio.create_task(desk.sender.run())
    desk.entry("gone")
    await passes(desk.timers, 0.0)
    desk.entry("later")
    await passes(desk.timers, 0.0)
    assert desk.sent == ["later"]
    assert not running.done()
    running.cancel()
