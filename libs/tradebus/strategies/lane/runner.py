"""One strategy on one symbol of one session: its instance, and how its state is made and kept.

    first candle of a trading day ─► fresh instance ─► replay (warm-up, then the day so far) ─► candle by candle

Invariants (property-tested):
- What a runner decides on a candle depends on the stored candles before the day, the day's candles up to it and the
  positions as of each of them: not on when the process started.
- A strategy that raises makes a HOLD that says so; the runner goes on.
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tradebus.kernel.time import ist_midnight_ns
from tradebus.strategies.lane.decisions import Moment, Source, settle
from tradebus.strategies.lane.hours import Hours, SessionHours
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Position, Strategy, Tick

PositionAt = Callable[[int], Position | None]


@dataclass(slots=True)
class Settled:
    """A decision that counts, what it was decided on and the position it saw. `failure`: the traceback to log once."""

    decision: Decision
    moment: Moment
    position: Position | None
    failure: str | None = None


class Runner:
    """`position_at(t)` gives the strategy's position just before the instant `t`."""

    def __init__(
        self,
        source: Source,
        strategy: type[Strategy[Any]],
        parameters: Any,
        *,
        hours: SessionHours,
        position_at: PositionAt,
    ) -> None:
        self.source = source
        self.strategy = strategy
        self.day_ns: int | None = None  # midnight of the trading day the state belongs to
        self._parameters = parameters
        self.hours = hours
        self._position_at = position_at
        self._instance: Strategy[Any] | None = None
        self._failure_told = False
        self._last_close_ns = 0

    @property
    def timeframe_seconds(self) -> int:
        return self.strategy.TIMEFRAME_SECONDS

    def needs_rebuild(self, ts_open_ns: int) -> bool:
        """Whether a candle or tick of this instant belongs to another day than the state."""
        return self.day_ns != ist_midnight_ns(ts_open_ns)

    def rebuild(self, ts_open_ns: int, candles: Sequence[Candle]) -> str | None:
        """Makes the state anew for the day of `ts_open_ns` from the candles before it, in time order: those of earlier
        days are the warm-up. Returns the traceback where the strategy raised, to be logged once."""
        self.day_ns = ist_midnight_ns(ts_open_ns)
        self._last_close_ns = 0
        failure: str | None = None
        try:
            instance = self._instance = self.strategy(self._parameters)
        except Exception:  # noqa: BLE001 -- the user's code may raise anything; the service lives on
            self._instance = None
            return self._told(traceback.format_exc())
        for candle in candles:
            hours = self.hours.of(candle.ts_open_ns)
            if hours is None:
                continue
            context = self._context(candle.ts_close_ns, hours, warming_up=True)
            try:
                instance.on_candle(candle, context)
            except Exception:  # noqa: BLE001 -- as when it is live: this candle is lost to the strategy, the next is not
                failure = failure or traceback.format_exc()
            self._last_close_ns = candle.ts_close_ns
        return self._told(failure)

    def on_candle(self, candle: Candle, *, paused: bool) -> Settled | None:
        """Decides on a closed candle; None outside trading days and for a candle already seen."""
        hours = self.hours.of(candle.ts_open_ns)
        if hours is None or candle.ts_close_ns <= self._last_close_ns:
            return None
        self._last_close_ns = candle.ts_close_ns
        moment = Moment("candle", candle.ts_close_ns, candle.close_paise)
        context = self._context(candle.ts_close_ns, hours, warming_up=False)
        try:
            answer: Any = self._live().on_candle(candle, context)
        except Exception as error:  # noqa: BLE001 -- the user's code may raise anything; the service lives on
            return self._failed(error, moment, context)
        return Settled(settle(answer, moment, position=context.position, paused=paused), moment, context.position)

    def on_tick(self, tick: Tick, *, ts_event_ns: int, paused: bool) -> Settled | None:
        """Decides on a tick, at the event time its decision counts from; None where the strategy says nothing."""
        hours = self.hours.of(tick.ts_event_ns)
        if hours is None or tick.ts_event_ns < self._last_close_ns:
            return None
        moment = Moment("tick", ts_event_ns, tick.price_paise)
        context = self._context(ts_event_ns, hours, warming_up=False)
        try:
            answer: Any = self._live().on_tick(tick, context)
        except Exception as error:  # noqa: BLE001 -- the user's code may raise anything; the service lives on
            return self._failed(error, moment, context)
        if answer is None:
            return None
        return Settled(settle(answer, moment, position=context.position, paused=paused), moment, context.position)

    def _live(self) -> Strategy[Any]:
        if self._instance is None:
            raise RuntimeError("the strategy could not be created")
        return self._instance

    def _context(self, ts_ns: int, hours: Hours, *, warming_up: bool) -> Context:
        return Context(
            symbol=self.source.key.symbol,
            position=self._position_at(ts_ns),
            session_open_ns=hours.open_ns,
            session_close_ns=hours.close_ns,
            put_call_ratio=None,
            warming_up=warming_up,
        )

    def _failed(self, error: Exception, moment: Moment, context: Context) -> Settled:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        decision = Decision(action=Action.HOLD, reason=f"strategy_error: {text}")
        return Settled(decision, moment, context.position, failure=self._told(traceback.format_exc()))

    def _told(self, failure: str | None) -> str | None:
        """The traceback the first time, None after that: the journal has every case, the log one."""
        if failure is None or self._failure_told:
            return None
        self._failure_told = True
        return failure
