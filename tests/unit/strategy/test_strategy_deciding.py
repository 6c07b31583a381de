"""What an entry leads to, without servers: order, rebuilding, and one computation for all who hear it."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from testkit.strategy_days import generated_days, of_timeframe

from services.strategy.answers.histories import FailedStrategy
from services.strategy.deciding import Deciding
from services.strategy.desks import Desks
from services.strategy.ports import PastCandles
from services.strategy.streams import CANDLES
from tradebus.bus.port import Entry
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.strategies.lane.conflicts import Conflicts
from tradebus.strategies.lane.decisions import DecisionRow
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSessions, open_session
from tradebus.strategies.lane.shared import SharedLane
from tradebus.strategies.protocol import Candle

DAY = of_timeframe(generated_days(1, seed=2)[0], 5)
MASTER = InstrumentMaster(
    Instrument(
        instrument_id=number, symbol=f"S{number}", kind="INDEX", market_class="index", underlying=f"S{number}",
        tick_size_paise=5,
    )
    for number in range(3)
)  # fmt: skip


class Stored:
    """The candles of the day so far, as the book has them; how often each instrument's were asked for, and how often
    anything was."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.readings = 0

    async def before(self, wanted: Mapping[PastCandles, SessionHours]) -> dict[PastCandles, list[Candle]]:
        self.readings += 1
        self.asked.update(past.instrument for past in wanted)
        return {past: [candle for candle in DAY.candles if candle.ts_close_ns <= past.ts_ns] for past in wanted}


class PartlyStored(Stored):
    """The candles of one instrument cannot be read."""

    broken: int | None = None

    async def before(self, wanted: Mapping[PastCandles, SessionHours]) -> dict[PastCandles, list[Candle]]:
        if any(past.instrument == self.broken for past in wanted):
            self.readings += 1
            raise ArithmeticError("value out of range")
        return await super().before(wanted)


class Desk:
    """Sessions of ema_20_50 on some symbols, and what they decide on."""

    def __init__(self, sessions: dict[str, tuple[str, ...]], *, paced: bool) -> None:
        self.stored, active, lane, book = PartlyStored(), ActiveSessions(), SharedLane(), PositionBook()
        desks = Desks(limits=IsolationLimits(), timers=SimulatedTimers(), lane=lane)
        self.deciding = Deciding(
            active, history=self.stored, desks=desks, lane=lane, book=book, conflicts=Conflicts.INDEPENDENT,
            paced=paced,
        )  # fmt: skip
        self.active, self._desks, self._book = active, desks, book
        self.rows: list[DecisionRow] = []
        self.given_up: list[FailedStrategy] = []
        self._sessions = sessions

    async def open(self) -> None:
        for session_id, symbols in self._sessions.items():
            spec = SessionSpec(
                session_id=session_id, user_id="u", symbols=symbols, strategies=(StrategySpec(name="ema_20_50"),),
                capital_paise=1,
            )  # fmt: skip
            found = list((await self._desks.open(spec)).values())
            self.active.add(open_session(spec, instruments=MASTER, book=self._book, paused=False, found=found))

    async def decide(
        self, place: int, *, after_gap: bool = False, corrected: int | None = None
    ) -> list[tuple[str, int]]:
        """(session, instrument) of each decision on every instrument's candle at `place` of the day."""
        one = DAY.candles[place]
        records = np.zeros(3 + (corrected is not None), CANDLE)
        records["instrument"][:3] = (2, 0, 1)
        if corrected is not None:
            records["instrument"][3], records["flags"][3] = corrected, CANDLE_CORRECTED
        for name in ("ts_open_ns", "ts_close_ns", "open_paise", "high_paise", "low_paise", "close_paise", "volume"):
            records[name] = getattr(one, name)
        records["timeframe_seconds"] = 300
        entry = Entry(CANDLES, str(place), "candles", records.tobytes(), after_gap=after_gap)
        decided = await self.deciding.on_candles(entry)
        self.rows, self.given_up = decided.rows, decided.given_up
        return [(row.session_id, row.instrument) for row in self.rows]


SESSIONS = {"b": ("S0", "S2"), "a": ("S1", "S2")}


async def test_decisions_come_in_the_streams_order_then_by_session() -> None:
    desk = Desk(SESSIONS, paced=True)
    await desk.open()
    assert await desk.decide(20) == [("a", 2), ("b", 2), ("b", 0), ("a", 1)]


async def test_entries_that_were_gone_make_everybody_begin_anew() -> None:
    desk = Desk(SESSIONS, paced=True)
    await desk.open()
    for place in (20, 21):
        await desk.decide(place)
    assert desk.stored.asked == {0: 1, 1: 1, 2: 1}
    assert len(await desk.decide(30, after_gap=True)) == 4
    assert desk.stored.asked == {0: 2, 1: 2, 2: 2}


@pytest.mark.parametrize(("paced", "times"), [(True, 1), (False, 2)])
async def test_a_corrected_candle_makes_those_who_hear_it_begin_anew_where_the_market_is_live(
    paced: bool, times: int
) -> None:
    desk = Desk(SESSIONS, paced=paced)
    await desk.open()
    await desk.decide(20)
    await desk.decide(21, corrected=0)
    assert desk.stored.asked == {0: times, 1: 1, 2: 1}


async def test_what_many_sessions_begin_with_is_read_once_for_all() -> None:
    desk = Desk(SESSIONS, paced=True)
    await desk.open()
    assert len(await desk.decide(20)) == 4
    assert desk.stored.readings == 1


async def test_what_history_put_right_makes_those_concerned_begin_anew() -> None:
    desk = Desk(SESSIONS, paced=True)
    await desk.open()
    await desk.decide(20)
    desk.deciding.forget({1, 77})
    await desk.decide(21)
    assert desk.stored.asked == {0: 1, 1: 2, 2: 1}


async def test_what_is_no_batch_is_refused_by_its_length() -> None:
    desk = Desk(SESSIONS, paced=True)
    await desk.open()
    with pytest.raises(ValueError, match="not a whole number"):
        await desk.deciding.on_candles(Entry(CANDLES, "1", "candles", b"x" * (CANDLE.itemsize + 1)))


async def test_a_session_whose_history_cannot_be_read_fails_alone_and_is_tried_again_when_it_is_resumed() -> None:
    desk = Desk(SESSIONS, paced=True)
    desk.stored.broken = 1
    await desk.open()
    assert await desk.decide(20) == [("a", 2), ("b", 2), ("b", 0), ("a", 1)]
    ((session_id, strategy, why),) = desk.given_up
    assert (session_id, strategy) == ("a", "ema_20_50")
    assert why == "its history cannot be read: ArithmeticError: value out of range"
    assert {one.spec.session_id: one.paused for one in desk.active.all()} == {"a": True, "b": False}
    readings = desk.stored.readings
    await desk.decide(21)
    assert desk.given_up == [], "said once"
    assert desk.stored.readings == readings, "nobody reads for it meanwhile"
    assert all(why in row.reason for row in desk.rows if row.session_id == "a")
    assert not any("history" in row.reason for row in desk.rows if row.session_id == "b")
    desk.stored.broken = None
    for session in desk.active.all():
        session.paused = False
    await desk.decide(22)
    assert not any("history" in row.reason for row in desk.rows)
