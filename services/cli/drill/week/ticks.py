"""Market data's part: one slice of ticks for each step of the market, of every price that is there."""

import numpy as np

from services.sandbox.exchange import SandboxExchange
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.records import TICK
from tradebus.contracts.streams import MD_TICKS, key_of
from tradebus.kernel.time import NANOSECONDS_PER_SECOND


async def publish_ticks(bus: Bus, exchange: SandboxExchange, *, now_ns: int, seconds: float) -> None:
    """The slice of the last so many market seconds; without ticks where nothing was traded in them."""
    start_ns = now_ns + 1 - round(seconds * NANOSECONDS_PER_SECOND)
    quotes = exchange.quotes[exchange.quotes["ts_event_ns"] >= start_ns]
    ticks = np.zeros(len(quotes), TICK)
    for name in ("price_paise", "instrument", "ts_event_ns", "ts_received_ns"):
        ticks[name] = quotes[name]
    ticks["bid_paise"], ticks["ask_paise"] = quotes["bid_paise"][:, 0], quotes["ask_paise"][:, 0]
    await bus.publish(
        [Outgoing(key_of(MD_TICKS), "ticks", ticks.tobytes(), watermark_ns=now_ns, slice_start_ns=start_ns)]
    )
