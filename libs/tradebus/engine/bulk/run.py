"""Bulk mode: a strategy with one set of parameters over a whole market, in one compiled pass.

market (once) ─► rows of the strategy's timeframe (once) ─► decisions ─► accounting ─► trades, profit by day
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradebus.calendar import contract_of
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.bulk import _crosses_kernel as crosses
from tradebus.engine.bulk import _opinions_kernel as opinions
from tradebus.engine.bulk import _trade as core
from tradebus.engine.bulk.market import BulkMarket, BulkRows
from tradebus.engine.bulk.terms import bulk_terms
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.strategies.built_in.ema_cross.strategy import EmaCrossParameters
from tradebus.strategies.opinions import AnyCompiled
from tradebus.strategies.protocol import StrategyParameters
from tradebus.strategies.registry import BUILT_IN, COMPILED, parse_parameters

Int64s = npt.NDArray[np.int64]
DAYS_AT_ONCE = 64  # opinions and averages of so many days lie in the cache, or nearly
TRADE = np.dtype(
    [
        (name, "<i8") for name in (
            "day", "side", "quantity", "entry_ns", "entry_paise", "exit_ns", "exit_paise", "charges_paise",
            "net_pnl_paise", "reason",
        )
    ]
)  # fmt: skip
REASONS = {core.STOPPED: "stop", core.AT_TARGET: "target", core.ON_SIGNAL: "exit_signal", core.AT_HARD_END: "hard_end"}


@dataclass(frozen=True, slots=True)
class BulkFigures:
    """Money in paise. `daily_paise` [day]: the net profit of each day of the market."""

    trades: int
    winners: int
    gained_paise: int
    lost_paise: int
    charges_paise: int
    blocked: int
    unfilled: int
    daily_paise: Int64s

    @property
    def net_paise(self) -> int:
        return self.gained_paise - self.lost_paise


class BulkBooks:
    """What one pass fills: room for so many trades (0: figures alone)."""

    def __init__(self, days: int, *, trades: int = 0) -> None:
        self.trades = np.zeros((trades, core.TRADE_WIDTH), np.int64)
        self.daily, self.counts = np.zeros(days, np.int64), np.zeros(core.COUNTS_WIDTH, np.int64)
        self.spans, self.kept = np.zeros((core.SPANS_MAX, 3), np.int64), np.zeros(1, np.int64)
        self.other_spans, self.work = np.zeros_like(self.spans), np.zeros((2, core.WORK_WIDTH), np.int64)

    def figures(self) -> BulkFigures:
        """Raises InvalidInput where the pass was not what the engine does."""
        counts = self.counts.tolist()
        if counts[core.TOO_LARGE]:
            raise InvalidInput("bulk mode: an entry is more than the exchange takes in one order; trade fewer lots")
        if counts[core.LEFT_OPEN]:
            raise InvalidInput(
                f"bulk mode: {counts[core.LEFT_OPEN]} positions could not be closed on their day, for no price came "
                "any more: leave such days out with --from and --to, or use backtest"
            )
        return BulkFigures(
            counts[core.TRADES], counts[core.WINNERS], counts[core.GAINED_PAISE], counts[core.LOST_PAISE],
            counts[core.CHARGED_PAISE], counts[core.BLOCKED], counts[core.UNFILLED], self.daily,
        )  # fmt: skip

    def rows(self) -> npt.NDArray[np.void]:
        """The trades as TRADE records, in the order they closed."""
        made = min(len(self.trades), int(self.counts[core.TRADES]))
        found: npt.NDArray[np.void] = np.ascontiguousarray(self.trades[:made]).view(TRADE).reshape(-1)
        return found


class BulkRun:
    """One session's strategy on one market, for any number of parameter sets."""

    def __init__(self, market: BulkMarket, spec: SessionSpec) -> None:
        """Raises InvalidInput for what bulk mode has no form of."""
        self.market, self.name = market, spec.strategies[0].name
        if self.name not in BULK:
            raise InvalidInput(
                f"strategy {self.name!r} has no compiled bulk form{nearest(self.name, BULK)}; those that have: "
                f"{', '.join(sorted(BULK))}"
            )
        low = int(market.bars.low[0])
        self.terms = bulk_terms(spec, contract_of(market.instrument, market.days[0], price_paise=low))
        strategy = BUILT_IN[self.name]
        self.rows = market.rows(strategy.TIMEFRAME_SECONDS, strategy.WARMUP_CANDLES)

    def parameters(self, given: dict[str, object]) -> StrategyParameters:
        """Raises InvalidInput naming every bad one."""
        return parse_parameters(BUILT_IN[self.name], given)

    def run(self, parameters: StrategyParameters, *, trades: int | None = None) -> BulkBooks:
        """One pass; room for all trades unless it is said otherwise."""
        room = len(self.rows.candles) if trades is None else trades
        books = BulkBooks(len(self.market.days), trades=room)
        BULK[self.name](self, parameters, books)
        return books


