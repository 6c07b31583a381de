"""Which column of a history file is what.

    bars    ts, open, high, low, close[, volume][, oi or open_interest][, symbol]
    ticks   ts, price[, volume][, oi or open_interest][, symbol]

Invariant: names are compared without case and outer spaces; every other column is ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tradebus.history.columns import PRICE_COLUMNS
from tradebus.kernel.errors import InvalidInput, nearest

_NAMED_MAX, _WIDTH_MAX = 15, 40


@dataclass(frozen=True, slots=True)
class Layout:
    """The file's own column names by role."""

    ts: str
    symbol: str | None
    values: dict[str, str]  # open, high, low, close or price; volume, open_interest where present

    @property
    def wanted(self) -> list[str]:
        """Every column to read."""
        return [self.ts, *([self.symbol] if self.symbol else []), *self.values.values()]


def is_own(names: Sequence[str]) -> bool:
    """Whether these columns hold the feed's own time and prices, however often."""
    own = {name.strip().lower() for name in names}
    return "ts" in own and (own >= set(PRICE_COLUMNS) or ("price" in own and not own & set(PRICE_COLUMNS)))


def layout_of(names: Sequence[str], *, source: str) -> Layout:
    """The layout of a file with these columns. Raises InvalidInput naming a missing or doubled column."""
    own: dict[str, str] = {}
    for name in names:
        plain = name.strip().lower()
        if plain in own and plain in {"ts", "symbol", "price", "volume", "oi", "open_interest", *PRICE_COLUMNS}:
            raise InvalidInput(f"{source}: column {plain!r} occurs twice: keep one")
        own[plain] = name
    is_ticks = "price" in own and not any(name in own for name in PRICE_COLUMNS)
    for name in ("ts", *(("price",) if is_ticks else PRICE_COLUMNS)):
        if name not in own:
            raise InvalidInput(_missing(name, names, source=source))
    values = {name: own[name] for name in (("price",) if is_ticks else PRICE_COLUMNS)}
    if "volume" in own:
        values["volume"] = own["volume"]
    interest = own.get("open_interest") or own.get("oi")
    if interest:
        values["open_interest"] = interest
    return Layout(own["ts"], own.get("symbol"), values)


def columns_in_words(names: Sequence[str]) -> str:
    """The columns that there are, of many the first."""
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(name[:_WIDTH_MAX] or "(no name)" for name in names[:_NAMED_MAX]) + more or "no column at all"


def _missing(name: str, names: Sequence[str], *, source: str) -> str:
    use = "the start of the bar in Indian time" if name == "ts" else "rupees"
    return (
        f"{source}: no column {name!r} ({use}){nearest(name, names)}; it has {columns_in_words(names)}. "
        "Bars need ts, open, high, low, close; ticks need ts, price"
    )
