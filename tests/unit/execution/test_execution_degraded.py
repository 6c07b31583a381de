"""A broker that was not to be reached for too long: its account is flat before anything is entered in it again."""

import pytest
from testkit.broker_life import BrokerLife, opened
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, spec
from testkit.fake_broker import FakeBroker

from tradebus.bus.port import Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, ResumeTrading
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import derive_id
from tradebus.trading.states import OrderState, TradeState


async def away(life: BrokerLife, broker: FakeBroker) -> None:
    """The broker cannot be read until that is said, and can again."""
    said = len(await life.around.told("RECONCILE_MISMATCH"))
    broker.book.readable = False

    async def lost() -> bool:
        return len(await life.around.told("RECONCILE_MISMATCH")) > said

    await life.until(lost)
    broker.book.readable = True


async def stop_ended(life: BrokerLife, broker: FakeBroker, entry: Message) -> None:
    """The position's stop is its exit now."""
    await life.order("STOP", "OPEN", of=entry)


async def exit_fills(life: BrokerLife, broker: FakeBroker, entry: Message) -> None:
    leaving = (await life.order("STOP", "OPEN", of=entry)).broker_order_id
    broker.tell(broker.book.fill(leaving, PRICE, at_ns=TEN + 3 * SECOND))
    trade = await life.trade(pos_id=entry.pos_id, state=TradeState.CLOSED)
    assert trade.exit_reason == "broker_lost"


async def agreed_again(life: BrokerLife, *, before: int) -> None:
    async def agreed() -> bool:
        return len(await life.around.told("RECONCILED")) > before

    await life.until(agreed)


async def enters(life: BrokerLife, entry: Message) -> None:
    await life.send(entry)
    await life.order("ENTRY", "OPEN", of=entry)


def commanded(kind: type[Flatten] | type[ResumeTrading]) -> Outgoing:
    at_ns = WallClock().now_ns()
    command = kind(
        event_id=derive_id(at_ns, kind.TYPE), ts_event_ns=at_ns, ts_recorded_ns=at_ns, source="gateway",
        trace_id="t", session_id="s1", user_id="u1",
    )  # fmt: skip
    return Outgoing(COMMANDS.name, command.TYPE, command.to_json())


async def test_what_is_held_is_left_when_the_broker_is_reached_again_and_then_entries_go_on(around) -> None:
    broker, other, entry = FakeBroker(), FakeBroker("dhan"), approval(1)
    async with BrokerLife(around, broker, other, lost_seconds=0.5) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await opened(life, broker, entry)
        apart = approval(1, session="s2")
        await opened(life, other, apart)
        agreed = len(await life.around.told("RECONCILED"))
        await away(life, broker)
        await stop_ended(life, broker, entry)
        refused = approval(2)
        await life.send(refused)
        blocked = await life.trade(pos_id=refused.pos_id)
        assert blocked.exit_reason == "reconcile_mismatch"
        told = [one.differences[0] for one in await life.told("RECONCILE_MISMATCH")]
        assert [one.what for one in told] == ["order book", "degraded"]
        assert "left" in told[1].action
        await exit_fills(life, broker, entry)
        await agreed_again(life, before=agreed)
        await enters(life, approval(3))
        [still] = await life.trades(pos_id=apart.pos_id)
        assert (still.state, still.exit_reason) == (TradeState.POSITION_OPEN, None), "another account's goes on"


async def test_an_account_that_holds_nothing_goes_on_at_once(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker, lost_seconds=0.5) as life:
        await life.started(spec("s1"))
        agreed = len(await life.told("RECONCILED"))
        await away(life, broker)
        await agreed_again(life, before=agreed)
        await enters(life, approval(1))


@pytest.mark.parametrize("kind", [Flatten, ResumeTrading])
async def test_what_is_not_flat_in_time_waits_for_a_person(around, kind) -> None:
    broker, entry = FakeBroker(), approval(1)
    life = BrokerLife(around, broker, lost_seconds=0.5)
    life.settings["EXECUTION_DEGRADED_LOOKS_MAX"] = 1
    async with life:
        await life.started(spec("s1"))
        await opened(life, broker, entry)
        await away(life, broker)
        await stop_ended(life, broker, entry)

        async def given_up() -> bool:
            told = [one.differences[0] for one in await life.around.told("RECONCILE_MISMATCH")]
            return any("a person" in one.action for one in told)

        await life.until(given_up)
        await exit_fills(life, broker, entry)

        async def flat_too_late() -> bool:
            told = [one.differences[0] for one in await life.around.told("RECONCILE_MISMATCH")]
            return any(one.brokers == "flat, too late" for one in told)

        await life.until(flat_too_late)
        refused = approval(2)
        await life.send(refused)
        assert (await life.trade(pos_id=refused.pos_id)).exit_reason == "reconcile_mismatch"
        agreed = len(await life.around.told("RECONCILED"))
        await life.bus.publish([commanded(kind)])
        await agreed_again(life, before=agreed)
        await enters(life, approval(3))
        assert len(await life.orders(state=OrderState.OPEN)) == 1


async def given_up(life: BrokerLife, broker: FakeBroker, entry: Message) -> None:
    """The account was lost and not flat in time; its position ends after that."""
    await opened(life, broker, entry)
    await away(life, broker)
    await stop_ended(life, broker, entry)

    async def waits() -> bool:
        told = [one.differences[0] for one in await life.around.told("RECONCILE_MISMATCH")]
        return any("a person" in one.action for one in told)

    await life.until(waits)
    await exit_fills(life, broker, entry)


async def test_a_restart_forgets_nothing_of_it_until_a_person_acts(around) -> None:
    broker, entry = FakeBroker(), approval(1)
    first = BrokerLife(around, broker, lost_seconds=0.5)
    first.settings["EXECUTION_DEGRADED_LOOKS_MAX"] = 1
    async with first:
        await first.started(spec("s1"))
        early = commanded(Flatten)  # said before it was lost: heard again by who is new to the bus
        await given_up(first, broker, entry)
        await first.life.kill()
    again = BrokerLife(around, broker, lost_seconds=120)
    async with again:
        await around.bus.publish([early])
        told = len(await around.told("RECONCILE_MISMATCH"))

        async def told_again() -> bool:
            return len(await around.told("RECONCILE_MISMATCH")) > told

        await again.until(told_again)
        refused = approval(2)
        await again.send(refused)
        assert (await again.trade(pos_id=refused.pos_id)).exit_reason == "reconcile_mismatch"
        agreed = len(await around.told("RECONCILED"))
        await around.bus.publish([commanded(Flatten)])
        await agreed_again(again, before=agreed)
        await enters(again, approval(3))
