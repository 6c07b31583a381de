"""Gaps of data: what a loss leaves out, what history is asked, and what is told of it."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import date, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.fake_broker import UNREACHABLE, minute_candles
from testkit.gap_ledgers import TwinLedger

from services.market_data.feeds.live.connections import spread
from services.market_data.gaps.gap import FeedGroup, new_gap
from services.market_data.gaps.ledger import GapLedger
from services.market_data.gaps.liveness import Liveness
from services.market_data.gaps.repair import RepairJob, Repairs, Restored
from services.market_data.gaps.spans import MINUTE_NS, Spans
from tradebus.contracts.market import CandlesRestored, DataRecovered
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns
from tradebus.kernel.timers import SimulatedTimers, Timer, Timers

SECOND = 1_000_000_000
NOON = ist_to_ns(date(2026, 11, 25), time(12))
NFO, NSE, BFO = FeedGroup(0, "NFO", "derivative"), FeedGroup(0, "NSE", "equity_fno"), FeedGroup(0, "BFO", "derivative")


# Whether data comes: per exchange and class of a connection.


def test_an_exchange_that_stops_beside_another_is_noticed() -> None:
    watch = Liveness([NFO, BFO], silent_ns=5 * SECOND)
    watch.opened(0)
    assert watch.silent({NFO, BFO}, 4 * SECOND) == []
    watch.heard([NFO], 4 * SECOND)
    assert watch.silent({NFO, BFO}, 6 * SECOND) == [BFO]


def test_a_connection_that_stops_beside_another_of_the_same_exchange_is_noticed() -> None:
    other = FeedGroup(1, "NFO", "derivative")
    watch = Liveness([NFO, other], silent_ns=5 * SECOND)
    watch.opened(0)
    watch.heard([other], 4 * SECOND)
    assert watch.silent({NFO, other}, 6 * SECOND) == [NFO]
    watch.opened(6 * SECOND, connections={0})
    assert watch.silent({NFO, other}, 8 * SECOND) == []
    assert watch.silent({NFO, other}, 9 * SECOND) == [other]


def test_out_of_session_nothing_is_silent_and_the_open_has_the_whole_limit() -> None:
    watch = Liveness([NFO], silent_ns=5 * SECOND)
    watch.opened(0)
    assert watch.silent(set(), 100 * SECOND) == []
    assert watch.silent({NFO}, 104 * SECOND) == []
    assert watch.silent({NFO}, 105 * SECOND) == [NFO]


# What a loss leaves out.


def test_a_loss_leaves_the_minutes_from_the_groups_last_tick_to_the_one_it_came_back_in() -> None:
    spans = Spans({NFO: NOON, NSE: NOON})
    spans.ticked([NFO, NSE], NOON + 10 * SECOND)
    spans.ticked([NSE], NOON + 130 * SECOND)
    (opened,) = spans.lost([NFO], NOON + 131 * SECOND, reason="gone", silent=False)
    assert (opened.from_ns, opened.to_ns, opened.silent) == (NOON, None, False)
    (longer,) = spans.lost([NFO], NOON + 140 * SECOND, reason="no data", silent=True)
    assert (longer.from_ns, longer.lost_ns, longer.silent) == (NOON, NOON + 131 * SECOND, True)
    assert spans.lost([NFO], NOON + 150 * SECOND, reason="no data", silent=True) == []
    assert spans.ticked([NSE], NOON + 160 * SECOND) == []
    (ended,) = spans.ticked([NFO], NOON + 200 * SECOND)
    assert (ended.from_ns, ended.to_ns) == (NOON, NOON + 4 * MINUTE_NS)
    assert spans.ticked([NFO], NOON + 201 * SECOND) == []


def test_what_was_not_said_before_a_session_is_not_missing() -> None:
    spans = Spans({NFO: NOON - 3600 * SECOND})
    spans.begin([NFO], NOON)
    (opened,) = spans.lost([NFO], NOON + 5 * SECOND, reason="no data", silent=True)
    assert opened.from_ns == NOON


@given(st.lists(st.tuples(st.sampled_from([NFO, NSE]), st.booleans(), st.booleans(), st.integers(0, 200)), max_size=40))
def test_no_minute_that_was_seen_in_part_is_left_as_it_was_seen(
    happened: list[tuple[FeedGroup, bool, bool, int]],
) -> None:
    spans = Spans({NFO: NOON, NSE: NOON})
    now_ns, last_ns = NOON, {NFO: NOON, NSE: NOON}
    lost_at: dict[FeedGroup, int] = {}
    for group, is_loss, silent, seconds in happened:
        now_ns += seconds * SECOND
        if is_loss:
            opened = spans.lost([group], now_ns, reason="gone", silent=silent)
            assert [one.group for one in opened] in ([], [group])
            lost_at.setdefault(group, last_ns[group])
        else:
            ended = spans.ticked([group], now_ns)
            assert [one.group for one in ended] == ([group] if group in lost_at else [])
            for span in ended:
                assert span.to_ns is not None
                assert span.from_ns <= lost_at.pop(group) < span.from_ns + MINUTE_NS
                assert span.to_ns - MINUTE_NS <= now_ns < span.to_ns
            last_ns[group] = now_ns
        assert set(spans.open) == set(lost_at)


# Filling it.


class History:
    """A broker's history by instrument; `refused` says how often one is not answered first."""

    def __init__(self, candles: dict[int, Records], refused: dict[int, int] | None = None) -> None:
        self.candles, self.refused = candles, refused or {}
        self.asked: list[int] = []

    async def history(self, instrument: int, *, from_ns: int, to_ns: int) -> Records:
        self.asked.append(instrument)
        await asyncio.sleep(0)  # as a network would: others have their turn
        if self.refused.get(instrument, 0) > 0:
            self.refused[instrument] -= 1
            raise UNREACHABLE
        found = self.candles.get(instrument, np.empty(0, CANDLE))
        return found[(found["ts_open_ns"] >= from_ns) & (found["ts_open_ns"] < to_ns)]


