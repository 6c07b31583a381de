"""The market in step with the wall clock."""

import asyncio
from datetime import datetime

from testkit.exchange_hands import still

from services.sandbox.driver import Driver
from services.sandbox.exchange import generated_exchange
from services.sandbox.options import MarketOptions
from tradebus.kernel.time import IST, NANOSECONDS_PER_SECOND, datetime_to_ns


def running(start, **options):
    chosen = {"seed": 3, "instruments": 1, **options}
    return generated_exchange(MarketOptions(start=datetime.fromisoformat(start), **chosen))


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def driven(exchange, condition):
    driver, stop = Driver(exchange), asyncio.Event()
    task = asyncio.create_task(driver.run(stop))
    await until(condition)
    stop.set()
    await task
    return driver


async def test_market_time_passes_at_its_speed_in_whole_steps():
    exchange = running("2026-11-25T10:00:00", speed=100.0)
    start_ns = exchange.floor.clock.step_at_ns
    driver = await driven(exchange, lambda: exchange.now_ns - start_ns > 20 * NANOSECONDS_PER_SECOND)
    step_ns = exchange.options.step_ns
    assert step_ns == 5 * NANOSECONDS_PER_SECOND
    assert (exchange.floor.clock.step_at_ns - start_ns) % step_ns == 0
    assert driver.steps >= 4
    assert (driver.recent_lags_ns(driver.steps) >= 0).all()


async def test_listeners_get_every_step_s_quotes_and_only_those():
    exchange = running("2026-11-25T10:00:00", speed=10.0)
    queue = exchange.listen_quotes()
    await driven(exchange, lambda: queue.qsize() > 3)
    batch = queue.get_nowait()
    assert 0 < len(batch) <= len(exchange.instruments)
    assert not batch.flags.writeable
    exchange.unlisten(queue)
    size = queue.qsize()
    exchange.advance(2)
    assert queue.qsize() == size


async def test_a_slow_listener_loses_the_oldest():
    exchange = still(instruments=1)
    queue = exchange.listen_quotes()
    exchange.advance(30)
    assert queue.full()
    last = None
    while not queue.empty():
        last = queue.get_nowait()
    assert last is not None
    assert last["ts_received_ns"].max() == exchange.now_ns


async def test_closed_hours_are_skipped_where_told():
    exchange = running("2026-11-25T15:39:58", speed=50.0, skip_closed=True)
    morning_ns = datetime_to_ns(datetime(2026, 11, 26, 9, 15, tzinfo=IST))
    await driven(exchange, lambda: exchange.now_ns >= morning_ns)
    assert exchange.now_ns < morning_ns + 3600 * NANOSECONDS_PER_SECOND


async def test_at_speed_zero_only_advance_moves_the_clock():
    exchange = still(instruments=1)
    stop, before = asyncio.Event(), exchange.now_ns
    task = asyncio.create_task(Driver(exchange).run(stop))
    await asyncio.sleep(0.05)  # wall time, which moves nothing here
    assert exchange.now_ns == before
    exchange.advance(1.5)
    assert exchange.now_ns == before + 1_500_000_000
    stop.set()
    await task
