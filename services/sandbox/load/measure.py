"""Measures a sandbox under load: many instruments, many ticks, many accounts that place, change and cancel orders.

The market runs at wall speed in this process; a crowd keeps resting orders in front of it. Nothing here is on the wire:
what is measured is the exchange itself, which the faces only show.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np

from services.sandbox.driver import Driver
from services.sandbox.exchange import SandboxExchange, generated_exchange
from services.sandbox.load.crowd import Crowd
from services.sandbox.options import PAISE_PER_CRORE, MarketOptions
from services.sandbox.ports import Reading
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_SETTLE_SECONDS = 3.0  # before memory is first read
_ENDED_KEPT = 5  # ended orders of each account
_FIRST_REQUESTS_EACH = 30  # until every account has as many orders, open and ended, as it will ever have


def measure_sandbox(
    *,
    seconds: float = 300.0,
    instruments: int = 5_000,
    ticks_per_second: float = 25_000.0,
    accounts: int = 1_000,
    orders_per_second: float = 500.0,
    seed: int = 1,
    settle_seconds: float = _SETTLE_SECONDS,
) -> dict[str, Any]:
    """Ticks and orders a second, lag of steps behind their time (ms), share of a core, resident memory at the start and
    at the end (bytes)."""
    options = MarketOptions(
        seed=seed,
        instruments=instruments,
        ticks_per_second=ticks_per_second,
        opening_paise=100 * PAISE_PER_CRORE,
        orders_kept=_ENDED_KEPT,  # so that what is kept does not grow with the orders of the day
    )
    exchange = generated_exchange(options)
    crowd = Crowd(exchange, accounts=accounts, seed=seed)
    return asyncio.run(
        _measured(exchange, crowd, seconds=seconds, orders_per_second=orders_per_second, settle_seconds=settle_seconds)
    )


async def _measured(
    exchange: SandboxExchange, crowd: Crowd, *, seconds: float, orders_per_second: float, settle_seconds: float
) -> dict[str, Any]:
    for _ in range(_FIRST_REQUESTS_EACH * crowd.accounts):
        crowd.act()
    driver, stop = Driver(exchange), asyncio.Event()
    listener = exchange.listen_quotes()
    tasks = [
        asyncio.create_task(driver.run(stop)),
        asyncio.create_task(crowd.run(stop, orders_per_second=orders_per_second)),
        asyncio.create_task(_drain(listener, stop)),
    ]
    await asyncio.sleep(settle_seconds)
    began_ns, processor_before = monotonic_ns(), _processor_seconds()
    ticks_before, requests_before, trades_before = exchange.floor.ticks, crowd.requests, crowd.trades
    steps_before, memory_before = driver.steps, _resident_bytes()
    await asyncio.sleep(seconds)
    took = (monotonic_ns() - began_ns) / NANOSECONDS_PER_SECOND
    memory_after, processor = _resident_bytes(), _processor_seconds() - processor_before
    lags = driver.recent_lags_ns(driver.steps - steps_before) / 1e6
    result = {
        "seconds": round(took, 1),
        "instruments": len(exchange.instruments),
        "accounts": len(exchange.floor.accounts),
        "ticks_per_second": round((exchange.floor.ticks - ticks_before) / took),
        "orders_per_second": round((crowd.requests - requests_before) / took),
        "trades_per_second": round((crowd.trades - trades_before) / took),
        "resting_orders": crowd.resting(),
        "lag_ms_p50": round(float(np.percentile(lags, 50)), 2),
        "lag_ms_p99": round(float(np.percentile(lags, 99)), 2),
        "lag_ms_max": round(float(lags.max()), 2),
        "core_share": round(processor / took, 3),
        "rss_start_bytes": memory_before,
        "rss_end_bytes": memory_after,
    }
    stop.set()
    await asyncio.gather(*tasks)
    exchange.unlisten(listener)
    return result


async def _drain(queue: Reading[Any], stop: asyncio.Event) -> None:
    """A reader of every batch, as a face is."""
    while not stop.is_set():
        try:
            async with asyncio.timeout(0.5):
                await queue.get()
        except TimeoutError:
            continue


def _resident_bytes() -> int:
    """Of this process; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * 4096


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system
