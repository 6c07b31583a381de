"""A login that ends in the middle of a session is said at once, and no entry is made with it; after a new one all goes
on."""

from testkit.broker_life import BrokerLife, opened
from testkit.execution_brokers import approval, spec
from testkit.fake_broker import FakeBroker

from tradebus.brokers.account import SessionState
from tradebus.trading.states import OrderState


async def test_it_is_said_with_what_to_do_and_entries_are_blocked_by_its_name(around) -> None:
    broker, other = FakeBroker("kite"), FakeBroker("dhan")
    async with BrokerLife(around, broker, other, lost_seconds=3600) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await opened(life, broker, approval(1))
        broker.book.readable, broker.session.state = False, SessionState.EXPIRED
        [said] = [one for one in await life.told("RECONCILE_MISMATCH") if one.session_id == "s1"]
        assert [(one.what, one.brokers) for one in said.differences] == [("login", "ended")]
        assert said.differences[0].action.startswith("`tradebus login --broker kite --credential mine`")
        refused = approval(2)
        await life.send(refused)
        assert (await life.trade(pos_id=refused.pos_id, exit_reason="login_ended")).entry_quantity == 0
        await life.send(approval(3, session="s2"))
        await life.order("ENTRY", "OPEN", of=approval(3, session="s2"))
        broker.book.readable, broker.session.state = True, SessionState.VALID

        async def agreed() -> bool:
            return len([one for one in await around.told("RECONCILED") if one.session_id == "s1"]) >= 2

        await life.until(agreed)
        later = approval(4)
        await life.send(later)
        await life.order("ENTRY", "OPEN", of=later)
        assert len(await life.orders(state=OrderState.TRIGGER_PENDING)) == 1, "the stop stood all the time"
    assert len([one for one in await around.told("RECONCILE_MISMATCH") if one.session_id == "s1"]) == 1, "said once"
    assert [one for one in await around.told("RECONCILE_MISMATCH") if one.session_id == "s2"] == []


async def test_a_broker_that_does_not_answer_has_not_ended_the_login(around) -> None:
    broker = FakeBroker("kite")
    async with BrokerLife(around, broker, lost_seconds=0.3) as life:
        await life.started(spec("s1"))
        broker.book.readable, broker.session.state = False, SessionState.UNKNOWN
        [said] = await life.told("RECONCILE_MISMATCH")
        assert [one.what for one in said.differences] == ["order book"]