class Machine(SimulatedTimers):
    """The machine's time, which a pause moves on."""

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = super().after(seconds, call)
        self.advance(self.now_ns() + round(seconds * SECOND))
        return timer


@asynccontextmanager
async def repairing(
    history: History, ledger: GapLedger, restored: list[int], *, timers: Timers | None = None,
    retry_seconds: float = 0.01,
):  # fmt: skip
    async def restore(minutes: Records) -> Restored:
        restored.append(len(minutes))
        return Restored(len(minutes), len(minutes))

    repairs = Repairs(
        history, restore, ledger, broker="kite", retry_seconds=retry_seconds, now_ns=lambda: NOON,
        timers=timers or Machine(),
    )  # fmt: skip
    task = asyncio.create_task(repairs.run())
    try:
        yield repairs
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not question():
            await asyncio.sleep(0)


SYMBOLS = {3: "NIFTY26NOVFUT", 7: "RELIANCE26NOVFUT"}
THREE = minute_candles(NOON, [100, 101, 102])


def gap_of_noon(*, announced: bool = True):
    gap = new_gap(
        NFO, broker="kite", symbols=SYMBOLS, from_ns=NOON, now_ns=NOON + SECOND, reason="no data", announced=announced
    )
    return RepairJob(SYMBOLS, NOON, NOON + 3 * MINUTE_NS, gap.reason, due_ns=0, gap=gap)


async def test_a_gap_is_filled_and_told_once_every_instrument_is() -> None:
    history, ledger, restored = History({3: THREE, 7: THREE}, {7: 3}), TwinLedger(), []
    job = gap_of_noon()
    await ledger.put(job.gap)
    async with repairing(history, ledger, restored) as repairs:
        repairs.ask(job)
        await until(lambda: ledger.told)
    assert history.asked == [3, 7, 7, 7, 7]
    assert restored == [3, 3]
    rebuilt, recovered = ledger.told
    assert isinstance(rebuilt, CandlesRestored)
    assert (rebuilt.from_ns, rebuilt.to_ns, rebuilt.instruments, rebuilt.candles) == (NOON, job.to_ns, (3, 7), 6)
    assert isinstance(recovered, DataRecovered)
    assert job.gap is not None
    assert (recovered.gap_id, recovered.candles_corrected) == (job.gap.gap_id, 6)
    assert await ledger.unfilled() == []
    assert repairs.waiting == 0


