"""The sessions that trade, and which runner a candle or tick concerns.

Invariants (property-tested): a runner is found by exactly its timeframe and instrument, and by those of the series it
needs beside, while its session is active; the order of what is found is that of (session, strategy in the spec, symbol
in the spec), whatever the order in which the sessions were added.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import CANDLE_CORRECTED, Records
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.info import StrategyInfo, info_of
from tradebus.strategies.lane.asking import Asking, MarketSeen, Settled
from tradebus.strategies.lane.conflicts import Bid
from tradebus.strategies.lane.decisions import Source
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.legs import RoleLegs
from tradebus.strategies.lane.positions import LegSpan, PositionBook, PositionKey
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.shared import SharedLane, SharedRunner, compiled_info
from tradebus.strategies.needs import OWN_ORDER, Series
from tradebus.strategies.protocol import Candle, Strategy
from tradebus.strategies.registry import COMPILED, find_strategy, parse_parameters
from tradebus.strategies.roles import HISTORY, Offered, find_roles, granted, resolve


@dataclass(frozen=True, slots=True)
class Found:
    """A strategy of a session's spec, and who answers what is asked of it."""

    info: StrategyInfo
    runner_of: Callable[[Asking], Runner]


def found_class(info: StrategyInfo, make: Callable[[], Strategy[Any]]) -> Found:
    """A plain strategy; `make` gives a fresh instance, and raises where that cannot be made here."""
    return Found(info, lambda asking: Runner(asking, make))


@dataclass(slots=True)
class ActiveSession:
    spec: SessionSpec
    runners: list[Runner]
    paused: bool = False

    @property
    def wants_ticks(self) -> bool:
        return any(runner.asking.info.wants_ticks for runner in self.runners)

    @property
    def wants_quotes(self) -> bool:
        return any(runner.asking.info.needs.quotes for runner in self.runners)


@dataclass(frozen=True, slots=True)
class Listener:
    """One runner, with the session it belongs to. `series` is None where it hears its own candles and ticks."""

    session: ActiveSession
    runner: Runner
    series: Series | None = None
    order: tuple[int | str, ...] = OWN_ORDER


class ActiveSessions:
    """Every session this service trades, with an index by what its strategies listen to."""

    def __init__(self) -> None:
        self._sessions: dict[str, ActiveSession] = {}
        self._by_candle: dict[tuple[int, int], list[Listener]] = {}
        self._by_tick: dict[int, list[Listener]] = {}
        self._asked_on_ticks: set[int] = set()
        self._quote_instruments: list[int] = []
        self._chain_underlyings: dict[int, str] = {}
        self.version = 0  # another one whenever a session has come or gone

    def add(self, session: ActiveSession) -> None:
        """Adds a session; one that is there already stays as it is."""
        if self._sessions.setdefault(session.spec.session_id, session) is session:
            self._index()

    def remove(self, session_id: str) -> ActiveSession | None:
        """The session, None where there was none."""
        removed = self._sessions.pop(session_id, None)
        if removed is not None:
            self._index()
        return removed

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
    def quote_instruments(self) -> list[int]:
        """Of which somebody needs the depth."""
        return self._quote_instruments

    @property
    def chain_underlyings(self) -> dict[int, str]:
        """The underlying whose option chain is needed, by the instrument of who needs it."""
        return self._chain_underlyings

    @property
    def tick_instruments(self) -> list[int]:
        return list(self._by_tick)

    def asked_on(self, ticks: Records) -> list[int]:
        """The rows of TICK records on which somebody is asked whatever they say. (A batch is small: sorting it for a
        search takes longer than looking at each.)"""
        asked = self._asked_on_ticks
        return [row for row, instrument in enumerate(ticks["instrument"].tolist()) if instrument in asked]

    def on_tick_of(self, instrument: int) -> Iterable[Listener]:
        return self._by_tick.get(instrument, ())

    def hear(self, rows: Iterable[tuple[int, ...]]) -> list[tuple[Candle, Listener]]:
        """The rows of CANDLE records that some runner listens to, by closing time; at one instant those of other series
        come before the own ones. A corrected candle decides nothing a second time: it is in the stored candles, which
        the next rebuild sees."""
        heard: list[tuple[Candle, Listener]] = []
        for row in rows:
            listeners = self._by_candle.get((row[9], row[8]))
            if not listeners or row[11] & CANDLE_CORRECTED:
                continue
            candle = Candle(*row[:7])
            heard += [(candle, listener) for listener in listeners]
        if len(heard) > 1:
            heard.sort(key=lambda pair: (pair[0].ts_close_ns, pair[1].order))
        return heard

    def _index(self) -> None:
        self.version += 1
        self._by_candle, self._by_tick = {}, {}
        asked: set[int] = set()
        for _, session in sorted(self._sessions.items()):
            for runner in session.runners:
                asking = runner.asking
                instrument = asking.source.instrument
                listener = Listener(session, runner)
                self._by_candle.setdefault((asking.info.timeframe_seconds, instrument), []).append(listener)
                for place, heard in asking.inputs.items():
                    self._by_candle.setdefault(place, []).extend(
                        Listener(session, runner, series, series.order) for series in heard
                    )
                if asking.info.wants_ticks:
                    self._by_tick.setdefault(instrument, []).append(listener)
                    if not isinstance(runner, SharedRunner):
                        asked.add(instrument)
        self._asked_on_ticks = asked
        askings = [runner.asking for session in self._sessions.values() for runner in session.runners]
        self._quote_instruments = sorted({one.source.instrument for one in askings if one.info.needs.quotes})
        self._chain_underlyings = {one.source.instrument: one.underlying for one in askings if one.info.needs.chain}


