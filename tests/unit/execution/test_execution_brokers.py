"""Execution in front of a broker: order stream, reconciliation, lost answers, sessions of two brokers at once."""

import asyncio
from dataclasses import replace
from datetime import date

import pytest
from testkit.broker_life import BrokerLife, opened, trading
from testkit.execution_brokers import FUTURE, PRICE, SECOND, TEN, approval, exit_of, spec
from testkit.execution_service import TICKS, slice_of
from testkit.fake_broker import MASTER, UNREACHABLE, FakeBroker
from testkit.waiting import WALL_TIMERS

from services.execution.books import books_of
from tradebus.brokers.account import NetPosition, SessionState
from tradebus.bus.port import Outgoing
from tradebus.contracts.records import TICK, decode
from tradebus.trading.orders import BrokerStatus
from tradebus.trading.states import OrderState, TradeState


async def test_a_trade_goes_through_the_brokers_order_stream(around) -> None:
    broker = FakeBroker()
    entry = approval(1)
    async with trading(around, broker, reconcile_seconds=60) as life:
        await opened(life, broker, entry)
        stop = broker.book.requests[1]
        assert (stop.order_type, stop.quantity, stop.trigger_paise, stop.market_protection_pct) == (
            "SL-M", 65, PRICE - 10_000, 3.0,
        )  # fmt: skip
        await life.send(exit_of(entry, at_ns=TEN + 60 * SECOND))
        leaving = await life.order("STOP", "OPEN")
        assert (leaving.order_type, leaving.trigger_paise) == ("MARKET", None)
        broker.tell(broker.book.fill(leaving.broker_order_id, PRICE + 5_000, at_ns=TEN + 61 * SECOND))
        trade = await life.trade(state=TradeState.CLOSED)
        assert trade.exit_value_paise - trade.entry_value_paise == 65 * 5_000
        await life.told("RECONCILED")
        assert await around.told("RECONCILE_MISMATCH") == []
    assert len(broker.book.requests) == 2, "the stop was the exit"


