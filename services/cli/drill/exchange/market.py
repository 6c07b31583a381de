"""The drill's market: NIFTY with a future and two options, INFY; a sandbox exchange in simulated time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache

from services.sandbox.domain.instruments.listing import generate_listing
from services.sandbox.domain.instruments.shape import Process, process_of
from services.sandbox.domain.instruments.underlyings import underlyings
from services.sandbox.exchange import SandboxExchange, starting_prices
from services.sandbox.options import PAISE_PER_CRORE, MarketOptions
from services.sandbox.ports import SandboxInstrument
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instruments import Instrument, InstrumentKind

DAY = date(2026, 11, 25)
STEP_SECONDS = 1.0
_NAMES = ("NIFTY", "INFY")
_LISTED = 300
_OPENING_PAISE = 30 * PAISE_PER_CRORE  # an account's: enough for what goes in slices


@lru_cache(maxsize=1)
def listing() -> tuple[tuple[SandboxInstrument, ...], tuple[Process, ...]]:
    """Worked out once in a process: the market's prices begin alike in every run and go their own ways."""
    prices = starting_prices(1)
    wanted: dict[str, SandboxInstrument] = {}
    for one in generate_listing(DAY, instruments=_LISTED, price_paise=prices):
        if one.key.name not in _NAMES or one.key.segment.value in ("BSE", "BFO"):
            continue
        sort = f"{one.key.name} {one.key.right}" if one.key.is_option else f"{one.key.name} {one.key.segment}"
        if one.key.name == "NIFTY" or one.key.segment.value == "NSE":
            wanted.setdefault(sort, one)
    found = tuple(replace(one, index=number) for number, one in enumerate(wanted.values()))
    processes = tuple(process_of(one, float(prices[one.name])) for one in underlyings().every if one.name in _NAMES)
    return found, processes


def small_exchange(*, seed: int, start: datetime, wall_ns: Callable[[], int]) -> SandboxExchange:
    """Speed 1 by `wall_ns`, which is the run's own time; its steps are the run's to make."""
    instruments, processes = listing()
    options = MarketOptions(
        seed=seed, start=start, speed=1.0, instruments=1, step_ms=round(STEP_SECONDS * 1000), days_kept=1,
        opening_paise=_OPENING_PAISE,
    )  # fmt: skip
    return SandboxExchange(options, instruments=instruments, processes=processes, wall_ns=wall_ns)


def listed(one: SandboxInstrument) -> ListedInstrument:
    """As the drill's broker lists it."""
    return ListedInstrument(
        one.key, str(one.exchange_token), one.key.segment.value, one.symbol, one.lot_size, one.tick_size_paise,
        one.freeze_quantity or None,
    )  # fmt: skip


def registered(one: SandboxInstrument) -> Instrument:
    """As the book has it; its id is its number at the exchange."""
    kind: InstrumentKind = (
        "OPTION" if one.key.is_option else "FUTURE" if one.key.is_derivative
        else "INDEX" if one.key.segment.value == "INDEX" else "EQUITY"
    )  # fmt: skip
    return Instrument(
        instrument_id=one.index, symbol=one.symbol, exchange=one.key.segment.value, kind=kind,
        market_class=one.market_class, underlying=one.key.name, tick_size_paise=one.tick_size_paise,
        expiry=one.key.expiry, instrument_key=str(one.key), strike_paise=one.key.strike_paise, right=one.key.right,
        lot_size=one.lot_size, freeze_quantity=one.freeze_quantity or None,
        terms_on=DAY,
    )  # fmt: skip
