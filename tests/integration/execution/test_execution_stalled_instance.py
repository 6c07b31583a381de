"""An instance that stood still (a paused machine, a stopped process) between deciding an order and sending it."""

import pytest
from testkit.execution_brokers import Life, approval, opened, spec
from testkit.fake_broker import FakeBroker

from tradebus.kernel.clock import WallClock
from tradebus.waiting.timers import WallTimers

pytestmark = pytest.mark.usefixtures("listed")


class Standing(WallTimers):
    """A machine that stands still for `standing_ns` whenever somebody looks at how much time has passed."""

    standing_ns = 0
    _stood_ns = 0

    def monotonic_ns(self) -> int:
        self._stood_ns += self.standing_ns
        return super().monotonic_ns() + self._stood_ns


async def test_what_another_instance_may_have_sent_by_now_is_not_sent(tmp_path, where, listed) -> None:
    broker, timers = FakeBroker(), Standing(WallClock())
    async with Life(where, tmp_path, broker, timers=timers) as life:
        await life.started(spec())
        timers.standing_ns = 60 * 10**9
        await life.send(approval(1))
        await life.until_state("ENTRY", "PENDING")
        await life.keeps_house(rounds=4)
        assert broker.book.requests == [], "its heart has stopped: whoever adopts the trade sends the order"
        timers.standing_ns = 0
        # It waited for its account, and leaves now; or was on its way, and is never sent again.
        ended = await life.one("SELECT * FROM orders WHERE role = 'ENTRY' AND state IN ($1, $2)", "OPEN", "CANCELLED")
    assert len(broker.book.requests) == (ended["state"] == "OPEN")


async def test_an_open_question_about_another_instances_order_is_its_own(tmp_path, where, listed) -> None:
    broker = FakeBroker()
    async with Life(where, tmp_path, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
        [pos_id] = life.components[0].roster.alive
        stop = await life.until_state("STOP", "TRIGGER_PENDING")
        await listed.pool.execute("INSERT INTO execution_instances VALUES ('execution-2', now() + interval '1 hour')")
        await listed.pool.execute("UPDATE trades SET owner = 'execution-2', version = version + 1")
        await listed.pool.execute("UPDATE orders SET state = 'PENDING' WHERE role = 'STOP'")
        del broker.book.orders[stop["broker_order_id"]]
        life.components[0].keeper.doubt(pos_id, stop["order_id"])
        await life.keeps_house(rounds=6)
        assert await listed.pool.fetchval("SELECT owner FROM trades") == "execution-2"
    assert len(broker.book.requests) == 2, "the other instance is about to send that stop"
