"""An exchange out of files: a broker's instrument master for the listing, recorded prices for the market, or both."""

from collections.abc import Mapping
from pathlib import Path

from services.sandbox.adapters.history_file import read_paths
from services.sandbox.adapters.master_file import listing_from, read_master
from services.sandbox.domain.instruments.listing import generate_listing
from services.sandbox.domain.instruments.shape import process_of
from services.sandbox.domain.instruments.underlyings import underlyings
from services.sandbox.domain.prices.paths import ValuePath
from services.sandbox.exchange import SandboxExchange, starting_prices
from services.sandbox.options import MarketOptions
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.time import ist_date, ist_datetime, ist_midnight_ns


def exchange_from_files(
    options: MarketOptions, *, master: Path | None = None, history: Path | None = None, symbol: str | None = None
) -> SandboxExchange:
    """Raises InvalidInput that names the file and what is wrong with it."""
    day = ist_date(options.start_ns)
    listed = read_master(master, day) if master is not None else None
    terms = dict(listed.terms) if listed is not None else {one.name: one for one in underlyings().every}
    paths = _paths(history, symbol, options, known=list(terms)) if history is not None else {}
    prices = dict(starting_prices(options.seed))
    if listed is not None:
        prices = {name: round(one.price_rupees * 100) for name, one in terms.items()}
    prices |= {name: max(1, round(path.before(ist_midnight_ns(options.start_ns)))) for name, path in paths.items()}
    # Where the day has moved away from yesterday's close, the money is where the start finds it.
    money = prices | {name: max(1, round(path.at(options.start_ns))) for name, path in paths.items()}
    if listed is not None:
        instruments = listing_from(listed, instruments=options.instruments, price_paise=money)
    else:
        instruments = generate_listing(day, instruments=options.instruments, price_paise=money)
    processes = [process_of(one, float(prices[name])) for name, one in terms.items()]
    return SandboxExchange(options, instruments=instruments, processes=processes, paths=paths)


def _paths(history: Path, symbol: str | None, options: MarketOptions, *, known: list[str]) -> Mapping[str, ValuePath]:
    found = read_paths(history, symbol=symbol)
    for name, path in found.items():
        if name not in known:
            raise InvalidInput(f"history: {history}: {name!r} is no underlying of the sandbox{nearest(name, known)}")
        first_ns, last_ns = int(path.at_ns[0]), int(path.at_ns[-1])
        if not ist_midnight_ns(first_ns) <= options.start_ns <= last_ns:
            span = f"{ist_datetime(first_ns):%Y-%m-%dT%H:%M} to {ist_datetime(last_ns):%Y-%m-%dT%H:%M}"
            raise InvalidInput(f"TRADEBUS_SANDBOX_START: {history} has {name} from {span}: start within that")
    return found
