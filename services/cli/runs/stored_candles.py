"""The candles in a namespace's book as a market for the engine."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import date, time, timedelta
from typing import Any

from services.cli.place import open_database
from services.market_data.feeds.simulation import SimulatedMarket
from services.market_data.settings import TICKS_PER_MINUTE, WARMUP_MINUTES
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns
from tradebus.store.candles import read_candles
from tradebus.store.instruments import load_instruments
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

# What the namespace without a name is called: that of the generated market of `tradebus up`.
_MAIN = "main"
_FIRST_DAY, _LAST_DAY = date(1990, 1, 1), date(2200, 1, 1)
# Each instrument with the minutes before the window and those in it.
StoredMinutes = list[tuple[Instrument, tuple[Records, Records]]]


async def read_book(
    url: str, namespace: str, *, symbols: tuple[str, ...], from_date: date | None, to_date: date | None
) -> StoredMinutes:
    """The instruments of `symbols`, each once, with their warm-up and their minutes in the window. Raises InvalidInput
    for a symbol that the book does not have, and Unavailable where there is no such book."""
    store = await Store.connect(url, namespace=namespace, producer="cli", pool_size=1, timers=wall_timers())
    try:
        master = await load_instruments(store.pool)
        return [(one, await _minutes(store, one, from_date, to_date)) for one in _wanted(master, symbols)]
    finally:
        await store.close()


def read_stored(
    namespace: str,
    *,
    symbols: tuple[str, ...],
    from_date: date | None,
    to_date: date | None,
    seed: int,
    read: Callable[..., Coroutine[Any, Any, StoredMinutes]] = read_book,
) -> tuple[SimulatedMarket, list[Instrument]]:
    """The market of `symbols` in [from_date, to_date]. Raises InvalidInput for a symbol or days without candles, and
    Unavailable where there is no such book."""
    if not symbols:
        raise InvalidInput("--stored: name what to trade with --symbol")
    with open_database() as url:
        book = "" if namespace == _MAIN else namespace
        found = asyncio.run(read(url, book, symbols=symbols, from_date=from_date, to_date=to_date))
    for instrument, rows in found:
        if not len(rows[1]):
            raise InvalidInput(
                f"--symbol {instrument.symbol}: the book of namespace {namespace!r} has no candle of it from "
                f"{from_date or 'its beginning'} to {to_date or 'its end'}"
            )
    instruments = [one for one, _ in found]
    market = SimulatedMarket(
        instruments,
        bars={one.instrument_id: rows[1] for one, rows in found},
        warmup={one.instrument_id: rows[0] for one, rows in found},
        ticks_per_minute=TICKS_PER_MINUTE,
        seed=seed,
    )
    return market, instruments


def _wanted(master: InstrumentMaster, symbols: tuple[str, ...]) -> list[Instrument]:
    """Each once, in the order in which they were asked for."""
    return list({one.instrument_id: one for one in (master.find(symbol) for symbol in symbols)}.values())


async def _minutes(store: Store, one: Instrument, first: date | None, last: date | None) -> tuple[Records, Records]:
    """The warm-up before the window, and the window."""
    from_ns = ist_to_ns(first or _FIRST_DAY, time(0))
    to_ns = ist_to_ns((last or _LAST_DAY) + timedelta(days=1), time(0))
    number = one.instrument_id
    before = await read_candles(store.pool, instrument=number, from_ns=0, to_ns=from_ns, limit=WARMUP_MINUTES)
    return before, await read_candles(store.pool, instrument=number, from_ns=from_ns, to_ns=to_ns)
