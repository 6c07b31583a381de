"""The sessions that trade, and which runner a candle or tick concerns.

Invariants (property-tested): a runner is found by exactly its timeframe and instrument while its session is active;
the order of what is found is that of (session, strategy in the spec, symbol in the spec), whatever the order in which
the sessions were added.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.lane.decisions import Source
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.positions import PositionBook, PositionKey
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.protocol import Strategy
from tradebus.strategies.registry import find_strategy, parse_parameters


@dataclass(slots=True)
class ActiveSession:
    spec: SessionSpec
    runners: list[Runner]
    paused: bool = False

    @property
    def wants_ticks(self) -> bool:
        return any(runner.strategy.WANTS_TICKS for runner in self.runners)


@dataclass(frozen=True, slots=True)
class Listener:
    """One runner, with the session it belongs to."""

    session: ActiveSession
    runner: Runner


class ActiveSessions:
    """Every session this service trades, with an index by what its strategies listen to."""

    def __init__(self) -> None:
        self._sessions: dict[str, ActiveSession] = {}
        self._by_candle: dict[tuple[int, int], list[Listener]] = {}
        self._by_tick: dict[int, list[Listener]] = {}

    def add(self, session: ActiveSession) -> None:
        """Adds a session; one that is there already stays as it is."""
        if self._sessions.setdefault(session.spec.session_id, session) is session:
            self._index()

    def remove(self, session_id: str) -> bool:
        """Whether there was one."""
        if self._sessions.pop(session_id, None) is None:
            return False
        self._index()
        return True

    def get(self, session_id: str | None) -> ActiveSession | None:
        return self._sessions.get(session_id) if session_id is not None else None

    def all(self) -> list[ActiveSession]:
        return list(self._sessions.values())

    @property
    def wants_ticks(self) -> bool:
        return bool(self._by_tick)

    def on_candle_of(self, timeframe_seconds: int, instrument: int) -> Iterable[Listener]:
        return self._by_candle.get((timeframe_seconds, instrument), ())

    @property
    def tick_instruments(self) -> list[int]:
        return list(self._by_tick)

    def on_tick_of(self, instrument: int) -> Iterable[Listener]:
        return self._by_tick.get(instrument, ())

    def _index(self) -> None:
        self._by_candle, self._by_tick = {}, {}
        for _, session in sorted(self._sessions.items()):
            for runner in session.runners:
                instrument = runner.source.instrument
                listener = Listener(session, runner)
                self._by_candle.setdefault((runner.timeframe_seconds, instrument), []).append(listener)
                if runner.strategy.WANTS_TICKS:
                    self._by_tick.setdefault(instrument, []).append(listener)


def open_session(
    spec: SessionSpec, *, instruments: InstrumentMaster, book: PositionBook, paused: bool
) -> ActiveSession:
    """The session with a runner for each strategy and symbol. Raises InvalidInput naming what cannot be traded."""
    symbols = _distinct(instruments.find(symbol) for symbol in spec.symbols)
    runners: list[Runner] = []
    names: set[str] = set()
    for wanted in spec.strategies:
        strategy, parameters = _checked(wanted)
        if strategy.NAME in names:
            raise InvalidInput(f"strategy {strategy.NAME!r} stands twice in session {spec.session_id}; keep one")
        names.add(strategy.NAME)
        runners += [
            _runner(spec, strategy, parameters, instrument=instrument, book=book) for instrument in symbols.values()
        ]
    return ActiveSession(spec, runners, paused)


def _distinct(instruments: Iterable[Instrument]) -> dict[int, Instrument]:
    """By id: a symbol and its alias in one session mean one instrument."""
    return {instrument.instrument_id: instrument for instrument in instruments}


def _checked(wanted: StrategySpec) -> tuple[type[Strategy[Any]], Any]:
    strategy = find_strategy(wanted)
    return strategy, parse_parameters(strategy, wanted.parameters)


def _runner(
    spec: SessionSpec, strategy: type[Strategy[Any]], parameters: Any, *, instrument: Instrument, book: PositionBook
) -> Runner:
    key = PositionKey(spec.session_id, strategy.NAME, instrument.symbol)
    return Runner(
        Source(key, spec.user_id, instrument.instrument_id),
        strategy,
        parameters,
        hours=SessionHours(instrument.market_class),
        position_at=lambda ts_ns: book.at(key, ts_ns),
    )
