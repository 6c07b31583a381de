"""Strategies in the engine: the lane's runners, every decision into the record, every signal out."""

from collections.abc import Mapping, Sequence
from datetime import date, time

from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.records import Records
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.history import MinuteHistory
from tradebus.engine.market import Slice
from tradebus.engine.recording.record import Record
from tradebus.engine.thinking.one_by_one import OneByOne
from tradebus.engine.thinking.opinion_days import OpinionDays
from tradebus.kernel.time import ist_to_ns
from tradebus.strategies.lane.asking import Settled
from tradebus.strategies.lane.conflicts import Conflicts, settle_conflicts
from tradebus.strategies.lane.legs import signals_of
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import (
    ActiveSession,
    ActiveSessions,
    Found,
    Listener,
    bid_of,
    found_here,
    open_session,
)
from tradebus.strategies.lane.shared import SharedLane
from tradebus.strategies.protocol import Action
from tradebus.strategies.roles import Offered, spots_of
from tradebus.trading.facts import Fact, PositionClosed, PositionOpened, Signal


class EngineStrategies:
    """Raises InvalidInput for a session whose strategies or symbols cannot be traded."""

    def __init__(
        self,
        sessions: Sequence[SessionSpec],
        instruments: InstrumentMaster,
        *,
        history: MinuteHistory,
        record: Record,
        conflicts: Conflicts,
        first_day: date | None = None,
        slice_by_slice: bool = False,
    ) -> None:
        self._record, self._conflicts = record, conflicts
        self._lane = SharedLane()
        self._book = PositionBook()
        self._active = ActiveSessions()
        self._numbers: dict[int, int] = {}  # of runners, in the record
        self._days = OpinionDays(history, record.decisions)
        in_columns: set[int] = set()  # runners whose days are decided so
        for spec in sessions:
            found = [found_here(wanted, self._lane) for wanted in spec.strategies]
            session = open_session(
                spec, instruments=instruments, book=self._book, paused=False, found=found, day=first_day,
                offered=Offered(closes_paise=_closes(found, spec, instruments, history, first_day)),
            )  # fmt: skip
            self._active.add(session)
            for runner in session.runners:
                number = self._numbers[id(runner)] = record.decisions.add_source(runner.source)
                if not slice_by_slice and self._days.take_in(Listener(session, runner), number):
                    in_columns.add(id(runner))
        in_order = sorted(self._sessions(), key=lambda session: session.spec.session_id)
        runners = [runner for session in in_order for runner in session.runners]
        self._places = {id(runner): place for place, runner in enumerate(runners)}
        self._one_by_one = OneByOne(self._active, self._lane, history, record, apart=in_columns)
        self._reached_ns = 0  # when the day began
        self._decided_ns = 0  # up to which candles have been decided on

    @property
    def timeframes_seconds(self) -> frozenset[int]:
        """Those that some strategy listens to."""
        askings = [runner.asking for session in self._sessions() for runner in session.runners]
        return frozenset(one.info.timeframe_seconds for one in askings) | frozenset(
            seconds for one in askings for seconds, _ in one.inputs
        )

    @property
    def wants_ticks(self) -> bool:
        return self._active.wants_ticks

    @property
    def tick_instruments(self) -> list[int]:
        return sorted(self._active.tick_instruments)

    @property
    def due_ns(self) -> int:
        """No candle that closes before leads to more than a HOLD."""
        return min(self._one_by_one.due_ns, self._days.due_ns)

    def begin_day(self, candles: Records, *, open_ns: int) -> None:
        """The day's candles, ascending by (close, timeframe, instrument)."""
        self._one_by_one.begin_day(candles)
        self._book.forget_closed_before(self._reached_ns)
        self._reached_ns = open_ns
        self._days.begin_day(candles, open_ns)

    def end_day(self, end_ns: int) -> None:
        """Records what is not recorded yet; the last slice ended then."""
        self._days.end_day(end_ns)

    def on_fact(self, fact: Fact) -> None:
        if isinstance(fact, PositionOpened | PositionClosed):
            self._book.apply(fact)
            self._days.on_fact(fact, self._decided_ns)

    def on_ticks(self, ticks: Records, step: Slice) -> list[Signal]:
        """Decides on the slice's ticks, in their order."""
        return self._taken(self._one_by_one.on_ticks(ticks, step))

    def on_candles(self, end_ns: int) -> list[Signal]:
        """Decides on the candles that close at or before `end_ns` and were not decided on yet."""
        answers = self._days.on_candles(end_ns) if end_ns >= self._days.due_ns else []
        self._decided_ns = end_ns
        if end_ns >= self._one_by_one.due_ns:
            answers += self._one_by_one.on_candles(end_ns)
        if not answers:
            return []
        if len(answers) > 1:
            answers.sort(key=self._order)
        return self._taken(answers)

    def pass_over(self, end_ns: int) -> None:
        """No candle up to `end_ns` leads to more than a HOLD."""
        self._decided_ns = end_ns

    def _order(self, answer: tuple[Listener, Settled]) -> tuple[int, int, int, int]:
        """As candles are heard: by closing time, timeframe and instrument, then in the order of the sessions."""
        runner = answer[0].runner
        return (
            answer[1].moment.ts_event_ns,
            runner.timeframe_seconds,
            runner.source.instrument,
            self._places[id(runner)],
        )

    def _sessions(self) -> list[ActiveSession]:
        return self._active.all()

    def _taken(self, answers: Sequence[tuple[Listener, Settled]]) -> list[Signal]:
        """Every answer into the record; the signals of those that count, in their order."""
        if self._conflicts is not Conflicts.INDEPENDENT:
            settle_conflicts([bid_of(*answer) for answer in answers], self._conflicts, self._book.holders)
        signals: list[Signal] = []
        for listener, settled in answers:
            runner, decision, moment = listener.runner, settled.decision, settled.moment
            self._record.decisions.add(
                self._numbers[id(runner)],
                moment.ts_event_ns,
                decision.action.value,
                decision.reason,
                moment.price_paise,
            )
            if decision.action is not Action.HOLD:
                signals += signals_of(
                    decision, runner.source, moment, position=settled.position, group=settled.group, legs=settled.legs
                )
            elif decision.reason.startswith("strategy_error"):
                self._record.broke(runner.source.key.strategy, decision.reason)
            self._record.failed(runner.source.key, settled.failure)
        return signals


def _closes(
    found: Sequence[Found], spec: SessionSpec, instruments: InstrumentMaster, history: MinuteHistory, day: date | None
) -> Mapping[int, int]:
    """Last closes before the run of what strikes are chosen by, by instrument id."""
    if day is None:
        return {}
    owns = [instruments.find(symbol) for symbol in spec.symbols]
    spots = {
        spot.instrument_id for one in found for own in owns for spot in spots_of(one.info.needs, own, instruments, day)
    }
    closes = {spot: history.last_close_paise(spot, before_ns=ist_to_ns(day, time(0))) for spot in spots}
    return {spot: close for spot, close in closes.items() if close is not None}
