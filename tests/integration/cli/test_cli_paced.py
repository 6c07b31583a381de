"""When a paced run is over: not before the strategies have stored what they decided on its last slices."""

import pytest

from services.cli.runs.paced import is_over
from services.market_data.feeds.bus_sink import CANDLES, END_OF_FEED
from services.strategy.reader import GROUP
from tradebus.bus.port import Bus, Outgoing


@pytest.mark.parametrize("handled", [0, 1])
async def test_a_feed_that_has_ended_is_over_once_the_strategies_have_acknowledged_all_of_it(
    bus: Bus, handled: int
) -> None:
    strategies = await bus.subscribe([CANDLES], group=GROUP, consumer="strategy")
    looking = await bus.subscribe([CANDLES], group=GROUP, consumer="cli")
    await bus.publish([Outgoing(CANDLES, "candles", b"", watermark_ns=60)])
    assert not await is_over(bus, looking)
    await strategies.ack((await strategies.read(block_ms=0))[:handled])
    await bus.publish([Outgoing(CANDLES, END_OF_FEED, watermark_ns=60)])
    assert not await is_over(bus, looking), "nobody has read the end"
    left = await strategies.read(block_ms=0)
    assert not await is_over(bus, looking), "a kill now would decide these again, in a session that must be there"
    await strategies.ack(left)
    if not handled:
        assert not await is_over(bus, looking), "the first slice is in somebody's hands"
        strategies = await bus.subscribe([CANDLES], group=GROUP, consumer="strategy")  # the next life
        await strategies.ack(await strategies.read(block_ms=0))
    assert await is_over(bus, looking)
