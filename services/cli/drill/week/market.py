"""The week's market: two indices with their futures, the weekly options around the money, one share."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache

from services.cli.drill.week.plan import FAST, LAST, MORNING
from services.sandbox.domain.instruments.listing import generate_listing
from services.sandbox.domain.instruments.shape import Process, process_of
from services.sandbox.domain.instruments.underlyings import underlyings
from services.sandbox.exchange import SandboxExchange, starting_prices
from services.sandbox.options import MarketOptions
from services.sandbox.ports import SandboxInstrument

_NAMES = ("NIFTY", "BANKNIFTY", "INFY")
_LISTED = 1_500
_STRIKES = 6  # of each expiry, on either side of the money


@lru_cache(maxsize=4)
def week_listing(first: date) -> tuple[tuple[SandboxInstrument, ...], tuple[Process, ...]]:
    """What is listed on the week's first day, and trades until it expires."""
    prices = starting_prices(1)
    found: list[SandboxInstrument] = []
    front: dict[str, date | None] = {}
    for one in generate_listing(first, instruments=_LISTED, price_paise=prices):
        key = one.key
        if key.name not in _NAMES or key.segment.value in ("BSE", "BFO"):
            continue
        if key.is_option:
            wanted = key.name == "NIFTY" and key.expiry is not None and key.expiry <= LAST and _near(one, prices)
        elif key.is_derivative:
            wanted = key.name != "INFY" and front.setdefault(key.name, key.expiry) == key.expiry
        else:
            wanted = True
        if wanted:
            found.append(replace(one, index=len(found)))
    processes = tuple(process_of(one, float(prices[one.name])) for one in underlyings().every if one.name in _NAMES)
    return tuple(found), processes


def _near(one: SandboxInstrument, prices: Mapping[str, int]) -> bool:
    strike = one.key.strike_paise or 0
    return abs(strike - prices[one.key.name]) <= _STRIKES * 5_000


def week_exchange(*, seed: int, first: date, wall_ns: Callable[[], int]) -> SandboxExchange:
    """Its steps are the run's to make: one at least for each of the services' seconds."""
    instruments, processes = week_listing(first)
    options = MarketOptions(
        seed=seed, start=datetime.combine(first, MORNING), speed=FAST, instruments=1, step_ms=FAST * 1000, days_kept=1,
    )  # fmt: skip
    return SandboxExchange(options, instruments=instruments, processes=processes, wall_ns=wall_ns)
