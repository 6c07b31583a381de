"""The broker's own kill switch follows ours where that is asked for: after the account is flat, once, and told."""

import pytest
from testkit.broker_life import BrokerLife, opened
from testkit.execution_brokers import approval, spec
from testkit.fake_broker import FakeBroker

from tradebus.brokers.account import NetPosition
from tradebus.contracts.orders import Reconciled
from tradebus.store.books import kill_switch_book

OTHERS = NetPosition("1", "NSE", "SBIN", "CNC", 5, 5, 0, 0, 0, 0)


def life_of(around, broker: FakeBroker, *, asked: bool = True) -> BrokerLife:
    life = BrokerLife(around, broker)
    life.settings["EXECUTION_KILL_AT_BROKER"] = asked
    return life


async def killed(life: BrokerLife) -> None:
    async with life.around.book.begin() as transaction:
        await kill_switch_book(life.around.book).engage(transaction, reason="enough", at_ns=5)


async def said(life: BrokerLife) -> str:
    """What the broker's switch came to, as people are told."""

    async def told() -> list[str]:
        found = [one for one in await life.around.told("RECONCILED") if isinstance(one, Reconciled)]
        return [each.brokers for one in found for each in one.differences if each.what == "kill switch"]

    (brokers,) = await life.until(told)
    return str(brokers)


async def test_it_is_engaged_once_nothing_is_held_or_rests(around) -> None:
    broker = FakeBroker()
    async with life_of(around, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
        await killed(life)
        await life.leave(broker, approval(1))
        assert await said(life) == "engaged"
        assert broker.switched_off
        assert all(order.status.final for order in broker.book.orders.values())


async def test_a_broker_that_offers_none_is_told_by_name(around) -> None:
    broker = FakeBroker()
    broker.switch_refused = "offers no kill switch to programs"
    async with life_of(around, broker) as life:
        await life.started(spec())
        await killed(life)
        assert await said(life) == "kite: offers no kill switch to programs"


@pytest.mark.parametrize("why", ["not asked for", "others hold something", "no kill"])
async def test_it_is_not_engaged(around, why: str) -> None:
    broker = FakeBroker()
    broker.book.hand_made = [OTHERS] if why == "others hold something" else []
    async with life_of(around, broker, asked=why != "not asked for") as life:
        await life.started(spec())
        if why != "no kill":
            await killed(life)
        asked = broker.positions_asked
        await life.until(lambda: _later(broker, asked))
        assert not broker.switched_off
        if why == "others hold something":
            assert await said(life) == "not engaged: +5 SBIN would be locked in"
            broker.book.hand_made = []

            async def engaged() -> bool:
                return broker.switched_off

            await life.until(engaged)


async def _later(broker: FakeBroker, asked: int) -> bool:
    return broker.positions_asked > asked + 14
