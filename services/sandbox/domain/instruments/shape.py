"""What never changes about the listed instruments, as columns: one row an instrument, in the order of the listing.

Every instrument hangs on a process, the moving value of its underlying: NIFTY's index, futures and options on one, a
stock's two listings and its contracts on another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from services.sandbox.domain.instruments.underlyings import Equity, Index
from services.sandbox.domain.prices.pricing import Floats
from services.sandbox.ports import SandboxInstrument
from tradebus.calendar import Contract, MarketClass, session_of
from tradebus.contracts.instrument_key import Right, Segment

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_SEGMENT_CLASSES = list(MarketClass)


class ListingKind(IntEnum):
    INDEX = 0
    EQUITY = 1
    FUTURE = 2
    OPTION = 3


@dataclass(frozen=True, slots=True)
class Process:
    """The value that moves. Volatility is annual and a share; `activity` weights ticks and volumes."""

    name: str
    price_paise: float
    annual_volatility: float
    market_correlation: float
    activity: float


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns of shape [instruments]. Prices in paise, instants in ns."""

    process: Ints
    kind: Ints
    strike: Floats
    expiry_ns: Ints
    is_call: Flags
    tick: Floats
    lot: Ints
    market_class: Ints
    spread_share: Floats  # of the price
    activity: Floats

    def __len__(self) -> int:
        return len(self.process)


def process_of(terms: Index | Equity, price_paise: float) -> Process:
    """How the underlying moves in a generated market."""
    activity = terms.activity if isinstance(terms, Index) else 0.5
    return Process(terms.name, price_paise, terms.annual_volatility, terms.market_correlation, activity)


def kind_of(instrument: SandboxInstrument) -> ListingKind:
    """By its key."""
    key = instrument.key
    if key.segment is Segment.INDEX:
        return ListingKind.INDEX
    if not key.is_derivative:
        return ListingKind.EQUITY
    return ListingKind.OPTION if key.is_option else ListingKind.FUTURE


def contract_of(instrument: SandboxInstrument) -> Contract:
    """Its terms as the dated rules read them."""
    key = instrument.key
    return Contract(
        symbol=instrument.symbol, kind=kind_of(instrument).name, market_class=instrument.market_class,
        underlying=key.name, lot_size=instrument.lot_size, tick_size_paise=instrument.tick_size_paise,
        freeze_quantity=instrument.freeze_quantity, expiry=key.expiry, strike_paise=key.strike_paise, right=key.right,
    )  # fmt: skip


def class_number(market_class: str) -> int:
    """The number of a market class in the `market_class` column."""
    return _SEGMENT_CLASSES.index(MarketClass(market_class))


def expiry_instant_ns(instrument: SandboxInstrument) -> int:
    """When the contract stops trading: its own close on its last day; 0 for what does not expire."""
    if instrument.key.expiry is None:
        return 0
    session = session_of(contract_of(instrument), instrument.key.expiry)
    assert session is not None, "contracts expire on trading days"
    return session.close_ns


def shape_of(instruments: Sequence[SandboxInstrument], processes: Sequence[Process]) -> Shape:
    """The columns of a listing. Every instrument's name must be a process."""
    place = {process.name: number for number, process in enumerate(processes)}
    kinds = np.array([kind_of(one) for one in instruments], np.int64)
    process = np.array([place[one.key.name] for one in instruments], np.int64)
    weight = np.array([processes[number].activity for number in process])
    strike = np.array([float(one.key.strike_paise or 0) for one in instruments])
    spot = np.array([processes[number].price_paise for number in process])
    away = np.abs(np.log(np.where(strike > 0, strike, spot) / spot))
    by_kind = np.array([1.0, 1.2, 2.0, 1.0])[kinds]
    return Shape(
        process=process,
        kind=kinds,
        strike=strike,
        expiry_ns=np.array([expiry_instant_ns(one) for one in instruments], np.int64),
        is_call=np.array([one.key.right is Right.CALL for one in instruments]),
        tick=np.array([float(one.tick_size_paise) for one in instruments]),
        lot=np.array([one.lot_size for one in instruments], np.int64),
        market_class=np.array([class_number(one.market_class) for one in instruments], np.int64),
        spread_share=np.array([0.0, 0.00025, 0.00006, 0.0025])[kinds],
        activity=by_kind * weight * np.where(kinds == ListingKind.OPTION, np.exp(-away * 25.0) + 0.05, 1.0),
    )
