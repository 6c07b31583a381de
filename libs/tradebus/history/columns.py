"""A window of a history file as columns, and every rule its rows must obey.

Invariants (property-tested): columns without a flaw are accepted whole; a flaw is reported at the first row of the file
that has one, whatever other rows hold; nothing is changed, dropped or repaired here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import CANDLE, TICK, Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import PAISE_PER_RUPEE
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, ist_datetime

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
PRICE_COLUMNS = ("open", "high", "low", "close")
QUANTITY_COLUMNS = ("volume", "open_interest")
_LARGEST = 1e13  # rupees or units; far above any price or volume, far below where a float loses whole numbers

DAYS_ARE_NOT_TRADED = (
    "bars of a day: orders are filled at prices of minutes or ticks, so give one-minute bars or ticks (a strategy with "
    "TIMEFRAME_SECONDS = 86400 gets its days from them)"
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of one file in file order, or of several in time order; all arrays of shape [rows]. A cell that is empty in
    the file is NaN."""

    row: Ints  # 1-based data row in the file (the header is not counted)
    ts_ns: Ints  # UTC; a bar's start
    symbol: Ints  # index into `names`
    names: tuple[str, ...]  # canonical symbols
    values: Mapping[str, Floats]  # rupees and units, by column name
    origin: Ints | None = None  # index into `origins`, None where all are of one file
    origins: tuple[str, ...] = ()  # what to call the files

    @property
    def is_ticks(self) -> bool:
        """Ticks (a price) rather than one-minute bars (open, high, low, close)."""
        return "price" in self.values

    def __len__(self) -> int:
        return len(self.row)

    def where(self, mask: Mask) -> "Columns":
        """The rows for which `mask` is true."""
        return self if mask.all() else self.pick(np.flatnonzero(mask))

    def pick(self, rows: npt.NDArray[np.intp]) -> "Columns":
        """The rows at these indices, in their order."""
        values = {name: cells[rows] for name, cells in self.values.items()}
        origin = None if self.origin is None else self.origin[rows]
        return Columns(self.row[rows], self.ts_ns[rows], self.symbol[rows], self.names, values, origin, self.origins)

    def place(self, index: int) -> str:
        """`row 5`, or `row 5 of b.csv` where there are several files."""
        at = f"row {self.row[index]:,}"
        return at if self.origin is None else f"{at} of {self.origins[self.origin[index]]}"


@dataclass(frozen=True, slots=True)
class Flaw:
    """One rule and the rows that break it; `problem` words it for one index."""

    mask: Mask
    problem: Callable[[int], str]


def require_sound(columns: Columns, *, source: str) -> None:
    """Raises InvalidInput naming `source` and the first row that breaks a rule, with what to do."""
    worst: tuple[int, Flaw] | None = None
    for flaw in flaws(columns):
        if flaw.mask.any():
            index = int(flaw.mask.argmax())
            if worst is None or index < worst[0]:
                worst = (index, flaw)
    if worst is not None:
        index, flaw = worst
        at = ist_datetime(int(columns.ts_ns[index])).strftime("%Y-%m-%d %H:%M:%S")
        raise InvalidInput(
            f"{source}: row {columns.row[index]} ({columns.names[columns.symbol[index]]} {at}): {flaw.problem(index)}; "
            "nothing was loaded: correct or remove the row"
        )


def sound_suffix(columns: Columns) -> Columns:
    """The rows after the last flawed one of each symbol."""
    broken = np.zeros(len(columns), bool)
    for flaw in flaws(columns):
        broken |= flaw.mask
    keep = np.ones(len(columns), bool)
    for code in range(len(columns.names)):
        bad = np.flatnonzero(broken & (columns.symbol == code))
        if len(bad):
            keep[: bad[-1] + 1] &= columns.symbol[: bad[-1] + 1] != code
    return columns.where(keep)


def flaws(columns: Columns) -> Iterator[Flaw]:
    """Every rule that some row may break, cheapest explanation first."""
    values = columns.values
    prices = ("price",) if columns.is_ticks else PRICE_COLUMNS
    for name in (*prices, *(name for name in QUANTITY_COLUMNS if name in values)):
        yield _not_a_number(name, values[name])
    for name in prices:
        yield _not_positive(name, values[name])
    for name in (name for name in QUANTITY_COLUMNS if name in values):
        yield _not_a_quantity(name, values[name])
    if not columns.is_ticks:
        yield from _shape_flaws(values)
        off_minute = columns.ts_ns % MINUTE_NS != 0
        yield Flaw(off_minute, lambda _: "ts is not on a whole minute: a bar is stamped by its start")
    yield from _order_flaws(columns)


def _not_a_number(name: str, values: Floats) -> Flaw:
    return Flaw(~np.isfinite(values), lambda i: f"{name} is empty, NaN or infinite")


def _not_positive(name: str, values: Floats) -> Flaw:
    # Half a paisa rounds to nothing, and a price of nothing is no price.
    bad = (values * PAISE_PER_RUPEE < 0.5) | (values > _LARGEST)
    return Flaw(
        bad,
        lambda i: (
            f"{name} {values[i]:g} is more than a price can be"
            if values[i] > _LARGEST
            else f"{name} {values[i]:.2f} is not a positive price"
        ),
    )


