"""What one strategy on one symbol of one session is asked, and what its answer counts for. It calls no strategy.

    candle, tick ─► ask (the context it is given) ─► whoever has the instance answers ─► settled

The instance may live here (`runner`) or in a process of its own (`tradebus.runtime.isolation`): what it is asked and
what its answer counts for is the same, because it is made here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tradebus.contracts.signals import Group
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_midnight_ns
from tradebus.strategies.info import StrategyInfo
from tradebus.strategies.lane.decisions import Moment, Source, settle
from tradebus.strategies.lane.hours import Hours, SessionHours
from tradebus.strategies.lane.legs import RoleLegs
from tradebus.strategies.market_views import Chain, Quote
from tradebus.strategies.needs import OWN_ORDER, Series
from tradebus.strategies.protocol import Action, Candle, Context, Decision, HeldLeg, Position, Tick, hold

PositionAt = Callable[[int], Position | None]


class MarketSeen(Protocol):
    """The newest there is of what NEEDS asks for beside candles, by the own symbol's instrument id, for a question of
    the instant `ts_ns`; None where there is none, or it is too old."""

    def quote_of(self, instrument: int, ts_ns: int) -> Quote | None: ...

    def chain_of(self, instrument: int, ts_ns: int) -> Chain | None: ...


InputCandle = tuple[Candle, Series]


@dataclass(slots=True)
class Settled:
    """A decision that counts, what it was decided on and the position and legs it saw. `group` is what an ENTER_LEGS
    asks for; `failure` the traceback to log once."""

    decision: Decision
    moment: Moment
    position: Position | None
    failure: str | None = None
    group: Group | None = None
    legs: tuple[HeldLeg, ...] = ()


@dataclass(slots=True)
class Ask:
    """One question. `moment` is None where no answer is wanted: a candle that is replayed, or of another series."""

    event: Candle | Tick
    context: Context
    moment: Moment | None = None
    series: Series | None = None


class Asking:
    """`position_at(t)` gives the strategy's position just before the instant `t`; `inputs` are the series it hears
    beside its own, by (timeframe, instrument); `seen` is looked at where it needs quotes or a chain, `legs` knows what
    its roles mean."""

    def __init__(
        self,
        source: Source,
        info: StrategyInfo,
        *,
        hours: SessionHours,
        position_at: PositionAt,
        inputs: Mapping[tuple[int, int], Sequence[Series]] | None = None,
        seen: MarketSeen | None = None,
        underlying: str = "",
        legs: RoleLegs | None = None,
    ) -> None:
        self.source, self.info, self.hours = source, info, hours
        self.inputs = inputs or {}
        self.underlying = underlying
        self.day_ns: int | None = None  # midnight of the trading day the state belongs to
        self._seen = seen if info.needs.quotes or info.needs.chain else None
        self.sees_market = self._seen is not None
        self.position_at = position_at
        self._legs = legs
        self._last_close_ns = 0
        self._input_close_ns: dict[Series, int] = {}
        self._failure_told = False
        # A value, and the hours it was made with: the same until something in it changes.
        self._last_context: tuple[Context, Hours] | None = None

    def needs_rebuild(self, ts_open_ns: int) -> bool:
        """Whether a candle or tick of this instant belongs to another day than the state."""
        return self.day_ns is None or not 0 <= ts_open_ns - self.day_ns < NANOSECONDS_PER_DAY

    def forget(self) -> None:
        """The state is gone, or no longer what the stored candles say: it is made anew before the next question."""
        self.day_ns = None

    def begin(self, ts_open_ns: int, candles: Sequence[Candle], inputs: Sequence[InputCandle] = ()) -> list[Ask]:
        """What a fresh instance is replayed for the day of `ts_open_ns`: all candles before it by closing time, those
        of other series before the own ones of the same instant. Those of earlier days are the warm-up."""
        self.day_ns = ist_midnight_ns(ts_open_ns)
        self._last_close_ns = 0
        self._input_close_ns = {}
        merged: list[tuple[Candle, Series | None]] = [*inputs, *((candle, None) for candle in candles)]
        if inputs:
            merged.sort(key=lambda pair: (pair[0].ts_close_ns, OWN_ORDER if pair[1] is None else pair[1].order))
        asks = []
        for candle, series in merged:
            hours = self.hours.of(candle.ts_open_ns)
            if hours is None:
                continue
            asks.append(Ask(candle, self._context(candle.ts_close_ns, hours, warming_up=True), series=series))
            if series is None:
                self._last_close_ns = candle.ts_close_ns
            else:
                self._heard(candle, series)
        return asks

    def on_candle(self, candle: Candle) -> Ask | None:
        """Asks on a closed candle; None outside trading days and for a candle already seen."""
        hours = self.hours.of(candle.ts_open_ns)
        ts_close_ns = candle.ts_close_ns
        if hours is None or ts_close_ns <= self._last_close_ns:
            return None
        self._last_close_ns = ts_close_ns
        context = self._context(ts_close_ns, hours, warming_up=False)
        return Ask(candle, context, Moment("candle", ts_close_ns, candle.close_paise))

    def on_input(self, candle: Candle, series: Series) -> Ask | None:
        """Tells of a closed candle of another series; no answer is wanted."""
        hours = self.hours.of(candle.ts_open_ns)
        if hours is None or candle.ts_close_ns <= self._input_close_ns.get(series, 0):
            return None
        self._heard(candle, series)
        return Ask(candle, self._context(candle.ts_close_ns, hours, warming_up=False), series=series)

    def on_tick(self, tick: Tick, *, ts_event_ns: int) -> Ask | None:
        """Asks on a tick, at the event time its decision counts from; None for one from before the last candle."""
        hours = self.hours.of(tick.ts_event_ns)
        if hours is None or tick.ts_event_ns < self._last_close_ns:
            return None
        context = self._context(ts_event_ns, hours, warming_up=False)
        return Ask(tick, context, Moment("tick", ts_event_ns, tick.price_paise))

    def settled(self, ask: Ask, answer: Any, *, paused: bool) -> Settled | None:
        """The answer as it counts; None where a tick was answered with nothing, or no answer was wanted."""
        if ask.moment is None or (answer is None and ask.moment.cause == "tick"):
            return None
        position = ask.context.position
        missing = None if self._seen is None else self._missing(ask.context)
        legs = ask.context.legs
        decision = settle(
            answer, ask.moment, position=position, paused=paused, missing=missing, holds_legs=bool(legs)
        )  # fmt: skip
        if decision.action is Action.ENTER_LEGS:
            return _with_group(self._legs, decision, ask.moment, position)
        return Settled(decision, ask.moment, position, legs=legs)

    def refused(self, ask: Ask, problem: str) -> Settled | None:
        """A HOLD that says why the answer cannot count."""
        if ask.moment is None:
            return None
        return Settled(hold(f"strategy_error: {problem}"), ask.moment, ask.context.position)

    def raised(self, ask: Ask, error: str, *, failure: str | None = None) -> Settled | None:
        """A HOLD that says what went wrong. `failure` is the traceback."""
        if ask.moment is None:
            return None
        text = " ".join(error.split())
        return Settled(hold(f"strategy_error: {text}"), ask.moment, ask.context.position, failure=self.told(failure))

    def told(self, failure: str | None) -> str | None:
        """The traceback the first time, None after that: the journal has every case, the log one."""
        if failure is None or self._failure_told:
            return None
        self._failure_told = True
        return failure

    def _heard(self, candle: Candle, series: Series) -> None:
        self._input_close_ns[series] = candle.ts_close_ns
        if self._legs is not None:
            self._legs.heard(series.symbol, candle)

    def _context(self, ts_ns: int, hours: Hours, *, warming_up: bool) -> Context:
        position = self.position_at(ts_ns)
        legs = self._legs.held(ts_ns) if self._legs is not None else ()
        if self._seen is not None and not warming_up:
            return self._shown(ts_ns, position, hours, legs)
        if self._last_context is not None:
            last, last_hours = self._last_context
            seen_alike = last.position is position and last.legs == legs
            if seen_alike and last_hours is hours and last.warming_up is warming_up:
                return last
        context = Context(self.source.key.symbol, position, hours.open_ns, hours.close_ns, None, warming_up, legs=legs)
        self._last_context = context, hours
        return context

    def _shown(self, ts_ns: int, position: Position | None, hours: Hours, legs: tuple[HeldLeg, ...]) -> Context:
        assert self._seen is not None
        needs = self.info.needs
        quote = self._seen.quote_of(self.source.instrument, ts_ns) if needs.quotes else None
        chain = self._seen.chain_of(self.source.instrument, ts_ns) if needs.chain else None
        ratio = None if chain is None else chain.put_call_ratio
        return Context(
            self.source.key.symbol, position, hours.open_ns, hours.close_ns, ratio, False, quote, chain, legs
        )

    def _missing(self, context: Context) -> str | None:
        """What the strategy needs and was not shown: it must not enter on the lack of it."""
        if self.info.needs.quotes is True and context.quote is None:
            return "no_quote"
        return "no_chain" if self.info.needs.chain is True and context.chain is None else None


def _with_group(legs: RoleLegs | None, decision: Decision, moment: Moment, position: Position | None) -> Settled:
    """All legs with contract and price, or a HOLD."""
    if legs is None:
        return Settled(hold("strategy_error: ValueError: NEEDS has no instruments for legs"), moment, position)
    asked = legs.asked(decision, moment)
    if isinstance(asked, Decision):
        return Settled(asked, moment, position)
    return Settled(decision, moment, position, group=asked)
