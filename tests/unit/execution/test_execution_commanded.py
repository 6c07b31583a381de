"""FLATTEN and STOP_TRADING without a risk that lives: execution hears them itself, and both asking is one exit."""

from pathlib import Path

import pytest
from testkit.broker_life import BrokerLife, opened, trading
from testkit.execution_around import Around, until
from testkit.execution_books import begin, register
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, exit_of, spec
from testkit.execution_service import MORNING, intent, mark, play, slice_of
from testkit.execution_service import TICKS as TICKS_STREAM
from testkit.execution_service import approval as paper_approval
from testkit.execution_service import spec as paper_spec
from testkit.fake_broker import FakeBroker
from testkit.hanging_book import HangingBook

from tradebus.bus.port import Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, StopTrading
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import Transaction
from tradebus.contracts.sessions import SessionStatus
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import derive_id
from tradebus.store.books import session_register
from tradebus.trading.orders import BrokerStatus
from tradebus.trading.states import OrderState, TradeState

REASONS = {Flatten: "flatten", StopTrading: "stop_trading"}
X = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5,
)  # fmt: skip


def commanded(
    kind: type[Flatten] | type[StopTrading], session: str = "s1", *, ago_seconds: int = 0, **scope: str
) -> Outgoing:
    at_ns = WallClock().now_ns() - ago_seconds * SECOND
    command = kind(
        event_id=derive_id(at_ns, kind.TYPE, session, *scope.values()), ts_event_ns=at_ns, ts_recorded_ns=at_ns,
        source="gateway", trace_id="t", session_id=session, user_id="u1", reason="test", **scope,
    )  # fmt: skip
    return Outgoing(COMMANDS.name, command.TYPE, command.to_json())


def sold(broker: FakeBroker) -> int:
    """Exits that have left: what sells and waits for no trigger, a stop that was turned or an order of its own."""
    return sum(one.transaction is Transaction.SELL and not one.trigger_paise for one in broker.book.orders.values())


async def left(life: BrokerLife, broker: FakeBroker, entry: Message, reason: str) -> None:
    """The position's stop is turned into its exit, which fills."""
    leaving = (await life.order("STOP", "OPEN", of=entry)).broker_order_id
    broker.tell(broker.book.fill(leaving, PRICE, at_ns=TEN + 3 * SECOND))
    trade = await life.trade(pos_id=entry.pos_id, state=TradeState.CLOSED)
    assert trade.exit_reason == reason


@pytest.mark.parametrize("kind", [Flatten, StopTrading])
async def test_a_session_is_closed_without_risk_and_no_other_is(around, kind) -> None:
    broker, entry, other = FakeBroker(), approval(1), approval(1, session="s2")
    async with trading(around, broker, reconcile_seconds=60) as life:
        await life.started(spec("s2"))
        await opened(life, broker, entry)
        await opened(life, broker, other)
        await life.bus.publish([commanded(kind), commanded(kind)])
        await left(life, broker, entry, REASONS[kind])
        await life.send(exit_of(entry, at_ns=TEN + 4 * SECOND))  # risk asks for it as well, later
        await life.send(exit_of(other, at_ns=TEN + 4 * SECOND))
        trade = await life.trade(pos_id=other.pos_id, exit_reason="exit_signal")
        assert trade.state is not TradeState.CLOSED
        await life.order("STOP", "OPEN", of=other)
        assert sold(broker) == 2, "each once"


@pytest.mark.parametrize("kind", [Flatten, StopTrading])
async def test_entries_that_wait_are_dropped_and_those_on_their_way_cancelled(around, kind) -> None:
    broker = FakeBroker()
    broker.book = HangingBook()
    async with trading(around, broker, reconcile_seconds=60) as life:
        await life.send(approval(1))
        await life.order("ENTRY", "OPEN", of=approval(1))
        broker.book.answering.clear()
        await life.send(*(approval(number) for number in range(2, 9)))
        await life.until_orders(7, state=OrderState.PENDING)
        asked = 1 + 4  # the one that rests, and as many as may be under way: the others wait

        async def as_many_as_may_be() -> bool:
            return broker.book.asked.count("place BUY") == asked

        await life.until(as_many_as_may_be)
        await life.bus.publish([commanded(kind)])

        async def none_stays() -> bool:
            return not await life.trades(exit_reason=None)

        await life.until(none_stays)
        broker.book.answering.set()

        async def cancelled() -> bool:
            return all(one.status is BrokerStatus.CANCELLED for one in broker.book.orders.values())

        await life.until(cancelled)
        await life.until_orders(0, state=OrderState.PENDING)
        assert broker.book.asked.count("place BUY") == asked


