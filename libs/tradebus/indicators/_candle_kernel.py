"""Compiled core of the candle builder. Who calls it and what it promises: `candles.py`.

State, per instrument: a ring of SLOTS bars, bar number modulo SLOTS. With `boundary` the first bar the clock has not
closed, a tick is taken when its bar lies in [boundary - LATE_BARS, boundary + AHEAD_BARS), which are exactly SLOTS
bars, so two bars that may change never share a slot. A bar below that range keeps its slot, as the base of the next
bar's volume, until another takes it; then its cumulative volume moves to the instrument's carry.

Volume is derived when a bar is written: its last cumulative figure minus that of the bar before it on the same day.
"""

import numba
import numpy as np
import numpy.typing as npt
from numba import int64, types

from tradebus.contracts.records import CANDLE_CORRECTED, Records
from tradebus.indicators._compile import CANDLES, CANDLES_OUT, TICKS, helper, kernel
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY

SLOTS = 16
LATE_BARS = 8
AHEAD_BARS = SLOTS - LATE_BARS
NEVER = -(1 << 62)  # no bar, no instant

SLOT = np.dtype(
    [
        ("bar", "<i8"),  # instants since the epoch divided by the bar's length; NEVER where empty
        ("open_paise", "<i8"),
        ("high_paise", "<i8"),
        ("low_paise", "<i8"),
        ("close_paise", "<i8"),
        ("first_ns", "<i8"),  # event time of the tick that gave the open
        ("last_ns", "<i8"),  # … the close
        ("tick_count", "<i8"),
        ("cumulative_first", "<i8"),  # 0 where no tick of the bar carried a cumulative volume
        ("cumulative_first_ns", "<i8"),
        ("cumulative_last", "<i8"),
        ("cumulative_last_ns", "<i8"),
        ("open_interest", "<i8"),
        ("open_interest_ns", "<i8"),
        # As written last; 0 where it never was.
        ("volume", "<i8"),
        ("written_open", "<i8"),
        ("written_high", "<i8"),
        ("written_low", "<i8"),
        ("written_close", "<i8"),
        ("written_interest", "<i8"),
        ("marks", "<i8"),
    ]
)
# Values of `marks`.
SEEDED = 1  # the volume came with the bar and stays
LISTED = 2  # stands in the list of bars to look at again
FROM_OPEN = 4  # the first bar of its day counts its volume from 0

LEDGER = np.dtype(
    [
        ("carry_bar", "<i8"),  # the newest bar that lost its slot, and its cumulative volume
        ("carry_cumulative", "<i8"),
        ("from_open_day", "<i8"),  # the day on which cumulative volume counts from 0
        ("seed_bar", "<i8"),
        ("seed_cumulative", "<i8"),
    ]
)

# The control array: these figures, then the list of late-ticked bars.
BAR_NS, BOUNDARY, OPEN_BARS, ACCEPTED, AMENDED, DROPPED_LATE, DROPPED_AHEAD, DROPPED_PRICE, LIST = range(9)

_SLOT = numba.from_dtype(SLOT)
_LEDGER = numba.from_dtype(LEDGER)
_ROW = types.Array(_SLOT, 1, "C")
_SLOTS = types.Array(_SLOT, 2, "C")
_LEDGERS = types.Array(_LEDGER, 1, "C")
_INT64S = types.Array(int64, 1, "C")
Int64s = npt.NDArray[np.int64]


@helper
def day_of(bar: int, bar_ns: int) -> int:
    return (bar * bar_ns + IST_OFFSET_NS) // NANOSECONDS_PER_DAY


