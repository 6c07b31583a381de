"""One-minute candles between numpy records and `candles_1m`, without a Python object per row.

Both directions are Postgres' binary COPY format, whose rows have one fixed layout here: numpy writes and reads it as
a structured array.

Invariants (property-tested on a real server):
- What was upserted is what is read, field by field (`tick_count` and `flags` are not kept: they describe an entry on
  the bus, not the bar).
- Of two bars with one instrument and time the one written later stands, within a batch too.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import asyncpg
import numpy as np

from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, utc_iso
from tradebus.store.queries import load_queries

_SQL = load_queries("tradebus.store", "candles")
_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
_POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01T00:00:00Z
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, no extension
_TRAILER = b"\xff\xff"
_STAGE = "candles_stage"
_FEW = 300  # up to here one INSERT of arrays is quicker than a COPY and a merge
_MANY = 20_000

# The columns of candles_1m after the two of its key, with the record fields they come from.
_VALUES = {
    "open_paise": "open_paise",
    "high_paise": "high_paise",
    "low_paise": "low_paise",
    "close_paise": "close_paise",
    "volume": "volume",
    "oi": "open_interest",
}
_COLUMNS = {"instrument_id": ">i4", "ts": ">i8", **dict.fromkeys(_VALUES, ">i8")}
# A row: the number of columns, then every column behind its length in bytes.
_ROW = np.dtype(
    [("columns", ">i2")]
    + [part for name, kind in _COLUMNS.items() for part in ((f"{name}_length", ">i4"), (name, kind))]
)
_LENGTHS = {f"{name}_length": np.dtype(kind).itemsize for name, kind in _COLUMNS.items()}


async def upsert_candles(connection_or_pool: asyncpg.Connection | asyncpg.Pool, records: Records) -> None:
    """Adds one-minute bars (dtype CANDLE, any order), replacing those with the same instrument and time.

    One transaction, the caller's where it has one. The instruments must be registered. Raises ValueError for another
    timeframe.
    """
    if not len(records):
        return
    require_minutes(records)
    bars = last_of_each(records)
    async with _connection(connection_or_pool) as connection:
        if len(bars) <= _FEW:
            columns = [bars["instrument"], bars["ts_open_ns"] // 1000, *(bars[field] for field in _VALUES.values())]
            await connection.execute(_SQL["merge_rows"], *(column.tolist() for column in columns))
        else:
            await _copy(connection, bars)


async def _copy(connection: asyncpg.Connection, bars: Records) -> None:
    body = memoryview(encode(bars))  # asyncpg would take bytes for a path
    async with connection.transaction():
        await connection.execute(_SQL["make_stage"])
        await connection.copy_to_table(_STAGE, source=body, columns=list(_COLUMNS), format="binary")
        await connection.execute(_SQL["merge_stage"])
        if len(bars) >= _MANY:
            # Whoever reads next must not wait for autovacuum to notice that the table has grown.
            await connection.execute(_SQL["analyze"])


async def read_candles(
    connection_or_pool: asyncpg.Connection | asyncpg.Pool,
    *,
    instrument: int,
    from_ns: int,
    to_ns: int,
    limit: int | None = None,
) -> Records:
    """One-minute bars with ts_open_ns in [from_ns, to_ns), ascending; with `limit` the newest so many of them."""
    statement = _SQL["read_between" if limit is None else "read_newest"].format(
        instrument=int(instrument), from_utc=_bound(from_ns), to_utc=_bound(to_ns), limit=limit and int(limit)
    )
    return await _read(connection_or_pool, statement)


async def read_candles_of_many(
    connection_or_pool: asyncpg.Connection | asyncpg.Pool,
    *,
    instruments: Sequence[int],
    from_ns: int,
    to_ns: int,
    limit: int | None = None,
) -> Records:
    """As `read_candles` for several instruments at once, by instrument and time; `limit` is each one's."""
    statement = _SQL["read_many_between" if limit is None else "read_many_newest"].format(
        instruments="{{{}}}".format(",".join(str(int(one)) for one in set(instruments))), from_utc=_bound(from_ns),
        to_utc=_bound(to_ns), limit=limit and int(limit),
    )  # fmt: skip
    return await _read(connection_or_pool, statement)


async def _read(connection_or_pool: asyncpg.Connection | asyncpg.Pool, statement: str) -> Records:
    blocks: list[bytes] = []

    async def keep(block: bytes) -> None:
        blocks.append(block)

    async with _connection(connection_or_pool) as connection:
        await connection.copy_from_query(statement, output=keep, format="binary")
    return decode(b"".join(blocks))


def encode(records: Records) -> bytes:
    """The whole COPY stream of these bars."""
    rows = np.empty(len(records), dtype=_ROW)
    rows["columns"] = len(_COLUMNS)
    for name, length in _LENGTHS.items():
        rows[name] = length
    rows["instrument_id"] = records["instrument"]
    rows["ts"] = records["ts_open_ns"] // 1000 - _POSTGRES_EPOCH_US
    for column, field in _VALUES.items():
        rows[column] = records[field]
    return _HEADER + rows.tobytes() + _TRAILER


def decode(body: bytes) -> Records:
    """The bars in a COPY stream. Raises ValueError where it is not one of candles_1m."""
    count, rest = divmod(len(body) - len(_HEADER) - len(_TRAILER), _ROW.itemsize)
    if rest or not body.startswith(_HEADER) or not body.endswith(_TRAILER):
        raise ValueError("not a complete binary COPY stream of candles_1m")
    rows = np.frombuffer(body, dtype=_ROW, offset=len(_HEADER), count=count)
    records = np.zeros(len(rows), dtype=CANDLE)
    records["ts_open_ns"] = (rows["ts"].astype(np.int64) + _POSTGRES_EPOCH_US) * 1000
    records["ts_close_ns"] = records["ts_open_ns"] + _MINUTE_NS
    records["instrument"] = rows["instrument_id"]
    records["timeframe_seconds"] = 60
    for column, field in _VALUES.items():
        records[field] = rows[column]
    return records


def require_minutes(records: Records) -> None:
    """Raises ValueError where there is a bar of another timeframe."""
    if not (records["timeframe_seconds"] == 60).all():
        raise ValueError("candles_1m takes one-minute bars only: the others are derived from them")


def last_of_each(records: Records) -> Records:
    """Sorted by instrument and time; of those with the same two, the last. ON CONFLICT takes a row only once."""
    order = np.lexsort((records["ts_open_ns"], records["instrument"]))  # stable: equals stay as they were
    found = records[order]
    is_last = np.ones(len(found), dtype=np.bool_)
    is_last[:-1] = (np.diff(found["ts_open_ns"]) != 0) | (np.diff(found["instrument"]) != 0)
    return found[is_last]


def _bound(ts_ns: int) -> str:
    """The instant for SQL, at the first whole microsecond not before it: what Postgres can tell apart."""
    return utc_iso(-(-ts_ns // 1000) * 1000)


def _connection(given: asyncpg.Connection | asyncpg.Pool) -> AbstractAsyncContextManager[Any]:
    return given.acquire() if isinstance(given, asyncpg.Pool) else nullcontext(given)
