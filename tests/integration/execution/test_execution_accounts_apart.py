"""A broker that hangs on every request holds up its own account and no other: trading, at the start, on a kill."""

from dataclasses import replace

import pytest
from testkit.execution_brokers import PRICE, SECOND, TEN, Life, approval, exit_of, opened, spec
from testkit.execution_service import until
from testkit.fake_broker import MASTER, FakeBook, FakeBroker

from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import Kill
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.ids import derive_id
from tradebus.trading.orders import BrokerStatus, Lookup, OrderModification, OrderRequest, Outcome

pytestmark = pytest.mark.usefixtures("listed")


class HangingBook(FakeBook):
    """Every request hangs while `answering` is cleared; it is noted when it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def place(self, request: OrderRequest) -> Outcome:
        self.asked.append(f"place {request.transaction}")
        await self.answering.wait()
        return await super().place(request)

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        self.asked.append("modify")
        await self.answering.wait()
        return await super().modify(account, broker_order_id, change)

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        self.asked.append("cancel")
        await self.answering.wait()
        return await super().cancel(account, broker_order_id, at_ns=at_ns)

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        self.asked.append("look up")
        return await super().find_by_tag(account, tag)

    async def order_book(self, account: str):
        await self.answering.wait()
        return await super().order_book(account)


def brokers() -> tuple[FakeBroker, FakeBroker]:
    """One that can hang, and another."""
    hanging = FakeBroker("kite")
    hanging.book = HangingBook()
    return hanging, FakeBroker("dhan", [replace(row, token=f"D{row.token}") for row in MASTER])


async def round_trip(life: Life, broker: FakeBroker, entry) -> None:
    """An entry, its stop, and the exit, to the trade's end."""
    row = "SELECT * FROM orders o JOIN trades t USING (pos_id) WHERE t.pos_id = $1 AND o.role = $2 AND o.state = $3"
    await life.send(entry)
    number = (await life.one(row, entry.pos_id, "ENTRY", "OPEN"))["broker_order_id"]
    broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + SECOND))
    stop = (await life.one(row, entry.pos_id, "STOP", "TRIGGER_PENDING"))["broker_order_id"]
    await life.send(exit_of(entry, at_ns=TEN + 2 * SECOND))

    async def cancelled():
        return broker.book.orders[stop].status is BrokerStatus.CANCELLED

    await until(cancelled, life)
    broker.tell(broker.book.orders[stop])
    number = (await life.one(row, entry.pos_id, "EXIT", "OPEN"))["broker_order_id"]
    broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + 3 * SECOND))
    await life.one("SELECT 1 FROM trades WHERE pos_id = $1 AND state = 'CLOSED'", entry.pos_id)


async def test_entries_and_exits_of_another_account_go_through_while_one_broker_hangs(tmp_path, where) -> None:
    hanging, other = brokers()
    async with Life(where, tmp_path, hanging, other, reconcile_seconds=60) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        hanging.book.answering.clear()
        await life.send(*(approval(number) for number in range(1, 4)))

        async def asked():
            return len(hanging.book.asked) == 3

        await until(asked, life)
        for number in range(1, 4):
            await round_trip(life, other, approval(number, session="s2", at_ns=TEN + number))
        assert await life.store.pool.fetchval("SELECT count(*) FROM orders WHERE state = 'PENDING'") == 3
        hanging.book.answering.set()
        await life.one("SELECT 1 WHERE (SELECT count(*) FROM orders WHERE state = 'OPEN') = 3")


async def test_an_account_whose_broker_hangs_at_the_start_keeps_no_other_from_starting(tmp_path, where) -> None:
    first, second = brokers()
    async with Life(where, tmp_path, first, second, reconcile_seconds=60) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await opened(life, first, approval(1))
        await life.send(approval(1, session="s2"))
        await life.one("SELECT 1 WHERE (SELECT count(*) FROM orders WHERE state = 'OPEN') = 1")
    first.book.answering.clear()
    async with Life(where, tmp_path, first, second, reconcile_seconds=60) as life:
        await round_trip(life, second, approval(2, session="s2", at_ns=TEN + 5))
        first.book.answering.set()


async def test_a_kill_reaches_every_account_though_one_hangs_and_lets_no_entry_out_that_waits(tmp_path, where) -> None:
    hanging, other = brokers()
    async with Life(where, tmp_path, hanging, other, reconcile_seconds=60) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await opened(life, hanging, approval(1))
        await life.send(approval(1, session="s2"))
        number = (
            await life.one(
                "SELECT * FROM orders WHERE pos_id = $1 AND state = 'OPEN'", approval(1, session="s2").pos_id
            )
        )["broker_order_id"]
        other.tell(other.book.fill(number, PRICE, at_ns=TEN + SECOND))
        await life.one("SELECT 1 WHERE (SELECT count(*) FROM orders WHERE state = 'TRIGGER_PENDING') = 2")
        hanging.book.answering.clear()
        # More entries than may be under way at once: the others wait for their account.
        await life.send(*(approval(number) for number in range(2, 9)))
        await life.one("SELECT 1 WHERE (SELECT count(*) FROM orders WHERE state = 'PENDING') = 7")
        asked = len([one for one in hanging.book.asked if one == "place BUY"])
        await life.store.pool.execute("INSERT INTO kill_switch VALUES (true, true, 'test', 1)")
        kill = Kill(event_id=derive_id(1, "kill"), ts_event_ns=1, ts_recorded_ns=1, source="gateway", trace_id="t",
                    reason="test")  # fmt: skip
        await life.bus.publish([Outgoing(COMMANDS.name, kill.TYPE, kill.to_json())])

        async def reached():
            stopped = [order for order in other.book.orders.values() if order.status is BrokerStatus.CANCELLED]
            return stopped and "cancel" in hanging.book.asked

        await until(reached, life)
        hanging.book.answering.set()
        await life.one("SELECT 1 WHERE (SELECT count(*) FROM trades WHERE exit_reason IS NULL) = 0")
        await life.one("SELECT 1 WHERE (SELECT count(*) FROM orders WHERE state = 'PENDING' AND role = 'ENTRY') = 0")
        assert len([one for one in hanging.book.asked if one == "place BUY"]) == asked