@helper
def bar_volume(row: Records, ledger: np.void, position: int, bar_ns: int) -> int:
    """Volume of the bar at `position` of one instrument's ring; never negative."""
    slot = row[position]
    if slot["marks"] & SEEDED:
        return int(slot["volume"])
    if slot["cumulative_last"] <= 0:
        return 0
    bar = slot["bar"]
    before, base = NEVER, 0
    for at in range(SLOTS):
        other = row[at]
        if before < other["bar"] < bar and other["cumulative_last"] > 0:
            before, base = other["bar"], other["cumulative_last"]
    if before < ledger["carry_bar"] < bar:
        before, base = ledger["carry_bar"], ledger["carry_cumulative"]
    if before == NEVER or day_of(before, bar_ns) != day_of(bar, bar_ns):
        base = 0 if slot["marks"] & FROM_OPEN else slot["cumulative_first"]
    return int(max(0, slot["cumulative_last"] - base))


@helper
def evict(slot: np.void, ledger: np.void) -> None:
    if slot["bar"] > ledger["carry_bar"] and slot["cumulative_last"] > 0:
        ledger["carry_bar"] = slot["bar"]
        ledger["carry_cumulative"] = slot["cumulative_last"]


@helper
def start(slot: np.void, bar: int, ts_ns: int, price: int, cumulative: int, interest: int) -> None:
    slot["bar"] = bar
    slot["open_paise"] = slot["high_paise"] = slot["low_paise"] = slot["close_paise"] = price
    slot["first_ns"] = slot["last_ns"] = ts_ns
    slot["tick_count"] = 1
    known = cumulative > 0
    slot["cumulative_first"] = slot["cumulative_last"] = cumulative if known else 0
    slot["cumulative_first_ns"] = ts_ns if known else -NEVER
    slot["cumulative_last_ns"] = ts_ns if known else NEVER
    slot["open_interest"] = interest
    slot["open_interest_ns"] = ts_ns if interest > 0 else NEVER
    slot["volume"] = slot["marks"] = 0
    slot["written_open"] = slot["written_high"] = slot["written_low"] = slot["written_close"] = 0
    slot["written_interest"] = 0


@helper
def amend(slot: np.void, ts_ns: int, price: int, cumulative: int, interest: int) -> None:
    """Works one more tick into its bar. At equal times the earlier arrival opens and the later one closes."""
    slot["tick_count"] += 1
    if price > slot["high_paise"]:
        slot["high_paise"] = price
    if price < slot["low_paise"]:
        slot["low_paise"] = price
    if ts_ns >= slot["last_ns"]:
        slot["last_ns"] = ts_ns
        slot["close_paise"] = price
    if ts_ns < slot["first_ns"]:
        slot["first_ns"] = ts_ns
        slot["open_paise"] = price
    if cumulative > 0:
        if ts_ns >= slot["cumulative_last_ns"]:
            slot["cumulative_last_ns"] = ts_ns
            slot["cumulative_last"] = cumulative
        if ts_ns < slot["cumulative_first_ns"]:
            slot["cumulative_first_ns"] = ts_ns
            slot["cumulative_first"] = cumulative
    if interest > 0 and ts_ns >= slot["open_interest_ns"]:
        slot["open_interest_ns"] = ts_ns
        slot["open_interest"] = interest


@helper
def mark_written(slot: np.void) -> None:
    slot["written_open"] = slot["open_paise"]
    slot["written_high"] = slot["high_paise"]
    slot["written_low"] = slot["low_paise"]
    slot["written_close"] = slot["close_paise"]
    slot["written_interest"] = slot["open_interest"]


@helper
def differs(slot: np.void) -> bool:
    """Whether a price or the open interest is no longer as written. A bar never written has prices of 0 there."""
    return bool(
        slot["written_open"] != slot["open_paise"]
        or slot["written_high"] != slot["high_paise"]
        or slot["written_low"] != slot["low_paise"]
        or slot["written_close"] != slot["close_paise"]
        or slot["written_interest"] != slot["open_interest"]
    )