def _by_opinions(run: BulkRun, parameters: StrategyParameters, books: BulkBooks) -> None:
    """Any compiled strategy: all its opinions, then what the session makes of them."""
    market, rows = run.market, run.rows
    strategy: AnyCompiled = COMPILED[run.name](parameters, slots=DAYS_AT_ONCE)
    given = [_opinions_of(strategy, rows, first) for first in range(0, len(rows.days), DAYS_AT_ONCE)]
    flat, long, short, rank, stop, target, occasion = (
        np.concatenate([part[place] for part in given]) for place in range(7)
    )  # fmt: skip
    opinions.account_opinions(
        market.bars, market.table, run.terms, rows.close_ns, rows.price_paise, rows.bar, rows.days, flat, long,
        short, rank, stop, target, occasion,
        strategy.lock_seconds * NANOSECONDS_PER_SECOND, strategy.RANK_LOWEST, books.trades, books.daily, books.counts,
        books.spans, books.other_spans, books.work,
    )  # fmt: skip


def _opinions_of(strategy: AnyCompiled, rows: BulkRows, first: int) -> tuple[npt.NDArray[np.generic], ...]:
    """Of some days, each in a slot of its own that begins with nothing seen."""
    days = rows.days[first : first + DAYS_AT_ONCE]
    for slot in range(len(days)):
        strategy.reset(slot)
    begin, end = int(days[0, core.WARM_ROW]), int(days[-1, core.END_ROW])
    slots = np.repeat(np.arange(len(days)), days[:, core.END_ROW] - days[:, core.WARM_ROW])
    found = strategy.on_candles(
        slots, rows.candles[begin:end], opens_ns=rows.opens_ns[begin:end], closes_ns=rows.closes_ns[begin:end]
    )
    names = ("flat", "long", "short", "rank", "stop_paise", "target_paise", "occasion_ns")
    return tuple(np.ascontiguousarray(found[name]) for name in names)


def _by_crosses(run: BulkRun, parameters: StrategyParameters, books: BulkBooks) -> None:
    """`ema_cross`: two averages at a time, some days at once."""
    assert isinstance(parameters, EmaCrossParameters)
    places = run.rows.days[:, [core.WARM_ROW, core.END_ROW]].copy()
    for first in range(0, len(places), DAYS_AT_ONCE):
        end = min(first + DAYS_AT_ONCE, len(places))
        fast, slow = (
            averages_of(run.rows, places, first, end, length) for length in (parameters.fast, parameters.slow)
        )
        cross_days(run, parameters, books, first, end, fast=fast, slow=slow)


def averages_of(
    rows: BulkRows, places: Int64s, first: int, end: int, length: int
) -> npt.NDArray[np.float64]:  # fmt: skip
    """The EMAs of the rows of days [first, end)."""
    out = np.empty(int(places[end - 1, 1] - places[first, 0]))
    crosses.averages(rows.price_paise, places, first, end, length, out)
    return out


def cross_days(
    run: BulkRun, parameters: EmaCrossParameters, books: BulkBooks, first: int, end: int, *,
    fast: npt.NDArray[np.float64], slow: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Accounts days [first, end), in order, with their averages."""
    market, rows, reward = run.market, run.rows, parameters.reward_multiple
    crosses.account_crosses(
        market.bars, market.table, run.terms, rows.close_ns, rows.price_paise, rows.bar, rows.days, first, end, fast,
        slow, parameters.cross_window_candles, parameters.stop_pct, math.nan if reward is None else reward,
        books.trades, books.daily, books.counts, books.spans, books.kept, books.work,
    )  # fmt: skip


# Strategies that have a compiled bulk form.
BULK: dict[str, Callable[[BulkRun, StrategyParameters, BulkBooks], None]] = {
    "ema_cross": _by_crosses,
    "ema_20_50": _by_opinions,
    "orb": _by_opinions,
}