def _not_a_quantity(name: str, values: Floats) -> Flaw:
    with np.errstate(invalid="ignore"):
        bad = (values < 0) | (values > _LARGEST) | (values != np.rint(values))
    return Flaw(bad & np.isfinite(values), lambda i: f"{name} {values[i]:g} is not a whole number of units, 0 or more")


def _shape_flaws(values: Mapping[str, Floats]) -> Iterator[Flaw]:
    high, low = values["high"], values["low"]
    yield Flaw(high < low, lambda i: f"high {high[i]:.2f} is below low {low[i]:.2f}")
    for name in ("open", "close"):
        price = values[name]
        yield Flaw(
            (price > high) | (price < low),
            lambda i, name=name, price=price: (  # type: ignore[misc]
                f"{name} {price[i]:.2f} is outside low {low[i]:.2f} to high {high[i]:.2f}"
            ),
        )


def _order_flaws(columns: Columns) -> Iterator[Flaw]:
    step_ns = steps_ns(columns)
    yield Flaw(step_ns < 0, lambda i: "ts is earlier than the row before it: rows must be in time order")
    if not columns.is_ticks:
        yield Flaw(step_ns == 0, lambda i: "ts is a duplicate: one bar per symbol and minute")


def steps_ns(columns: Columns) -> Ints:
    """Shape [rows]: the time since the same symbol's previous row; one minute for its first."""
    order = np.argsort(columns.symbol, kind="stable")
    ts_ns, symbol = columns.ts_ns[order], columns.symbol[order]
    step_ns = np.full(len(columns), MINUTE_NS, np.int64)
    step_ns[1:] = np.where(symbol[1:] == symbol[:-1], np.diff(ts_ns), MINUTE_NS)
    result = np.empty_like(step_ns)
    result[order] = step_ns
    return result


def in_time_order(columns: Columns) -> Columns:
    """Rows that all stand newest first, turned round; any others as they are. Each keeps its row number."""
    if len(columns) < 2 or columns.ts_ns[0] <= columns.ts_ns[-1] or (np.diff(columns.ts_ns) > 0).any():
        return columns
    return columns.pick(np.arange(len(columns))[::-1])


def require_one_minute(columns: Columns, *, source: str) -> None:
    """Raises InvalidInput where a symbol's bars of a day are never one minute apart, as those of 5 minutes, and where
    it has one a day, always at the same time."""
    local_ns = columns.ts_ns + IST_OFFSET_NS
    for code, name in enumerate(columns.names):
        mine = columns.symbol == code
        ts_ns, days = local_ns[mine], local_ns[mine] // NANOSECONDS_PER_DAY
        within = np.diff(ts_ns)[np.diff(days) == 0]
        if len(within) >= 3 and within.min() > MINUTE_NS:
            apart = int(within.min()) // NANOSECONDS_PER_SECOND
            raise InvalidInput(f"{source}: the bars of {name} are {apart} seconds apart: give one-minute bars")
        clocks = ts_ns % NANOSECONDS_PER_DAY
        if len(clocks) and not len(within) and (clocks == clocks[0]).all() and (len(ts_ns) >= 3 or not clocks[0]):
            at = ist_datetime(int(columns.ts_ns[mine][0])).strftime("%H:%M")
            raise InvalidInput(f"{source}: {name} has one bar a day, always at {at}, {DAYS_ARE_NOT_TRADED}")


def minutes_held(columns: Columns) -> int:
    """How many one-minute bars the rows are, or make where they are ticks."""
    if not columns.is_ticks:
        return len(columns)
    pairs = np.stack((columns.symbol, columns.ts_ns // MINUTE_NS))
    return int(np.unique(pairs, axis=1).shape[1])


def to_candles(columns: Columns, *, instrument_of: Mapping[str, int]) -> Records:
    """CANDLE records of the one-minute bars, in file order. Prices to the nearest paisa."""
    records = np.zeros(len(columns), CANDLE)
    records["ts_open_ns"] = columns.ts_ns
    records["ts_close_ns"] = columns.ts_ns + MINUTE_NS
    for name in PRICE_COLUMNS:
        records[f"{name}_paise"] = paise(columns.values[name])
    for name in QUANTITY_COLUMNS:
        if name in columns.values:
            records[name] = columns.values[name].astype(np.int64)
    records["instrument"] = _instruments(columns, instrument_of)
    records["timeframe_seconds"] = 60
    return records


def to_ticks(columns: Columns, *, instrument_of: Mapping[str, int]) -> Records:
    """TICK records in file order; the column `volume` is each tick's own quantity and is cumulated by the caller."""
    records = np.zeros(len(columns), TICK)
    records["ts_event_ns"] = records["ts_received_ns"] = columns.ts_ns
    records["price_paise"] = paise(columns.values["price"])
    if "volume" in columns.values:
        records["last_quantity"] = np.minimum(columns.values["volume"], np.iinfo(np.int32).max).astype(np.int32)
    if "open_interest" in columns.values:
        records["open_interest"] = columns.values["open_interest"].astype(np.int64)
    records["instrument"] = _instruments(columns, instrument_of)
    return records


def paise(rupees: Floats) -> Ints:
    """The nearest whole paisa."""
    return np.rint(rupees * PAISE_PER_RUPEE).astype(np.int64)


def _instruments(columns: Columns, instrument_of: Mapping[str, int]) -> npt.NDArray[np.int32]:
    ids: Sequence[int] = [instrument_of[name] for name in columns.names]
    return np.asarray(ids, np.int32)[columns.symbol]