def bid_of(listener: Listener, settled: Settled) -> Bid:
    """A decision as its session's strategies compete by it."""
    key, runners = listener.runner.source.key, listener.session.runners
    names = list(dict.fromkeys(runner.source.key.strategy for runner in runners))
    return Bid(key.session_id, key.symbol, key.strategy, names.index(key.strategy), settled)


def found_here(wanted: StrategySpec, lane: SharedLane | None = None) -> Found:
    """The strategy, run in this process: compiled, one computation for all sessions of `lane`, where it is compiled and
    there is one. Not where it is shown depth or a chain: opinions know candles and ticks only. Raises InvalidInput
    where there is none or a parameter is wrong."""
    strategy = find_strategy(wanted)
    parameters = parse_parameters(strategy, wanted.parameters)
    compiled = COMPILED.get(strategy.NAME) if wanted.path is None and lane is not None else None
    if compiled is not None and lane is not None:
        shared = lane.of(compiled, parameters)
        return Found(
            compiled_info(compiled),
            lambda asking: (
                Runner(asking, lambda: strategy(parameters)) if asking.sees_market else SharedRunner(asking, shared)
            ),
        )
    return found_class(info_of(strategy), lambda: strategy(parameters))


def open_session(
    spec: SessionSpec,
    *,
    instruments: InstrumentMaster,
    book: PositionBook,
    paused: bool,
    day: date | None = None,
    found: Sequence[Found] | None = None,
    offered: Offered = HISTORY,
    seen: MarketSeen | None = None,
) -> ActiveSession:
    """The session with a runner for each strategy and symbol. `day` is the first that is traded, for what expires
    (None: any). `found` is what each strategy of the spec is, where that was looked up already. `offered` says what the
    feed has beside candles, `seen` shows it. Raises InvalidInput naming what cannot be traded."""
    symbols = _distinct(instruments.find(symbol) for symbol in spec.symbols)
    runners: list[Runner] = []
    names: set[str] = set()
    for one in found if found is not None else map(found_here, spec.strategies):
        name = one.info.name
        if name in names:
            raise InvalidInput(f"strategy {name!r} stands twice in session {spec.session_id}; keep one")
        names.add(name)
        for instrument in symbols.values():
            asking = _asking(
                spec, one.info, instrument, instruments=instruments, book=book, day=day, offered=offered, seen=seen
            )  # fmt: skip
            runners.append(one.runner_of(asking))
    return ActiveSession(spec, runners, paused)


def _distinct(instruments: Iterable[Instrument]) -> dict[int, Instrument]:
    """By id: a symbol and its alias in one session mean one instrument."""
    return {instrument.instrument_id: instrument for instrument in instruments}


def _asking(
    spec: SessionSpec,
    info: StrategyInfo,
    own: Instrument,
    *,
    instruments: InstrumentMaster,
    book: PositionBook,
    day: date | None,
    offered: Offered,
    seen: MarketSeen | None,
) -> Asking:
    info = replace(info, needs=granted(info.needs, own, offered))
    key = PositionKey(spec.session_id, info.name, own.symbol)
    source, first_day, what = Source(key, spec.user_id, own.instrument_id), day or date.min, f"strategy {info.name!r}"
    contracts = find_roles(info.needs, own, instruments=instruments, day=first_day, what=what, offered=offered)

    def legs_at(ts_ns: int) -> Sequence[LegSpan]:
        return book.legs_at(spec.session_id, info.name, ts_ns)

    return Asking(
        source,
        info,
        hours=SessionHours(own),
        position_at=partial(book.at, key),
        inputs=resolve(
            info.needs,
            own,
            own_timeframe_seconds=info.timeframe_seconds,
            instruments=instruments,
            day=first_day,
            what=what,
            offered=offered,
        ),
        seen=seen,
        underlying=own.underlying,
        legs=RoleLegs(source, contracts, legs_at) if contracts else None,
    )
