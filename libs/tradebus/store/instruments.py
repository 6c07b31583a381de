"""The instrument master in Postgres.

Invariants (tested on a real server): an id never changes its symbol and a symbol never its id, because candles and
ticks are kept under the id; neither ever changes its key, because that is what the instrument is; registering the same
again changes nothing; registering is all or nothing.
"""

from collections.abc import Mapping, Sequence

import asyncpg

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.kernel.errors import InvalidInput
from tradebus.store.queries import load_queries

_SQL = load_queries("tradebus.store", "instruments")


async def register_instruments(
    connection: asyncpg.Connection, rows: Sequence[Instrument], *, aliases: Mapping[str, str] | None = None
) -> InstrumentMaster:
    """Adds instruments, or updates what may change of them; `aliases` maps an alias to a registered symbol.

    Returns the whole master as it is then. Raises InvalidInput where an id or a name would mean two instruments; an
    alias may move to another instrument (the front-month future does).
    """
    async with connection.transaction():
        await connection.execute(_SQL["lock_table"])
        after = master_with(await load_instruments(connection), rows, aliases or {})
        await connection.executemany(_SQL["put_instrument"], [_columns(row) for row in rows])
        await connection.executemany(_SQL["put_alias"], list((aliases or {}).items()))
    return after


async def load_instruments(connection: asyncpg.Connection | asyncpg.Pool) -> InstrumentMaster:
    """Everything registered."""
    rows = await connection.fetch(_SQL["all_instruments"])
    aliases = await connection.fetch(_SQL["all_aliases"])
    return InstrumentMaster(
        (Instrument.model_validate(dict(row)) for row in rows), {row["alias"]: row["symbol"] for row in aliases}
    )


async def allocate_instrument_ids(connection: asyncpg.Connection, symbols: Sequence[str]) -> dict[str, int]:
    """The ids of these symbols: their own where registered, the next free ones, in order, where not.

    Call it in the transaction that registers them: others wait until that has ended.
    """
    await connection.execute(_SQL["lock_table"])
    known = {row["symbol"]: row["instrument_id"] for row in await connection.fetch(_SQL["ids_of"], list(symbols))}
    next_id = await connection.fetchval(_SQL["next_id"])
    for symbol in symbols:
        if symbol not in known:
            known[symbol] = next_id
            next_id += 1
    return known


def master_with(before: InstrumentMaster, rows: Sequence[Instrument], aliases: Mapping[str, str]) -> InstrumentMaster:
    """The master once these are registered. Raises InvalidInput where an id or a name would mean two instruments."""
    for row in rows:
        _check(row, before)
    names = {alias: symbol for alias, symbol in before.aliases.items() if alias not in aliases}
    merged = {instrument.instrument_id: instrument for instrument in (*before, *rows)}
    return InstrumentMaster(merged.values(), {**names, **aliases})


def _check(row: Instrument, before: InstrumentMaster) -> None:
    """An id keeps its symbol, a symbol its id, and both the key that they once have."""
    holders = [before.by_id(row.instrument_id)] if before.has_id(row.instrument_id) else []
    if row.symbol in before:
        holders.append(before.find(row.symbol))
    for holder in holders:
        if (holder.instrument_id, holder.symbol) != (row.instrument_id, row.symbol):
            raise InvalidInput(
                f"symbol {row.symbol!r} with id {row.instrument_id}: {holder.symbol!r} has id "
                f"{holder.instrument_id}; take its id, or a free one"
            )
        if None not in (holder.instrument_key, row.instrument_key) and holder.instrument_key != row.instrument_key:
            raise InvalidInput(f"symbol {row.symbol!r} is {holder.instrument_key}, and not {row.instrument_key}")


def _columns(row: Instrument) -> tuple[object, ...]:
    return (
        row.instrument_id, row.symbol, row.exchange, row.kind, row.market_class, row.underlying,
        row.tick_size_paise, row.expiry, row.instrument_key, row.strike_paise, row.right, row.lot_size,
        row.freeze_quantity, row.terms_on,
    )  # fmt: skip
