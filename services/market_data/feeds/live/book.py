"""A broker's instruments into the book: under the ids they have, or new ones."""

from collections.abc import Mapping, Sequence
from datetime import date

from services.market_data.books import MarketBooks
from services.market_data.feeds.live.resolve import Resolved
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.kernel.errors import InvalidInput
from tradebus.store.broker_instruments import BrokerInstrument


async def register_listed(
    books: MarketBooks, broker: str, resolved: Sequence[Resolved], *, today: date
) -> Mapping[int, Resolved]:
    """Registers the instruments, their aliases and the broker's names for them; returns them by id.

    An instrument that is known under its key keeps its id and symbol, whichever broker named it first; two keys are two
    instruments, whatever a broker calls them. Raises InvalidInput where a name would mean two.
    """
    master = books.instruments
    async with books.book.begin() as transaction:
        known = await master.load(transaction)
        symbols = book_symbols(resolved, known)
        ids = await master.allocate(transaction, symbols)
        pairs = list(zip(symbols, resolved, strict=True))
        rows = [_instrument(ids[symbol], symbol, one, today) for symbol, one in pairs]
        aliases = {alias: symbol for symbol, one in pairs for alias in one.aliases}
        # What a broker calls it is one more name, unless it is what the book calls another instrument.
        taken = {other.symbol.upper() for other in known}
        aliases |= {one.symbol: symbol for symbol, one in pairs if one.symbol.upper() not in taken}
        own = {symbol.upper() for symbol in symbols}
        try:
            await master.register(
                transaction,
                rows,
                aliases={alias: symbol for alias, symbol in aliases.items() if alias.upper() not in own},
            )
        except InvalidInput as error:
            raise InvalidInput(f"{error}; a namespace that held another market cannot take this one: choose another "
                               "TRADEBUS_NAMESPACE") from error  # fmt: skip
        found = {ids[symbol]: one for symbol, one in pairs}
        listings = [listed_row(instrument, one.listing) for instrument, one in found.items()]
        await books.listings.put_listed(broker, listings, listed_on=today, transaction=transaction)
    return found


def book_symbols(resolved: Sequence[Resolved], known: InstrumentMaster) -> list[str]:
    """What each is called in the book, in order: as it has been called under its key, else by its symbol, and by its
    key where that symbol is another instrument's."""
    named = {one.instrument_key: one.symbol for one in known if one.instrument_key is not None}
    symbols = []
    for one in resolved:
        key = str(one.listing.key)
        symbol = named.get(key, one.symbol)
        holder = known.find(symbol) if symbol in known else None
        free = holder is None or holder.instrument_key == key
        if holder is not None and holder.instrument_key is None:  # of a recorded market; it may go on with this one's
            free = holder.symbol.upper() == symbol.upper() and holder.kind == one.kind
        symbols.append(symbol if free else key)
    return symbols


def listed_row(instrument: int, listing: ListedInstrument) -> BrokerInstrument:
    """A master's row as the book keeps it."""
    return BrokerInstrument(
        instrument, str(listing.key), listing.token, listing.broker_segment, listing.symbol, listing.lot_size,
        listing.tick_size_paise, listing.freeze_quantity,
    )  # fmt: skip


def _instrument(instrument: int, symbol: str, resolved: Resolved, today: date) -> Instrument:
    key, listing = resolved.listing.key, resolved.listing
    return Instrument(
        instrument_id=instrument,
        symbol=symbol,
        exchange=key.segment.value,
        kind=resolved.kind,
        market_class=resolved.market_class.value,
        underlying=key.name,
        tick_size_paise=listing.tick_size_paise,
        expiry=key.expiry,
        instrument_key=str(key),
        strike_paise=key.strike_paise,
        right=key.right,
        lot_size=listing.lot_size,
        freeze_quantity=listing.freeze_quantity,
        terms_on=today,
    )
