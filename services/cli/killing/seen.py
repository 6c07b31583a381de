"""A broker's instruments without our book: a number for whatever its books show, its terms once they are needed."""

from collections.abc import Collection, Sequence
from datetime import date

from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.registry import Broker, Known
from tradebus.calendar import Contract, MarketClass, class_of_share, contract_of
from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.contracts.instruments import Instrument, InstrumentKind
from tradebus.store.broker_instruments import BrokerInstrument


class SeenInstruments:
    """Terms come from rows that the book of record has, else from the broker's master."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._numbers: dict[tuple[str, str], int] = {}
        self._where: list[tuple[str, str]] = []
        self._terms: dict[tuple[str, str], ListedInstrument] = {}
        self._read = False

    @property
    def known(self) -> Known:
        return Known(
            listing_of=self.listing, instrument_of=self.number, all_triggers=True,
            listings=lambda: [(self.number(*where), terms) for where, terms in self._terms.items()],
        )  # fmt: skip

    def number(self, segment: str, token: str) -> int:
        """The same for the same instrument, always."""
        where = (segment, token)
        if where not in self._numbers:
            self._numbers[where] = len(self._where)
            self._where.append(where)
        return self._numbers[where]

    def where(self, instrument: int) -> tuple[str, str]:
        """The broker's segment and token."""
        return self._where[instrument]

    def listing(self, instrument: int) -> ListedInstrument:
        """Raises KeyError where its terms are not known."""
        return self._terms[self._where[instrument]]

    @property
    def listed(self) -> Collection[int]:
        """The instruments whose terms are known."""
        return {number for where, number in self._numbers.items() if where in self._terms}

    def symbol(self, instrument: int) -> str:
        """The broker's symbol; its token where the terms are not known."""
        where = self._where[instrument]
        return self._terms[where].symbol if where in self._terms else f"{where[0]} {where[1]}"

    def add(self, rows: Sequence[BrokerInstrument]) -> None:
        """Takes terms from the book of record."""
        self._terms |= {(row.broker_segment, row.token): _listing(row) for row in rows}

    async def learn(self) -> bool:
        """Reads the broker's master, once; False where it was read before. Raises BrokerError."""
        if self._read:
            return False
        rows = await self._broker.reference.instruments()
        self._terms = {(row.broker_segment, row.token): row for row in rows} | self._terms
        self._read = True
        return True


def contract_terms(listing: ListedInstrument, day: date) -> Contract:
    """The terms as the order rules read them: the broker's master's, and the exchange's own list where that is silent.
    Raises InvalidInput for days before the rules."""
    key = listing.key
    kind: InstrumentKind = "OPTION" if key.is_option else "FUTURE" if key.is_derivative else "EQUITY"
    market = MarketClass.DERIVATIVE if key.is_derivative else class_of_share(key.name)
    return contract_of(
        Instrument(
            instrument_id=0, symbol=listing.symbol, exchange=key.segment.value, kind=kind, market_class=market.value,
            underlying=key.name, lot_size=listing.lot_size, tick_size_paise=listing.tick_size_paise, expiry=key.expiry,
            strike_paise=key.strike_paise, right=key.right, freeze_quantity=listing.freeze_quantity, terms_on=day,
        ),
        day,
    )  # fmt: skip


def _listing(row: BrokerInstrument) -> ListedInstrument:
    return ListedInstrument(
        InstrumentKey.parse(row.instrument_key), row.token, row.broker_segment, row.symbol, row.lot_size,
        row.tick_size_paise, row.freeze_quantity,
    )  # fmt: skip
