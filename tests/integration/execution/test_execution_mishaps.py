"""What goes wrong around execution: a broker request that fails, old commands, approvals of nobody's."""

import asyncio

import pytest
from testkit.execution_service import (
    APPROVALS,
    MORNING,
    SECOND,
    TICKS,
    Running,
    approval,
    exit_of,
    intent,
    messages,
    slice_of,
    spec,
    until,
    until_watermark,
)

from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import Kill
from tradebus.contracts.orders import Transaction
from tradebus.contracts.streams import COMMANDS

MINUTE = 60 * SECOND


@pytest.fixture
def instance(database_url, redis_url, namespace):
    return lambda name="a", **given: Running(database_url, redis_url, namespace, instance=name, paced=False, **given)


class CancelFails(PaperGateway):
    """The connection drops in the middle of one cancellation."""

    async def cancel(self, account, broker_order_id, *, at_ns):
        self.__class__ = PaperGateway
        raise OSError("connection lost")


class PlaceFails(PaperGateway):
    """The connection drops in the middle of one placement."""

    async def place(self, request):
        self.__class__ = PaperGateway
        raise OSError("connection lost")


FAILED = asyncio.Event()  # the power


class DiesOnAnExit(PaperGateway):
    """The process ends between a closing fill in the broker's book and our hearing of it."""

    async def on_tick(self, instrument, ticks, index):
        changed = await super().on_tick(instrument, ticks, index)
        if any(report.fills and report.transaction is Transaction.SELL for report in changed):
            FAILED.set()
            await asyncio.Event().wait()
        return changed


async def order_count(book, state: str) -> int:
    return await book.pool.fetchval("SELECT count(*) FROM orders WHERE state = $1", state)


async def closes(book, bus, running) -> None:
    """Market data until the trade is closed."""
    async with asyncio.timeout(20):
        number = 1
        while await book.pool.fetchval("SELECT state FROM trades") != "CLOSED":
            assert not running.task.done(), running.task.exception()
            await bus.publish([slice_of(MORNING + number * MINUTE, [10_000] * 20)])
            number += 1
            await asyncio.sleep(0.3)


async def test_a_trade_whose_request_failed_is_recovered_and_closed(book, bus, instance):
    entry = approval(1, at_ns=MORNING)
    async with instance(paper=CancelFails) as running:
        await bus.publish([intent(entry)])
        await until(lambda: order_count(book, "OPEN"), running)
        await bus.publish([slice_of(MORNING, [10_000] * 20)])
        await until(lambda: order_count(book, "TRIGGER_PENDING"), running)
        await bus.publish([intent(exit_of(entry, at_ns=MORNING + MINUTE))])
        await closes(book, bus, running)
    assert await book.pool.fetchval("SELECT exit_reason FROM trades") == "exit_signal"


async def test_an_intent_claimed_from_a_dead_instance_is_served_though_its_placing_fails_once(book, bus, instance):
    dead = await bus.subscribe([APPROVALS], group="execution", consumer="execution-dead")
    await bus.publish([intent(approval(1, at_ns=MORNING))])
    assert len(await dead.read(block_ms=1000)) == 1
    await dead.close()
    async with instance(paper=PlaceFails) as running:
        await until(lambda: order_count(book, "OPEN"), running)

        async def acknowledged():
            return (await dead.lag())[APPROVALS] == 0

        await until(acknowledged, running)
    assert await book.pool.fetchval("SELECT count(*) FROM paper_orders") == 1


@pytest.mark.parametrize("wrong", [{"instrument": 77}, {"session_id": "nobody's"}, {"pos_id": None}])
async def test_an_approval_about_nothing_registered_is_put_aside_and_the_next_is_served(book, bus, instance, wrong):
    async with instance() as running:
        bad = approval(1, at_ns=MORNING).model_copy(update=wrong)
        await bus.publish([intent(bad), intent(approval(2, at_ns=MORNING))])
        await until(lambda: order_count(book, "OPEN"), running)
    assert len(await bus.dead_letters(APPROVALS, count=10)) == 1
    assert await book.pool.fetchval("SELECT count(*) FROM trades") == 1


async def test_an_order_that_overtakes_its_sessions_start_gets_the_sessions_paper_settings(book, bus, instance):
    async with instance() as running:
        await until(lambda: book.pool.fetchval("SELECT count(*) FROM execution_instances"), running)
        late = spec("s2").model_copy(update={"user_id": "u2"})
        await book.pool.execute(
            "INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)"
            " VALUES ('s2', 'u2', 'RUNNING', 'paper', $1, 'c2', 0)",
            late.model_dump(mode="json"),
        )
        await bus.publish([intent(approval(1, at_ns=MORNING).model_copy(update={"session_id": "s2"}))])
        await until(lambda: order_count(book, "OPEN"), running)
    body = await book.pool.fetchval("SELECT body FROM paper_orders")
    assert body["settings"] == late.paper.model_dump(mode="json")


