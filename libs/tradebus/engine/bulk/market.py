"""A market as bulk mode has it: one instrument's minutes and ticks in columns, its days' terms in a table.

Made once of the market that the engine runs on, tick by tick the same; every set of parameters then reads it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from tradebus.calendar import Contract, contract_of, session_of, tick_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import Tariff
from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, Records
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.bulk import _trade as core
from tradebus.engine.history import MinuteHistory
from tradebus.engine.market import MarketDay
from tradebus.execution.watching import columns
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import largest
from tradebus.risk.entries import most_of
from tradebus.risk.terms import hours_of
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.replay import hours_of_each
from tradebus.trading.tariff import schedule_for

Int64s = npt.NDArray[np.int64]
_SEGMENTS = {"INDEX": "FUTURE", "FUTURE": "FUTURE", "EQUITY": "EQUITY_INTRADAY"}
_NONE: Records = np.zeros(0, CANDLE)
_MOST = 1 << 60


@dataclass(frozen=True, slots=True)
class BulkRows:
    """Candles of one timeframe, day after day, each day after its warm-up: `candles`, `opens_ns` and `closes_ns` (the
    hours of each candle's own day) [row], `bar` the first minute after each, `days` [day, 3] where a day's rows are."""

    candles: Records
    opens_ns: Int64s
    closes_ns: Int64s
    bar: npt.NDArray[np.int32]
    days: Int64s
    close_ns: Int64s
    price_paise: Int64s


@dataclass(frozen=True, slots=True)
class BulkMarket:
    """`table` [day, DAY_WIDTH] as the kernels read it, `bars` of all days, `minute_ns` when each of them begins."""

    instrument: Instrument
    days: tuple[date, ...]
    bars: core.Bars
    minute_ns: Int64s
    table: Int64s
    history: MinuteHistory
    candles: dict[int, list[Records]]  # by timeframe, of each day
    opens_ns: tuple[int, ...]
    traded_bars: int
    _rows: dict[tuple[int, int], BulkRows] = field(default_factory=dict)

    def rows(self, timeframe_seconds: int, warmup_candles: int) -> BulkRows:
        """Candles of a timeframe with so many before each day; made once."""
        key = timeframe_seconds, warmup_candles
        if key not in self._rows:
            self._rows[key] = self._make_rows(timeframe_seconds, warmup_candles)
        return self._rows[key]

    def _make_rows(self, timeframe_seconds: int, warmup_candles: int) -> BulkRows:
        hours, parts, spans, at = SessionHours(self.instrument), [], [], 0
        for open_ns, today in zip(self.opens_ns, self.candles[timeframe_seconds], strict=True):
            earlier = self.history.warmup(
                open_ns, instrument=self.instrument.instrument_id, timeframe_seconds=timeframe_seconds,
                warmup_candles=warmup_candles, hours=hours,
            )  # fmt: skip
            parts += [earlier, today]
            spans.append((at, at + len(earlier), at + len(earlier) + len(today)))
            at += len(earlier) + len(today)
        candles = np.concatenate(parts) if parts else _NONE
        opens, closes = _hours(parts, hours)
        close_ns = np.ascontiguousarray(candles["ts_close_ns"])
        return BulkRows(
            candles, opens, closes, np.searchsorted(self.minute_ns, close_ns).astype(np.int32),
            np.array(spans, np.int64).reshape(-1, 3), close_ns, np.ascontiguousarray(candles["close_paise"]),
        )  # fmt: skip


def _hours(parts: Sequence[Records], hours: SessionHours) -> tuple[Int64s, Int64s]:
    """Each part's own: rows go back in time from one part to the next."""
    found = [hours_of_each(part, hours) for part in parts]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])


