"""Opinions on ticks: what an instrument's day has left is touched by no other instrument and no other session."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.contracts import contract

from tradebus.contracts.records import CANDLE, TICK, Records
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_midnight_ns
from tradebus.strategies.lane.blocks import Blocks
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.shared import Shared
from tradebus.strategies.opinions import ENTER_LONG, OPINION, CompiledStrategy, Int64s
from tradebus.strategies.protocol import Candle, StrategyParameters

OPEN_NS = 1_704_166_200_000_000_000  # 2 January 2024, 09:15 IST
HOURS = SessionHours(contract("INDEX", market_class="index"))


class TickCount(CompiledStrategy[StrategyParameters]):
    """Says of every third tick of an instrument how many it has seen, and how many candles."""

    NAME = "tick_count"
    WANTS_TICKS = True
    PARAMETERS = StrategyParameters
    REASONS = ("{0:.0f} ticks, {1:.0f} candles",)

    def __init__(self, parameters: StrategyParameters, *, slots: int) -> None:
        super().__init__(parameters, slots=slots)
        self._ticks, self._candles = np.zeros(slots, np.int64), np.zeros(slots, np.int64)

    def reset(self, slot: int) -> None:
        self._ticks[slot] = self._candles[slot] = 0

    def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
        made = np.zeros(len(candles), OPINION)
        for row, slot in enumerate(slots.tolist()):
            self._candles[slot] += 1
            made["numbers"][row] = (self._ticks[slot], self._candles[slot], opens_ns[row] % 1_000_003)
        return made

    def on_ticks(self, slots: Int64s, ticks: Records) -> Records:
        said = []
        for row, slot in enumerate(slots.tolist()):
            self._ticks[slot] += 1
            if self._ticks[slot] % 3 == 0:
                said.append((row, self._ticks[slot], self._candles[slot]))
        made = np.zeros(len(said), OPINION)
        for at, (row, ticks_seen, candles_seen) in enumerate(said):
            made["row"][at], made["flat"][at] = row, ENTER_LONG
            made["numbers"][at, :2] = ticks_seen, candles_seen
        return made


def ticks_of(instruments: list[int], *, at_ns: int = OPEN_NS) -> Records:
    ticks = np.zeros(len(instruments), TICK)
    ticks["instrument"], ticks["ts_event_ns"], ticks["price_paise"] = instruments, at_ns, 10_000
    return ticks


def shared_of(*instruments: int) -> Shared:
    shared = Shared(TickCount, StrategyParameters())
    for instrument in instruments:
        shared.follow(instrument, HOURS)
    return shared


def counts(shared: Shared, ticks: Records) -> list[tuple[int, float]]:
    return [(row, opinion[OPINION.names.index("numbers")][0]) for row, opinion in shared.on_ticks(ticks)]


def test_a_session_that_joins_in_mid_day_changes_no_other_sessions_opinion():
    """Without stored candles as well: what the day's ticks left stays."""
    shared = shared_of(7)
    day_ns = ist_midnight_ns(OPEN_NS)
    assert shared.replay(7, [], day_ns=day_ns) == []
    assert counts(shared, ticks_of([7, 7])) == []
    assert shared.replay(7, [], day_ns=day_ns) == [], "another session"
    assert counts(shared, ticks_of([7])) == [(0, 3.0)]


def test_another_day_begins_anew_though_no_candle_was_stored():
    shared = shared_of(7)
    day_ns = ist_midnight_ns(OPEN_NS)
    candle = Candle(OPEN_NS, OPEN_NS + 60_000_000_000, 10_000, 10_000, 10_000, 10_000, 0)
    for candles in ([], [candle]):
        shared.replay(7, candles, day_ns=day_ns)
        counts(shared, ticks_of([7, 7]))
        assert len(shared.replay(7, candles, day_ns=day_ns + NANOSECONDS_PER_DAY)) == len(candles)
        assert counts(shared, ticks_of([7])) == []
        day_ns += NANOSECONDS_PER_DAY


def test_instruments_that_come_later_change_no_opinion():
    """More of them than there was room for at first."""
    shared = shared_of(0)
    shared.replay(0, [], day_ns=ist_midnight_ns(OPEN_NS))
    counts(shared, ticks_of([0, 0]))
    for instrument in range(1, 1_200):
        shared.follow(instrument, HOURS)
    assert counts(shared, ticks_of([0, 1_199, 600, 600, 0, 600, 1_199, 1_199])) == [(0, 3.0), (5, 3.0), (7, 3.0)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(0, 40), max_size=30), st.booleans()), max_size=8))
def test_many_small_blocks_think_as_one_large_one(batches):
    parameters = StrategyParameters()
    one, many = Blocks(TickCount, parameters, slots=64), Blocks(TickCount, parameters, slots=2)
    many.make_room(40)
    for instruments, are_candles in batches:
        slots, count = np.array(instruments, np.int64), len(instruments)
        if are_candles:
            hours_ns = np.arange(count, dtype=np.int64)
            of_each = [
                blocks.on_candles(slots, np.zeros(count, CANDLE), opens_ns=hours_ns, closes_ns=hours_ns)
                for blocks in (one, many)
            ]
        else:
            of_each = [blocks.on_ticks(slots, ticks_of(instruments)) for blocks in (one, many)]
        assert of_each[0].tobytes() == of_each[1].tobytes()
        for slot in instruments[:1]:
            one.reset(slot)
            many.reset(slot)
