"""Paced runs: what a strategy decided inside a slice takes effect at the slice's end (decision 1). On the twins."""

from pathlib import Path

from testkit.execution_around import Around
from testkit.execution_books import begin, register
from testkit.execution_service import (
    MORNING,
    SECOND,
    TICKS,
    approval,
    exit_of,
    intent,
    mark,
    play,
    slice_of,
    spec,
)

from tradebus.bus.port import Outgoing
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole
from tradebus.trading.states import TradeState

X = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5,
)  # fmt: skip


async def test_an_entry_decided_inside_a_slice_is_placed_at_its_end_and_fills_in_the_next(tmp_path: Path) -> None:
    around = Around.memory(state_dir=tmp_path, paced=True)
    await register(around.book, X)
    await begin(around.book, spec())
    first, second, third = (MORNING + number * 60 * SECOND for number in range(3))
    entry = approval(1, at_ns=first + 10 * SECOND)  # a tick strategy's, ten seconds into the slice
    leave = exit_of(entry, at_ns=second + 20 * SECOND)
    steps = [
        [Outgoing(TICKS, "ticks", b"", watermark_ns=first - 1, slice_start_ns=0), mark(first)],
        [slice_of(first, [10_000] * 50), intent(entry), mark(second)],
        [slice_of(second, [10_000] * 50), intent(leave), mark(third)],
        [slice_of(third, [10_000] * 50), mark(third + 60 * SECOND)],
    ]
    async with await around.life(paced=True):
        await play(around.bus, steps)
    (trade,) = await around.hands.trades()
    assert (trade.state, trade.exit_reason, trade.entry_quantity, trade.exit_quantity) == (
        TradeState.CLOSED, "exit_signal", 100, 100,
    )  # fmt: skip
    after_the_stop_is_gone = third + 100_000_000  # the broker's latency for its cancellation
    placed = [(one.role, one.placed_ns) for one in trade.orders if one.role is not OrderRole.STOP]
    assert placed == [(OrderRole.ENTRY, second), (OrderRole.EXIT, after_the_stop_is_gone)]
    filled = [message.ts_event_ns for message in await around.told("ORDER_FILLED")]
    assert filled
    assert all(at_ns > second for at_ns in filled)