async def test_risk_and_execution_ask_at_once_and_one_exit_leaves(around) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with trading(around, broker, reconcile_seconds=60) as life:
        await opened(life, broker, entry)
        await life.bus.publish([intent(exit_of(entry, at_ns=TEN + 2 * SECOND)), commanded(Flatten)])
        leaving = (await life.order("STOP", "OPEN", of=entry)).broker_order_id

        async def both() -> bool:
            return f"x{entry.intent_id}" in await around.hands.outcomes()

        await life.until(both)
        broker.tell(broker.book.fill(leaving, PRICE, at_ns=TEN + 3 * SECOND))
        await life.trade(pos_id=entry.pos_id, state=TradeState.CLOSED)
        assert sold(broker) == 1


async def test_a_flatten_forbids_no_entry_after_it_and_a_stop_refuses_them_by_name(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker, reconcile_seconds=60) as life:
        await opened(life, broker, approval(1))
        await life.bus.publish([commanded(Flatten)])
        await left(life, broker, approval(1), "flatten")
        await life.send(approval(2))
        await life.order("ENTRY", "OPEN", of=approval(2))
        await life.bus.publish([commanded(StopTrading)])
        await life.trade(pos_id=approval(2).pos_id, exit_reason="stop_trading")
        placed = len(broker.book.requests)
        await life.send(approval(3))
        await life.trade(pos_id=approval(3).pos_id, state=TradeState.CANCELLED)
        assert (await life.orders(of=approval(3)))[0].reason == "stop_trading"
        assert len(broker.book.requests) == placed


async def test_a_flatten_that_is_heard_late_or_again_means_nothing_that_was_opened_since(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker, reconcile_seconds=60) as life:
        await opened(life, broker, approval(1))
        await life.bus.publish(
            [commanded(Flatten, ago_seconds=60), commanded(Flatten, "s2"), commanded(StopTrading, "s2")]
        )

        async def put_aside() -> bool:
            return len(await life.bus.dead_letters(COMMANDS.name, count=10)) == 2

        await life.until(put_aside)  # of a session that nobody has: the one before them is dealt with
        assert [trade.exit_reason for trade in await life.trades()] == [None]
        await life.bus.publish([commanded(Flatten)])
        await left(life, broker, approval(1), "flatten")


@pytest.mark.parametrize("kind", [Flatten, StopTrading])
async def test_a_command_that_came_while_execution_was_away_is_obeyed_by_its_next_life(around, kind) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await opened(life, broker, approval(1))
    await life.bus.publish([commanded(kind)])
    async with BrokerLife(around, broker) as life:
        await left(life, broker, approval(1), REASONS[kind])
        assert sold(broker) == 1


async def test_a_stop_that_the_bus_lost_is_found_in_the_book(around) -> None:
    broker, register_of = FakeBroker(), session_register(around.book)
    async with trading(around, broker, reconcile_seconds=60) as life:
        await opened(life, broker, approval(1))
        async with around.book.begin() as tx:
            await register_of.set_status(tx, "s1", SessionStatus.STOPPING)
        await left(life, broker, approval(1), "stop_trading")
        async with around.book.begin() as tx:
            await register_of.end(
                tx, "s1", SessionStatus.STOPPED, seen=SessionStatus.STOPPING, now_ns=1, reason="stopped"
            )
    async with BrokerLife(around, broker, reconcile_seconds=60) as life:
        await life.send(approval(2))
        await life.trade(pos_id=approval(2).pos_id, state=TradeState.CANCELLED)
        assert (await life.orders(of=approval(2)))[0].reason == "session_over"