async def test_what_the_stream_never_said_is_found_in_the_book(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await life.send(approval(1))
        row = await life.order("ENTRY", "OPEN")
        broker.book.fill(row.broker_order_id, PRICE, at_ns=TEN + SECOND)
        await life.order("STOP", "TRIGGER_PENDING")

        async def settled():
            return [one for one in await life.told("RECONCILED") if one.differences]

        found = (await life.until(settled))[0].differences[0]
        assert (found.what, found.action) == (f"order {row.tag}", "taken over")


@pytest.mark.parametrize("word", ["after", "before"])
async def test_an_answer_that_was_lost_is_looked_up_by_tag_and_never_sent_again(around, word) -> None:
    broker = FakeBroker()
    broker.book.lose = [word]
    async with trading(around, broker) as life:
        await life.send(approval(1))
        if word == "after":
            await life.order("ENTRY", "OPEN")
        else:
            await life.order("ENTRY", "CANCELLED")
        assert await life.told("ORDER_UNKNOWN")
    assert len(broker.book.requests) == 1


async def test_an_uncertain_lookup_is_asked_again_and_not_taken_for_absence(around) -> None:
    broker = FakeBroker()
    broker.book.lose, broker.book.definitive = ["before"], False
    async with trading(around, broker) as life:
        await life.send(approval(1))
        await life.order("ENTRY", "UNKNOWN")
        await asyncio.sleep(0.5)  # some more lookups: fewer would prove less, never fail
        await life.order("ENTRY", "UNKNOWN")
        broker.book.definitive = True
        await life.order("ENTRY", "CANCELLED")


async def test_a_partial_fill_makes_the_stop_follow_at_the_broker(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await life.send(approval(1, quantity=130))
        row = await life.order("ENTRY", "OPEN")
        broker.tell(broker.book.fill(row.broker_order_id, PRICE, at_ns=TEN + SECOND, quantity=65))
        stop = await life.order("STOP", "TRIGGER_PENDING")
        assert stop.quantity == 65
        broker.tell(broker.book.fill(row.broker_order_id, PRICE, at_ns=TEN + SECOND))
        await life.told("STOP_MOVED")
        assert broker.book.orders[stop.broker_order_id].quantity == 130


async def test_a_stop_that_was_changed_by_hand_is_told_again_what_it_is(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await opened(life, broker, approval(1))
        stop = await life.order("STOP", "TRIGGER_PENDING")
        number = stop.broker_order_id
        broker.book.orders[number] = replace(broker.book.orders[number], trigger_paise=PRICE - 90_000)

        async def righted():
            return broker.book.orders[number].trigger_paise == PRICE - 10_000

        await life.until(righted)


async def test_a_stop_that_was_cancelled_by_hand_means_out(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await opened(life, broker, approval(1))
        stop = await life.order("STOP", "TRIGGER_PENDING")
        number = stop.broker_order_id
        broker.book.orders[number] = replace(broker.book.orders[number], status=BrokerStatus.CANCELLED)
        leaving = await life.order("EXIT", "OPEN")
        assert leaving.quantity == 65


async def test_a_cancellation_that_was_accepted_and_not_done_is_asked_for_again(around) -> None:
    """The exchange may turn down what the broker took on; until the stop is gone, nothing is sold."""
    broker, entry = FakeBroker(), approval(1)
    # A minute in a second: a stop that may not be changed is asked again for half a minute before it is cancelled.
    async with trading(around, broker, at_ns=TEN, speed=60, feed_behind_seconds=0.2) as life:
        await opened(life, broker, entry)
        broker.book.changes_refused = "modification limit"
        broker.book.cancels_lost = 2
        await life.send(exit_of(entry, at_ns=TEN + 60 * SECOND))
        leaving = await life.order("EXIT", "OPEN")
        assert leaving.quantity == 65
    assert len(broker.book.requests) == 3


async def test_a_position_nobody_can_explain_blocks_entries_until_it_is_gone(around) -> None:
    broker = FakeBroker()
    broker.book.hand_made = [NetPosition("501", "NFO", "NIFTY26NOVFUT", "MIS", -65, 0, 65, 0, 0, 0)]
    async with trading(around, broker) as life:
        told = (await life.told("RECONCILE_MISMATCH"))[0]
        assert [(one.what, one.ours, one.brokers) for one in told.differences] == [
            ("position NIFTY26NOVFUT", "0", "-65")
        ]
        await life.send(approval(1))
        trade = await life.trade()
        assert (trade.state, trade.exit_reason) == ("CANCELLED", "reconcile_mismatch")
        broker.book.hand_made = []
        await life.told("RECONCILED")
        await life.send(approval(2))
        await life.order("ENTRY", "OPEN")
    assert len(broker.book.requests) == 1


async def test_what_cannot_be_one_order_is_refused_here_with_the_reason(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await life.send(
            approval(2, quantity=70), approval(3, tick=5, instrument=7),
        )  # fmt: skip

        async def refused():
            found = [one.reason for one in await around.told("ORDER_REJECTED")]
            return found if len(found) == 2 else None

        reasons = await life.until(refused)
    told = " ".join(reasons)  # each trade's answer comes when it comes
    assert "quantity 70 of NIFTY26NOVFUT is not a multiple of the lot of 65" in told
    assert "is not listed at kite" in told
    assert broker.book.requests == []


async def test_paper_and_two_brokers_at_once(around) -> None:
    kite, dhan = FakeBroker(), FakeBroker("dhan", [replace(row, token=f"D{row.token}") for row in MASTER])
    async with trading(around, kite, dhan) as life:
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await life.started(spec("s3", broker="paper", credential=None))
        await life.send(approval(1), approval(1, session="s2"), approval(1, session="s3"))

        async def all_open():
            return len(await life.orders(state=OrderState.OPEN)) == 3

        await life.until(all_open)
        ticks = decode(slice_of(TEN, [PRICE] * 3).body, TICK).copy()
        ticks["instrument"] = FUTURE
        end_ns = TEN + 60 * SECOND
        await life.bus.publish([Outgoing(TICKS, "ticks", ticks.tobytes(), watermark_ns=end_ns, slice_start_ns=TEN)])
        await life.order("ENTRY", "FILLED")
        filled = {one.session_id for one in await life.trades() if one.entry_order().state is OrderState.FILLED}
        assert filled == {"s3"}, "the market's prices fill paper orders and nobody else's"
    assert [len(broker.book.requests) for broker in (kite, dhan)] == [1, 1]
    listings, day = books_of(around.book, timers=WALL_TIMERS).listings, date(2026, 11, 25)
    kept = [(broker, row.token) for broker in ("dhan", "kite") for row in await listings.listed(broker, listed_on=day)]
    assert kept == [("dhan", "D501"), ("kite", "501")]


async def test_a_login_that_does_not_work_ends_the_start_with_its_reason(around) -> None:
    broker = FakeBroker()
    broker.error = UNREACHABLE
    async with BrokerLife(around, broker) as life:
        await life.start(spec())
        assert await life.refusal("s1") == "execution: kite: no answer in 10 s"
        await life.start(spec("s2", credential="nobody"))
        assert "credential 'nobody' is not stored here" in await life.refusal("s2")


async def test_a_token_that_the_broker_refuses_starts_nothing_and_a_fresh_one_does(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker) as life:
        broker.session.state = SessionState.EXPIRED
        await life.start(spec())
        assert "the login 'mine' is not accepted" in await life.refusal("s1")
    broker.session.state = SessionState.VALID
    async with BrokerLife(around, broker) as life:
        await life.started(spec("s2"))
        await opened(life, broker, approval(1, session="s2"))


async def test_a_trade_goes_on_after_a_restart_whatever_is_thought_of_its_login(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await opened(life, broker, approval(1))
    broker.session.state = SessionState.EXPIRED
    async with BrokerLife(around, broker):
        async with asyncio.timeout(10):
            while not broker.streams:
                await asyncio.sleep(0.02)


async def test_after_a_restart_the_account_is_opened_again_and_the_trade_goes_on(around) -> None:
    broker = FakeBroker()
    entry = approval(1)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
    stop = next(order for order in broker.book.orders.values() if order.trigger_paise)
    broker.book.fill(stop.broker_order_id, PRICE - 10_000, at_ns=TEN + 30 * SECOND)
    async with BrokerLife(around, broker) as life:
        trade = await life.trade(state=TradeState.CLOSED)
        assert trade.exit_reason == "stop"
    assert len(broker.book.requests) == 2


async def test_a_book_that_cannot_be_read_says_nothing_and_blocks_in_time(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker, lost_seconds=1) as life:
        await opened(life, broker, approval(1))
        broker.book.readable = False
        await asyncio.sleep(0.5)  # some looks at it: fewer would prove less, never fail
        assert len(await life.orders(state=OrderState.TRIGGER_PENDING)) == 1
        [told] = await life.told("RECONCILE_MISMATCH")
        assert told.differences[0].brokers == "unread for 1 s"
        asked = len(broker.book.requests)
        await life.send(approval(2, at_ns=TEN + SECOND))
        await life.trade(exit_reason="broker_lost")
        assert len(broker.book.requests) == asked
        broker.book.readable = True
        assert (await life.trade(pos_id=approval(1).pos_id, exit_reason="broker_lost")).open_quantity


async def test_a_change_that_breaks_an_order_rule_is_not_sent_and_the_position_is_left(around) -> None:
    broker, entry = FakeBroker(), approval(1, quantity=130)
    async with trading(around, broker, reconcile_seconds=60) as life:
        await life.send(entry)
        number = (await life.order("ENTRY", "OPEN")).broker_order_id
        broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + SECOND, quantity=65))
        stop = await life.order("STOP", "TRIGGER_PENDING")
        broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + 2 * SECOND, quantity=30))  # not a lot
        trade = await life.trade(exit_reason="stop_not_moved")
        [found] = [order for order in trade.orders if order.order_id == stop.order_id]
        assert found.reason.startswith("not sent: lot_size: ")
        assert broker.book.orders[stop.broker_order_id].quantity == 65
