"""What can be traded at a broker, and what it cost: instruments, history, option chains, quotes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.contracts.records import Records


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """One row of a broker's instrument master.

    `token` is what the broker's feed and history know it by (Kite "256265", Dhan "13", Upstox "NSE_INDEX|Nifty 50"),
    `broker_segment` the broker's word for where it lists (Kite "NSE", Dhan "NSE_EQ", Upstox "NSE_EQ"), `symbol` its
    tradingsymbol. Money in paise, quantities in units; `freeze_quantity` is None where the master does not say.
    """

    key: InstrumentKey
    token: str
    broker_segment: str
    symbol: str
    lot_size: int
    tick_size_paise: int
    freeze_quantity: int | None = None


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Orders of an instrument outside of it are refused today (the circuit limits, or the operating range)."""

    lower_paise: int
    upper_paise: int


ListingOf = Callable[[int], ListedInstrument]  # by the id of the instrument
InstrumentOf = Callable[[str, str], int | None]  # by the broker's segment and token


@dataclass(frozen=True, slots=True)
class OptionSide:
    """One option of a chain. `implied_volatility` is a fraction (0.12), greeks as the broker gives them, None where it
    gives none. Open interest and volume in units."""

    token: str
    price_paise: int
    bid_paise: int
    ask_paise: int
    bid_quantity: int
    ask_quantity: int
    volume: int
    open_interest: int
    previous_open_interest: int
    implied_volatility: float | None = None
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None


@dataclass(frozen=True, slots=True)
class ChainRow:
    """One strike; a side that is not listed is None."""

    strike_paise: int
    call: OptionSide | None
    put: OptionSide | None


@dataclass(frozen=True, slots=True)
class OptionChain:
    underlying: InstrumentKey
    expiry: date
    underlying_price_paise: int
    rows: tuple[ChainRow, ...]  # by strike


class ReferenceData(Protocol):
    """Raises BrokerError (tradebus.brokers.errors), and nothing else, for what broker or network may do."""

    async def instruments(self) -> Sequence[ListedInstrument]:
        """The master of the segments tradebus knows. Rows it cannot read are left out and counted in a log line."""

    async def history(
        self, instrument: ListedInstrument, *, timeframe_seconds: int, from_ns: int, to_ns: int
    ) -> Records:
        """CANDLE records with instrument 0, ascending, from_ns <= open < to_ns, in calls the broker allows."""

    async def quotes(self, instruments: Sequence[ListedInstrument]) -> Records:
        """One QUOTE record per instrument that has a quote; `instrument` is the index in `instruments`."""

    async def price_bands(self, instruments: Sequence[ListedInstrument]) -> Mapping[int, PriceBand]:
        """Today's, by the index in `instruments`; of those that the broker gives one for."""

    async def expiries(self, underlying: ListedInstrument) -> Sequence[date]: ...

    async def option_chain(self, underlying: ListedInstrument, expiry: date) -> OptionChain: ...
