"""A broker that hangs on every request holds up its own account and no other: trading, at the start, on a kill."""

from dataclasses import replace

import pytest
from testkit.broker_life import BrokerLife, opened
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, spec
from testkit.fake_broker import MASTER, FakeBroker
from testkit.hanging_book import HangingBook

from tradebus.brokers.account import SessionState
from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import Kill
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.ids import derive_id
from tradebus.store.books import kill_switch_book
from tradebus.trading.states import OrderState


def brokers() -> tuple[FakeBroker, FakeBroker]:
    """One that can hang, and another."""
    hanging = FakeBroker("kite")
    hanging.book = HangingBook()
    return hanging, FakeBroker("dhan", [replace(row, token=f"D{row.token}") for row in MASTER])


async def round_trip(life: BrokerLife, broker: FakeBroker, entry) -> None:
    """An entry, its stop, and the exit, to the trade's end."""
    await life.send(entry)
    number = (await life.order("ENTRY", "OPEN", of=entry)).broker_order_id
    broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + SECOND))
    await life.leave(broker, entry)


async def test_entries_and_exits_of_another_account_go_through_while_one_broker_hangs(around) -> None:
    hanging, other = brokers()
    async with BrokerLife(around, hanging, other, reconcile_seconds=60) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        hanging.book.answering.clear()
        await life.send(*(approval(number) for number in range(1, 4)))

        async def asked():
            return len(hanging.book.asked) == 3

        await life.until(asked)
        for number in range(1, 4):
            await round_trip(life, other, approval(number, session="s2", at_ns=TEN + number))
        assert len(await life.orders(state=OrderState.PENDING)) == 3
        hanging.book.answering.set()
        await life.until_orders(3, state=OrderState.OPEN)


async def test_an_account_whose_broker_hangs_at_the_start_keeps_no_other_from_starting(around) -> None:
    first, second = brokers()
    async with BrokerLife(around, first, second, reconcile_seconds=60) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await opened(life, first, approval(1))
        await life.send(approval(1, session="s2"))
        await life.until_orders(1, state=OrderState.OPEN)
    first.book.answering.clear()
    async with BrokerLife(around, first, second, reconcile_seconds=60) as life:
        await round_trip(life, second, approval(2, session="s2", at_ns=TEN + 5))
        first.book.answering.set()


async def test_a_kill_reaches_every_account_though_one_hangs_and_lets_no_entry_out_that_waits(around) -> None:
    hanging, other = brokers()
    async with BrokerLife(around, hanging, other, reconcile_seconds=60) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await opened(life, hanging, approval(1))
        await life.send(approval(1, session="s2"))
        number = (await life.order("ENTRY", "OPEN", of=approval(1, session="s2"))).broker_order_id
        other.tell(other.book.fill(number, PRICE, at_ns=TEN + SECOND))
        await life.until_orders(2, state=OrderState.TRIGGER_PENDING)
        hanging.book.answering.clear()
        # More entries than may be under way at once: the others wait for their account.
        await life.send(*(approval(number) for number in range(2, 9)))
        await life.until_orders(7, state=OrderState.PENDING)
        asked = 1 + 4  # the one that filled, and as many as may be under way

        async def as_many_as_may_be():
            return len([one for one in hanging.book.asked if one == "place BUY"]) == asked

        await life.until(as_many_as_may_be)
        async with around.book.begin() as tx:
            await kill_switch_book(around.book).engage(tx, reason="test", at_ns=1)
        kill = Kill(event_id=derive_id(1, "kill"), ts_event_ns=1, ts_recorded_ns=1, source="gateway", trace_id="t",
                    reason="test")  # fmt: skip
        await life.bus.publish([Outgoing(COMMANDS.name, kill.TYPE, kill.to_json())])

        async def reached():
            leaving = [one for one in other.book.orders.values() if one.transaction == "SELL" and not one.trigger_paise]
            return leaving and "modify" in hanging.book.asked

        await life.until(reached)
        hanging.book.answering.set()

        async def all_leave():
            return not await life.trades(exit_reason=None)

        await life.until(all_leave)
        await life.until_orders(0, state=OrderState.PENDING, role=OrderRole.ENTRY)
        assert len([one for one in hanging.book.asked if one == "place BUY"]) == asked


@pytest.mark.parametrize(
    ("state", "said"), [(SessionState.EXPIRED, "login_ended"), (SessionState.UNKNOWN, "broker_lost")],
    ids=["bad token", "429"],
)  # fmt: skip
async def test_one_users_bad_token_or_too_many_requests_touch_no_other_user_of_the_broker(
    around, state: SessionState, said: str
) -> None:
    asha, bob = FakeBroker(), FakeBroker(client_id="bob")
    async with BrokerLife(around, asha, bob, lost_seconds=0.3) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", credential="kite"))
        await opened(life, bob, held := approval(1, session="s2"))
        asha.session.state = state
        asha.book.readable, asha.book.refused = False, "Too many requests"
        [told] = [one for one in await life.told("RECONCILE_MISMATCH") if one.session_id == "s1"]
        assert told.differences[0].what == ("login" if state is SessionState.EXPIRED else "order book")
        await life.send(hers := approval(2))
        assert (await life.trade(pos_id=hers.pos_id)).exit_reason == said
        for number in range(3, 6):
            await round_trip(life, bob, approval(number, session="s2", at_ns=TEN + number))
        assert (await life.trade(pos_id=held.pos_id)).exit_reason is None
        assert [one for one in await around.told("RECONCILE_MISMATCH") if one.session_id == "s2"] == []
    assert asha.book.requests == []