def bulk_market(
    days: Iterable[MarketDay], instrument: Instrument, history: MinuteHistory, *, spec: SessionSpec,
    timeframes_seconds: Sequence[int],
) -> BulkMarket:  # fmt: skip
    """Of days that have candles of these timeframes, as a session trades them. Raises InvalidInput, naming the day, for
    what bulk mode cannot account for: options, quotes beside prices, a price step that changes within a day."""
    if instrument.kind not in _SEGMENTS:
        raise InvalidInput(f"{instrument.symbol}: bulk mode knows equity, futures and indices, not {instrument.kind}")
    number, found, parts, table, opens, bars = instrument.instrument_id, [], [], [], [], 0
    candles: dict[int, list[Records]] = {seconds: [] for seconds in timeframes_seconds}
    at_bar = at_tick = 0
    for day in days:
        ticks = columns(day.ticks_of(number, from_ns=0), after_ns=0)
        if not len(ticks):
            continue
        if ticks.bid_paise.any() or ticks.ask_paise.any():
            raise InvalidInput(f"{instrument.symbol} on {day.day}: bulk mode fills at prices; this history has quotes")
        starts, minutes = _minutes(ticks.at_ns, day.open_ns)
        lasts = np.append(starts[1:], len(ticks)) - 1
        price = np.asarray(ticks.price_paise, np.int64)
        parts.append(
            (
                np.minimum.reduceat(price, starts), np.maximum.reduceat(price, starts), ticks.at_ns[starts],
                ticks.at_ns[lasts], price[starts], starts + at_tick, ticks.at_ns, price, minutes,
            )
        )  # fmt: skip
        row = _terms(instrument, day, spec, low=int(price.min()), high=int(price.max()))
        row[core.FIRST_BAR], row[core.END_BAR] = at_bar, at_bar + len(starts)
        table.append(row)
        found.append(day.day)
        opens.append(day.open_ns)
        for seconds, own in candles.items():
            own.append(_candles(day.candles, number, seconds))
        at_bar, at_tick, bars = at_bar + len(starts), at_tick + len(price), bars + day.bars
    if not found:
        raise InvalidInput(f"{instrument.symbol}: the history has no day that can be traded")
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    narrow, wide = np.int32, np.int64
    kernel_bars = core.Bars(
        low=joined[0].astype(narrow), high=joined[1].astype(narrow), first_ns=joined[2].astype(wide),
        last_ns=joined[3].astype(wide), first_price=joined[4].astype(narrow),
        tick_start=np.append(joined[5], at_tick).astype(narrow), tick_ns=joined[6].astype(wide),
        tick_price=joined[7].astype(narrow),
    )  # fmt: skip
    return BulkMarket(
        instrument, tuple(found), kernel_bars, joined[8].astype(np.int64), np.array(table, np.int64), history, candles,
        tuple(opens), bars,
    )  # fmt: skip


def _minutes(at_ns: Int64s, open_ns: int) -> tuple[Int64s, Int64s]:
    """Where each minute's ticks begin, and when it does."""
    numbers = (at_ns - open_ns) // core.MINUTE_NS
    starts = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))
    return starts, open_ns + numbers[starts] * core.MINUTE_NS


def _candles(candles: Records, instrument: int, timeframe_seconds: int) -> Records:
    mine: Records = candles[
        (candles["instrument"] == instrument)
        & (candles["timeframe_seconds"] == timeframe_seconds)
        & (candles["flags"] & CANDLE_CORRECTED == 0)
    ]
    return mine


def _terms(instrument: Instrument, day: MarketDay, spec: SessionSpec, *, low: int, high: int) -> list[int]:
    hours, session = hours_of(instrument, spec.limits, ts_ns=day.open_ns), session_of(instrument, day.day)
    if hours is None or session is None or len(hours.windows) > 2:
        raise InvalidInput(f"{instrument.symbol} does not trade on {day.day}: leave the day out with --from and --to")
    if tick_of(instrument, day.day, price_paise=low) != tick_of(instrument, day.day, price_paise=high):
        raise InvalidInput(f"{instrument.symbol} on {day.day}: its price step changes within the day; use backtest")
    contract = contract_of(instrument, day.day, price_paise=low)
    second = hours.windows[1] if len(hours.windows) > 1 else (0, 0)
    return [
        0, 0, hours.entry_start_ns, hours.entry_end_ns, hours.hard_end_ns, *hours.windows[0], *second,
        contract.lot_size, contract.tick_size_paise, most_of(contract) or _MOST,
        *_rates(_SEGMENTS[instrument.kind], day.day, spec.tariff), day.open_ns, _in_one_order(contract),
    ]  # fmt: skip


def _in_one_order(contract: Contract) -> int:
    return largest(lot_size=contract.lot_size, freeze_quantity=contract.freeze_quantity) or _MOST


def _rates(segment: str, day: date, tariff: Tariff) -> tuple[int, ...]:
    if tariff is Tariff.NONE:
        return (0,) * 10
    rates = schedule_for(segment, day, tariff)
    rate = rates.brokerage.rate
    return (
        -1 if rate is None else rate, rates.brokerage.cap_paise, rates.stt_buy, rates.stt_sell, rates.stamp_buy,
        rates.stamp_sell, rates.transaction, rates.ipft, rates.sebi, rates.gst,
    )  # fmt: skip