async def test_a_trade_is_closed_by_the_instance_that_has_it(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await opened(life, broker, approval(1))
        async with await around.life(broker, instance="2", **life.settings):
            await life.bus.publish([commanded(Flatten)])
            await left(life, broker, approval(1), "flatten")
        assert [trade.owner for trade in await life.trades()] == ["execution-1"]
        assert sold(broker) == 1


async def test_a_paper_session_is_closed_as_well(tmp_path: Path) -> None:
    around = Around.memory(state_dir=tmp_path)
    await register(around.book, X)
    await begin(around.book, paper_spec())
    entry = paper_approval(1, at_ns=MORNING)
    async with await around.life() as life:
        await around.publish(intent(entry))

        async def held() -> bool:
            return any(trade.entry_quantity == 100 for trade in await around.hands.trades())

        await around.publish(slice_of(MORNING, [10_000] * 20))
        await until(held, life)
        await around.publish(commanded(Flatten))

        async def leaving() -> bool:
            return (await around.hands.trades())[0].exit_reason == "flatten"

        await until(leaving, life)
        await around.publish(slice_of(MORNING + 60 * SECOND, [10_000] * 20))

        async def closed() -> bool:
            return (await around.hands.trades())[0].state is TradeState.CLOSED

        await until(closed, life)


@pytest.mark.parametrize("kind", [Flatten, StopTrading])
async def test_a_paced_run_waits_for_risk(tmp_path: Path, kind) -> None:
    around = Around.memory(state_dir=tmp_path, paced=True)
    await register(around.book, X)
    await begin(around.book, paper_spec())
    first, second, third = (MORNING + number * 60 * SECOND for number in range(3))
    entry = paper_approval(1, at_ns=first + 10 * SECOND)
    later = paper_approval(2, at_ns=third + 10 * SECOND)
    steps = [
        [Outgoing(TICKS_STREAM, "ticks", b"", watermark_ns=first - 1, slice_start_ns=0), mark(first)],
        [slice_of(first, [10_000] * 50), intent(entry), mark(second)],
        [slice_of(second, [10_000] * 50), commanded(kind), mark(third)],
        [slice_of(third, [10_000] * 50), intent(later), mark(third + 60 * SECOND)],
        [slice_of(third + 60 * SECOND, [10_000] * 50), mark(third + 120 * SECOND)],
    ]
    async with await around.life(paced=True):
        await play(around.bus, steps)
    assert [(one.exit_reason, one.entry_quantity) for one in await around.hands.trades()] == [(None, 100)] * 2


@pytest.mark.parametrize("by", ["strategy", "pos_id"])
async def test_a_part_of_a_session_is_closed_and_not_the_rest_of_it_in_the_same_symbol(around, by: str) -> None:
    broker, entry = FakeBroker(), approval(1)
    other = approval(2).model_copy(update={"strategy": "ema"})
    async with trading(around, broker, reconcile_seconds=60) as life:
        await opened(life, broker, entry)
        await opened(life, broker, other)
        nobodys = {"strategy": "rsi"} if by == "strategy" else {"pos_id": derive_id(1, "nobody")}
        await life.bus.publish([commanded(Flatten, **nobodys), commanded(Flatten, **{by: getattr(entry, by)})])
        await left(life, broker, entry, "flatten")
        assert [one.pos_id for one in await life.trades(exit_reason=None)] == [other.pos_id]
        await life.order("STOP", "TRIGGER_PENDING", of=other)
        assert sold(broker) == 1
        await life.bus.publish([commanded(Flatten, symbol="NIFTY")])  # what its contracts are on
        await left(life, broker, other, "flatten")


async def test_flattens_of_parts_that_came_while_execution_was_away_are_each_obeyed_by_its_next_life(around) -> None:
    broker, entries = FakeBroker(), [approval(number) for number in range(1, 4)]
    async with trading(around, broker) as life:
        for entry in entries:
            await opened(life, broker, entry)
    await life.bus.publish([commanded(Flatten, pos_id=str(entry.pos_id)) for entry in entries[:2]])
    async with BrokerLife(around, broker) as life:
        for entry in entries[:2]:
            await left(life, broker, entry, "flatten")
        assert [one.pos_id for one in await life.trades(exit_reason=None)] == [entries[2].pos_id]
        assert sold(broker) == 2
