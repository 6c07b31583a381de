"""Brokers' own names for registered instruments, as of a day of their masters.

Invariant (tested on a real server): what was put for a day is what is read for that day, and for no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg

from tradebus.store.queries import load_queries

_SQL = load_queries("tradebus.store", "broker_instruments")


@dataclass(frozen=True, slots=True)
class BrokerInstrument:
    """One row. `instrument_key` is the text of an InstrumentKey; money in paise, quantities in units."""

    instrument_id: int
    instrument_key: str
    token: str
    broker_segment: str
    symbol: str
    lot_size: int
    tick_size_paise: int
    freeze_quantity: int | None


async def put_broker_instruments(
    connection: asyncpg.Connection | asyncpg.Pool, broker: str, rows: Sequence[BrokerInstrument], *, listed_on: date
) -> None:
    """Adds or replaces the broker's rows. The instruments must be registered, with their key."""
    await connection.executemany(
        _SQL["put"],
        [
            (broker, row.instrument_id, row.token, row.broker_segment, row.symbol, row.lot_size, row.tick_size_paise,
             row.freeze_quantity, listed_on)
            for row in rows
        ],
    )  # fmt: skip


async def read_broker_instruments(
    connection: asyncpg.Connection | asyncpg.Pool, broker: str, *, listed_on: date
) -> list[BrokerInstrument]:
    """The rows of that day's master, by instrument."""
    return [BrokerInstrument(**dict(row)) for row in await connection.fetch(_SQL["of_broker"], broker, listed_on)]
