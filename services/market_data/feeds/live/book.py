"""A broker's instruments into the book: under the ids they have, or new ones."""

from collections.abc import Mapping, Sequence
from datetime import date

from services.market_data.feeds.live.resolve import Resolved
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instruments import Instrument
from tradebus.kernel.errors import InvalidInput
from tradebus.store.broker_instruments import BrokerInstrument, put_broker_instruments
from tradebus.store.instruments import allocate_instrument_ids, load_instruments, register_instruments
from tradebus.store.store import Store


async def register_listed(
    store: Store, broker: str, resolved: Sequence[Resolved], *, today: date
) -> Mapping[int, Resolved]:
    """Registers the instruments, their aliases and the broker's names for them; returns them by id.

    An instrument that is known under its key keeps its id and symbol, whichever broker named it first. Raises
    InvalidInput where a name would mean two instruments.
    """
    async with store.begin() as transaction:
        connection = transaction.connection
        known = {one.instrument_key: one.symbol for one in await load_instruments(connection) if one.instrument_key}
        symbols = [known.get(str(one.listing.key), one.listing.symbol) for one in resolved]
        ids = await allocate_instrument_ids(connection, symbols)
        pairs = list(zip(symbols, resolved, strict=True))
        rows = [_instrument(ids[symbol], symbol, one) for symbol, one in pairs]
        aliases = {alias: symbol for symbol, one in pairs for alias in (*one.aliases, one.listing.symbol)}
        own = {symbol.upper() for symbol in symbols}
        try:
            await register_instruments(
                connection,
                rows,
                aliases={alias: symbol for alias, symbol in aliases.items() if alias.upper() not in own},
            )
        except InvalidInput as error:
            raise InvalidInput(f"{error}; a namespace that held another market cannot take this one: choose another "
                               "TRADEBUS_NAMESPACE") from error  # fmt: skip
        found = {ids[symbol]: one for symbol, one in pairs}
        listings = [listed_row(instrument, one.listing) for instrument, one in found.items()]
        await put_broker_instruments(connection, broker, listings, listed_on=today)
    return found


def listed_row(instrument: int, listing: ListedInstrument) -> BrokerInstrument:
    """A master's row as the book keeps it."""
    return BrokerInstrument(
        instrument, str(listing.key), listing.token, listing.broker_segment, listing.symbol, listing.lot_size,
        listing.tick_size_paise, listing.freeze_quantity,
    )  # fmt: skip


def _instrument(instrument: int, symbol: str, resolved: Resolved) -> Instrument:
    key = resolved.listing.key
    return Instrument(
        instrument_id=instrument,
        symbol=symbol,
        exchange=key.segment.value,
        kind=resolved.kind,
        market_class=resolved.market_class.value,
        underlying=key.name,
        tick_size_paise=resolved.listing.tick_size_paise,
        expiry=key.expiry,
        instrument_key=str(key),
    )