@helper
def follower(row: Records, bar: int, boundary: int, bar_ns: int) -> int:
    """Position of the first closed bar after `bar` whose volume counts from it; -1 where there is none."""
    found, nearest = -1, boundary
    for position in range(SLOTS):
        slot = row[position]
        if bar < slot["bar"] < nearest and slot["cumulative_last"] > 0:
            found, nearest = position, slot["bar"]
    if found >= 0 and day_of(nearest, bar_ns) != day_of(bar, bar_ns):
        return -1
    return found


@helper
def settle(slots: Records, ledgers: Records, control: Int64s, listed: int) -> int:
    """Keeps in the list those bars whose published figures changed, followers included; how many they are."""
    instruments, boundary, bar_ns = slots.shape[0], control[BOUNDARY], control[BAR_NS]
    total = listed
    for entry in range(listed):
        bar, instrument = control[LIST + entry] // instruments, control[LIST + entry] % instruments
        position = follower(slots[instrument], bar, boundary, bar_ns)
        if position >= 0 and not slots[instrument, position]["marks"] & LISTED:
            slots[instrument, position]["marks"] |= LISTED
            control[LIST + total] = slots[instrument, position]["bar"] * instruments + instrument
            total += 1
    kept = 0
    for entry in range(total):
        key = control[LIST + entry]
        instrument, position = key % instruments, (key // instruments) & (SLOTS - 1)
        slot = slots[instrument, position]
        volume = bar_volume(slots[instrument], ledgers[instrument], position, bar_ns)
        if volume != slot["volume"] or differs(slot):
            slot["volume"] = volume
            control[LIST + kept] = key
            kept += 1
        slot["marks"] &= ~LISTED
    return kept


@kernel(int64(TICKS, _SLOTS, _LEDGERS, _INT64S))
def apply_ticks(ticks: Records, slots: Records, ledgers: Records, control: Int64s) -> int:
    """Works a batch in. Returns how many closed bars stand in the list, or -1 - row of a tick with a bad instrument."""
    instruments = slots.shape[0]
    for row in range(ticks.shape[0]):
        if not 0 <= ticks[row]["instrument"] < instruments:
            return -1 - row
    boundary, bar_ns = control[BOUNDARY], control[BAR_NS]
    listed = 0
    for row in range(ticks.shape[0]):
        tick = ticks[row]
        ts_ns, price = tick["ts_event_ns"], tick["price_paise"]
        bar = ts_ns // bar_ns
        if price <= 0:
            control[DROPPED_PRICE] += 1
            continue
        if bar < boundary - LATE_BARS:
            control[DROPPED_LATE] += 1
            continue
        if bar >= boundary + AHEAD_BARS:
            control[DROPPED_AHEAD] += 1
            continue
        instrument = tick["instrument"]
        slot = slots[instrument, bar & (SLOTS - 1)]
        control[ACCEPTED] += 1
        if slot["bar"] == bar:
            amend(slot, ts_ns, price, tick["volume_cumulative"], tick["open_interest"])
        else:
            evict(slot, ledgers[instrument])
            start(slot, bar, ts_ns, price, tick["volume_cumulative"], tick["open_interest"])
            if day_of(bar, bar_ns) == ledgers[instrument]["from_open_day"]:
                slot["marks"] |= FROM_OPEN
            if bar >= boundary:
                control[OPEN_BARS] += 1
        if bar < boundary:
            control[AMENDED] += 1
            if not slot["marks"] & LISTED:
                slot["marks"] |= LISTED
                control[LIST + listed] = bar * instruments + instrument
                listed += 1
    return settle(slots, ledgers, control, listed) if listed else 0


@helper
def write(candle: np.void, slot: np.void, instrument: int, bar_ns: int, flags: int) -> None:
    candle["ts_open_ns"] = slot["bar"] * bar_ns
    candle["ts_close_ns"] = (slot["bar"] + 1) * bar_ns
    candle["open_paise"] = slot["open_paise"]
    candle["high_paise"] = slot["high_paise"]
    candle["low_paise"] = slot["low_paise"]
    candle["close_paise"] = slot["close_paise"]
    candle["volume"] = slot["volume"]
    candle["open_interest"] = slot["open_interest"]
    candle["instrument"] = instrument
    candle["timeframe_seconds"] = bar_ns // 1_000_000_000
    candle["tick_count"] = slot["tick_count"]
    candle["flags"] = flags
    mark_written(slot)


@kernel(types.void(_SLOTS, _INT64S, CANDLES_OUT))
def write_listed(slots: Records, control: Int64s, out: Records) -> None:
    """Writes the first `len(out)` listed bars, in the list's order."""
    instruments = slots.shape[0]
    for entry in range(out.shape[0]):
        key = control[LIST + entry]
        instrument, position = key % instruments, (key // instruments) & (SLOTS - 1)
        write(out[entry], slots[instrument, position], instrument, control[BAR_NS], CANDLE_CORRECTED)


@kernel(types.void(_SLOTS, _LEDGERS, _INT64S, int64, CANDLES_OUT))
def close_bars(slots: Records, ledgers: Records, control: Int64s, to_bar: int, out: Records) -> None:
    """Closes every open bar below `to_bar` and writes them by time, then instrument; `out` has OPEN_BARS rows or more.

    OPEN_BARS counts down by the bars written.
    """
    first, bar_ns, written = control[BOUNDARY], control[BAR_NS], 0
    for bar in range(first, min(to_bar, first + AHEAD_BARS)):
        if control[OPEN_BARS] == 0:
            break
        position = bar & (SLOTS - 1)
        for instrument in range(slots.shape[0]):
            slot = slots[instrument, position]
            if slot["bar"] == bar:
                slot["volume"] = bar_volume(slots[instrument], ledgers[instrument], position, bar_ns)
                write(out[written], slot, instrument, bar_ns, 0)
                written += 1
                control[OPEN_BARS] -= 1
    control[BOUNDARY] = max(first, to_bar)


@kernel(int64(CANDLES, _SLOTS, _LEDGERS, _INT64S, types.boolean))
def seed_bars(candles: Records, slots: Records, ledgers: Records, control: Int64s, from_open: bool) -> int:
    """Puts closed candles into the ring. Returns 0, or -1 - row of one that is not closed or not after the last."""
    instruments, bar_ns = slots.shape[0], control[BAR_NS]
    for row in range(candles.shape[0]):
        candle = candles[row]
        bar, instrument = candle["ts_open_ns"] // bar_ns, candle["instrument"]
        if not 0 <= instrument < instruments or bar >= control[BOUNDARY] or bar <= ledgers[instrument]["seed_bar"]:
            return -1 - row
        ledger, slot = ledgers[instrument], slots[instrument, bar & (SLOTS - 1)]
        day = day_of(bar, bar_ns)
        same_day = ledger["seed_bar"] != NEVER and day_of(ledger["seed_bar"], bar_ns) == day
        cumulative = candle["volume"] + (ledger["seed_cumulative"] if same_day else 0)
        ledger["seed_bar"], ledger["seed_cumulative"] = bar, cumulative
        if from_open:
            ledger["from_open_day"] = day
        evict(slot, ledger)
        start(slot, bar, candle["ts_open_ns"], candle["open_paise"], 0, candle["open_interest"])
        slot["high_paise"] = candle["high_paise"]
        slot["low_paise"] = candle["low_paise"]
        slot["close_paise"] = candle["close_paise"]
        slot["last_ns"] = slot["open_interest_ns"] = candle["ts_close_ns"] - 1
        slot["tick_count"] = candle["tick_count"]
        slot["volume"] = candle["volume"]
        slot["marks"] = SEEDED
        mark_written(slot)
        if from_open and cumulative > 0:
            slot["cumulative_first"] = slot["cumulative_last"] = cumulative
            slot["cumulative_first_ns"] = NEVER
            slot["cumulative_last_ns"] = candle["ts_close_ns"] - 1
    return 0
