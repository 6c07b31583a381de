"""Paced runs: what a strategy decided inside a slice takes effect at the slice's end (decision 1)."""

from testkit.execution_service import (
    MORNING,
    SECOND,
    TICKS,
    Running,
    approval,
    exit_of,
    intent,
    mark,
    messages,
    play,
    slice_of,
)

from tradebus.bus.port import Outgoing


async def test_an_entry_decided_inside_a_slice_is_placed_at_its_end_and_fills_in_the_next(
    book, bus, database_url, redis_url, namespace
):
    first, second, third = (MORNING + number * 60 * SECOND for number in range(3))
    entry = approval(1, at_ns=first + 10 * SECOND)  # a tick strategy's, ten seconds into the slice
    leave = exit_of(entry, at_ns=second + 20 * SECOND)
    steps = [
        [Outgoing(TICKS, "ticks", b"", watermark_ns=first - 1, slice_start_ns=0), mark(first)],
        [slice_of(first, [10_000] * 50), intent(entry), mark(second)],
        [slice_of(second, [10_000] * 50), intent(leave), mark(third)],
        [slice_of(third, [10_000] * 50), mark(third + 60 * SECOND)],
    ]
    async with Running(database_url, redis_url, namespace) as running:
        await play(bus, steps, running=running)
    [trade] = await book.pool.fetch("SELECT state, exit_reason, entry_quantity, exit_quantity FROM trades")
    assert tuple(trade) == ("CLOSED", "exit_signal", 100, 100)
    placed = await book.pool.fetch("SELECT role, placed_ns FROM orders WHERE role <> 'STOP' ORDER BY placed_ns")
    after_the_stop_is_gone = third + 100_000_000  # the broker's latency for its cancellation
    assert [tuple(row) for row in placed] == [("ENTRY", second), ("EXIT", after_the_stop_is_gone)]
    filled = [message.ts_event_ns for message in await messages(bus) if message.TYPE == "ORDER_FILLED"]
    assert all(at_ns > second for at_ns in filled)