def kill(at_ns: int) -> Outgoing:
    message = Kill(
        event_id=f"kill{at_ns}", ts_event_ns=at_ns, ts_recorded_ns=1, source="gateway", trace_id="t", reason="r"
    )
    return Outgoing(COMMANDS.name, message.TYPE, message.to_json())


async def test_a_kill_that_was_released_long_ago_keeps_no_new_instance_from_trading(book, bus, instance):
    await book.pool.execute("INSERT INTO kill_switch VALUES (true, false, 'released', $1)", MORNING + 1)
    await bus.publish([kill(MORNING)])
    waiting = instance()
    waiting.settings = waiting.settings.model_copy(update={"housekeeping_seconds": 60.0})
    async with waiting as running:

        async def read():
            own = await bus.subscribe([COMMANDS.name], group="execution-a", consumer="looker")
            return (await own.lag())[COMMANDS.name] == 0

        await until(read, running)
        assert not running.component.killed
        await bus.publish([kill(MORNING + 2)])

        async def killed():
            return running.component.killed

        await until(killed, running)


async def test_the_heart_beats_while_a_turn_takes_long(book, instance):
    heartbeat = "SELECT extract(epoch FROM heartbeat_at) FROM execution_instances"
    async with instance() as running:
        await until(lambda: book.pool.fetchval(heartbeat), running)
        async with running.component.turn:
            before = await book.pool.fetchval(heartbeat)

            async def beaten():
                return await book.pool.fetchval(heartbeat) > before

            await until(beaten, running)


async def test_a_closing_fill_heard_of_only_after_a_restart_leaves_the_same_extremes(book, bus, instance):
    """Both trades see the same ticks; the second one's instance dies with its stop filled and nobody told."""
    path = slice_of(MORNING, [10_000, 10_010, 10_020, 9_990, 9_980, 10_060, 9_940, 9_880, 9_870, 9_860])
    extremes = "SELECT highest_paise, lowest_paise, mae_r, mfe_r, net_pnl_paise FROM trades"

    async def run(running) -> None:
        await bus.publish([intent(approval(1, at_ns=MORNING))])
        await until(lambda: order_count(book, "OPEN"), running)
        await bus.publish([path])

    async def closed():
        return await book.pool.fetchval("SELECT count(*) FROM trades WHERE state = 'CLOSED'")

    async with instance(paper=DiesOnAnExit) as running:
        await run(running)
        async with asyncio.timeout(20):
            await FAILED.wait()
        await running.kill()
        assert not await closed()
    async with instance() as running:
        await until(closed, running)
    disturbed = tuple(await book.pool.fetchrow(extremes))
    for table in ("fills", "order_history", "events"):
        await book.pool.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    await book.pool.execute(
        "TRUNCATE trades, orders, fills, order_history, events, outbox, inbox, intents, paper_orders, paper_fills"
    )
    async with instance("b") as running:
        await until(
            lambda: book.pool.fetchval("SELECT count(*) FROM execution_instances WHERE name LIKE '%b'"), running
        )
        await run(running)
        await until(closed, running)
    assert tuple(await book.pool.fetchrow(extremes)) == disturbed
    assert disturbed[:2] == (10_060, 9_880)


async def test_a_broken_slice_of_a_paced_run_is_put_aside_and_the_run_goes_on(
    book, bus, database_url, redis_url, namespace
):
    async with Running(database_url, redis_url, namespace) as running:
        end_ns = MORNING + MINUTE
        await bus.publish([Outgoing(TICKS, "ticks", b"?", watermark_ns=end_ns - 1, slice_start_ns=0)])
        await until_watermark(bus, end_ns - 1, running=running)
    assert len(await bus.dead_letters(TICKS, count=10)) == 1


async def test_an_approval_that_is_put_aside_is_refused_in_one_transaction_and_once(book, bus, instance):
    """Of no instrument that anybody knows: on real servers the intent, its inbox row and the report are there together,
    and a second copy changes nothing."""
    unknown = approval(9, at_ns=MORNING).model_copy(update={"instrument": 9})

    async def aside(count: int) -> bool:
        return len(await bus.dead_letters(APPROVALS, count=10)) == count

    for count in (1, 2):
        async with instance() as running:  # the second time another life
            await bus.publish([intent(unknown)])
            await until(lambda count=count: aside(count), running)
        row = await book.pool.fetchrow("SELECT kind, outcome, session_id, body FROM intents")
        assert (row["kind"], row["outcome"], row["session_id"]) == ("ENTRY", "put_aside", "s1")
        assert row["body"]["intent_id"] == unknown.intent_id
    [told] = [one for one in await messages(bus) if one.TYPE == "ORDER_CANCELLED"]
    assert (told.pos_id, told.filled_quantity, told.reason[:10]) == (unknown.pos_id, 0, "put_aside:")
    assert await book.pool.fetchval("SELECT count(*) FROM inbox WHERE message_id = $1", unknown.intent_id) == 1
    assert await book.pool.fetchval("SELECT count(*) FROM trades") == 0
