"""An instance that stood still (a paused machine, a stopped process) between deciding an order and sending it."""

import asyncio

import pytest
from testkit.execution_brokers import Life, approval, opened, spec
from testkit.fake_broker import FakeBroker

pytestmark = pytest.mark.usefixtures("listed")


async def test_what_another_instance_may_have_sent_by_now_is_not_sent(tmp_path, where, listed) -> None:
    broker = FakeBroker()
    async with Life(where, tmp_path, broker) as life:
        await life.started(spec())
        keeper = life.component._keeper
        heart, beats = keeper.commits.ledger.heartbeat, asyncio.Event()

        async def stopped(owner: str) -> None:
            await beats.wait()
            await heart(owner)

        keeper.commits.ledger.heartbeat = stopped
        await asyncio.sleep(0.3)
        life.component._pulse._beat_ns -= 60 * 10**9
        await life.send(approval(1))
        await life.until_state("ENTRY", "PENDING")
        await asyncio.sleep(0.5)  # it would be sent by then: less time would prove less, never fail
        assert broker.book.requests == [], "its heart has stopped: whoever adopts the trade sends the order"
        beats.set()
        await life.until_state("ENTRY", "OPEN")
    assert len(broker.book.requests) == 1


async def test_an_open_question_about_another_instances_order_is_its_own(tmp_path, where, listed) -> None:
    broker = FakeBroker()
    async with Life(where, tmp_path, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
        keeper = life.component._keeper
        [pos_id] = keeper.roster.alive
        stop = await life.until_state("STOP", "TRIGGER_PENDING")
        await listed.pool.execute("INSERT INTO execution_instances VALUES ('execution-2', now() + interval '1 hour')")
        await listed.pool.execute("UPDATE trades SET owner = 'execution-2', version = version + 1")
        await listed.pool.execute("UPDATE orders SET state = 'PENDING' WHERE role = 'STOP'")
        del broker.book.orders[stop["broker_order_id"]]
        keeper._sending.doubts.add((pos_id, stop["order_id"]))
        await asyncio.sleep(1.0)  # some rounds of housekeeping: fewer would prove less, never fail
        assert await listed.pool.fetchval("SELECT owner FROM trades") == "execution-2"
    assert len(broker.book.requests) == 2, "the other instance is about to send that stop"