async def test_a_failure_is_in_the_ledger_and_never_given_up() -> None:
    history, ledger = History({}, {3: 10**9, 7: 10**9}), TwinLedger()
    async with repairing(history, ledger, []) as repairs:
        repairs.ask(gap_of_noon())
        await until(lambda: len(history.asked) >= 8)
        (gap,) = await ledger.unfilled()
    assert gap.attempts >= 3
    assert "no answer" in gap.problem
    assert ledger.told == []
    assert repairs.waiting == 1


async def test_the_pauses_between_failures_double_up_to_a_minute_by_the_timers() -> None:
    timers, history, asked_at = SimulatedTimers(), History({}, {3: 10**9, 7: 10**9}), []
    async with repairing(history, TwinLedger(), [], timers=timers, retry_seconds=15) as repairs:
        repairs.ask(gap_of_noon())
        for rounds in range(1, 7):
            await until(lambda: len(history.asked) == 2 * rounds and timers.next_due_ns())  # noqa: B023 - awaited here
            asked_at.append(timers.now_ns() // SECOND)
            due_ns = timers.next_due_ns()
            assert due_ns is not None
            timers.advance(due_ns)
    assert asked_at == [0, 15, 45, 105, 165, 225]


async def test_minutes_that_history_does_not_have_yet_are_asked_for_again() -> None:
    history, ledger = History({}), TwinLedger()
    async with repairing(history, ledger, []) as repairs:
        repairs.ask(gap_of_noon())
        await until(lambda: len(history.asked) >= 4)
        history.candles |= {3: THREE}
        await until(lambda: ledger.told)
    assert [type(message) for message in ledger.told] == [CandlesRestored, DataRecovered]


async def test_minutes_without_a_trade_do_not_keep_a_gap_open_for_ever() -> None:
    history, ledger = History({}), TwinLedger()
    async with repairing(history, ledger, []) as repairs:
        repairs.ask(gap_of_noon(announced=False))
        await until(lambda: ledger.told)
    assert [type(message) for message in ledger.told] == [CandlesRestored]  # it was never announced
    assert await ledger.unfilled() == []


async def test_a_gap_comes_before_a_long_warm_up() -> None:
    history, ledger = History({3: THREE, 7: THREE}), TwinLedger()
    async with repairing(history, ledger, []) as repairs:
        repairs.ask(RepairJob(dict.fromkeys(range(100, 140), "X"), 0, NOON, "warm-up", due_ns=0))
        await until(lambda: len(history.asked) >= 3)
        repairs.ask(gap_of_noon())
        await until(lambda: len(ledger.told) == 3)
    first_gap = history.asked.index(3)
    assert first_gap < 40
    assert [message.TYPE for message in ledger.told] == ["CANDLES_RESTORED", "DATA_RECOVERED", "CANDLES_RESTORED"]


# Over how many connections.


@pytest.mark.parametrize(
    ("broker", "count", "asked", "sizes"),
    [
        ("kite", 5, 0, [5]), ("kite", 3_000, 0, [3_000]), ("kite", 3_001, 0, [1_501, 1_500]),
        ("kite", 9_000, 0, [3_000] * 3), ("dhan", 5_001, 0, [2_501, 2_500]), ("upstox", 10, 2, [5, 5]),
        ("kite", 2, 3, [1, 1]),
    ],
)  # fmt: skip
def test_instruments_are_spread_over_as_many_sockets_as_limits_need(
    broker: str, count: int, asked: int, sizes: list[int]
) -> None:
    parts = spread(range(count), broker=broker, connections=asked)
    assert [len(part) for part in parts] == sizes
    assert [each for part in parts for each in part] == list(range(count))


@pytest.mark.parametrize(("broker", "count", "asked"), [("kite", 9_001, 0), ("upstox", 4_001, 0), ("dhan", 1, 6)])
def test_more_than_a_login_carries_is_refused(broker: str, count: int, asked: int) -> None:
    with pytest.raises(InvalidInput, match=f"{broker} feed: .* follow fewer"):
        spread(range(count), broker=broker, connections=asked)
