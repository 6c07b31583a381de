"""One strategy on one symbol of one session, its instance in this process: how its state is made and kept.

    first candle of a trading day ─► fresh instance ─► replay (warm-up, then the day so far) ─► candle by candle

Invariants (property-tested):
- What a runner decides on a candle depends on the stored candles before the day, the day's candles up to it and the
  positions as of each of them: not on when the process started.
- A strategy that raises makes a HOLD that says so; the runner goes on.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tradebus.kernel.time import ist_midnight_ns
from tradebus.strategies.lane.asking import Ask, Asking, InputCandle, Settled
from tradebus.strategies.lane.decisions import Source
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.needs import Series
from tradebus.strategies.protocol import Candle, Strategy, Tick
from tradebus.strategies.raised import error_text, trace_of


class Runner:
    """`make` gives a fresh instance."""

    def __init__(self, asking: Asking, make: Callable[[], Strategy[Any]]) -> None:
        self.asking = asking
        self._make = make
        self._instance: Strategy[Any] | None = None

    @property
    def source(self) -> Source:
        return self.asking.source

    @property
    def hours(self) -> SessionHours:
        return self.asking.hours

    @property
    def timeframe_seconds(self) -> int:
        return self.asking.info.timeframe_seconds

    def needs_rebuild(self, ts_open_ns: int) -> bool:
        """Whether a candle or tick of this instant belongs to another day than the state."""
        return self.asking.needs_rebuild(ts_open_ns)

    def rebuild(self, ts_open_ns: int, candles: Sequence[Candle], inputs: Sequence[InputCandle] = ()) -> str | None:
        """Makes the state anew for the day of `ts_open_ns` from the candles before it, in time order: those of earlier
        days are the warm-up. Returns the traceback where the strategy raised, to be logged once."""
        failure: str | None = None
        try:
            self._instance = self._make()
            if not inputs:
                candles = self._warmed_up(self._instance, ts_open_ns, candles)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 -- the user's code may raise anything; the service lives on
            self._instance = None
            self.asking.begin(ts_open_ns, ())
            return self.asking.told(trace_of(error))
        asks = self.asking.begin(ts_open_ns, candles, inputs)
        for ask in asks:
            try:
                self._answer(ask)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 -- as when it is live: lost to the strategy, the next is not
                failure = failure or trace_of(error)
        return self.asking.told(failure)

    def _warmed_up(self, instance: Strategy[Any], ts_open_ns: int, candles: Sequence[Candle]) -> Sequence[Candle]:
        """Gives the candles of earlier days at once to a strategy that takes them so; those that are left."""
        day_ns = ist_midnight_ns(ts_open_ns)
        earlier = sum(candle.ts_open_ns < day_ns for candle in candles)
        traded = [candle for candle in candles[:earlier] if self.hours.of(candle.ts_open_ns) is not None]
        return candles[earlier:] if instance.warm_up(traded) else candles

    def on_candle(self, candle: Candle, *, paused: bool) -> Settled | None:
        """Decides on a closed candle; None outside trading days and for a candle already seen."""
        ask = self.asking.on_candle(candle)
        return None if ask is None else self._settle(ask, paused=paused)

    def on_input(self, candle: Candle, series: Series) -> str | None:
        """Takes a closed candle of another series. Returns the traceback where the strategy raised, to be logged."""
        ask = self.asking.on_input(candle, series)
        if ask is None:
            return None
        try:
            self._answer(ask)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 -- the user's code may raise anything; the service lives on
            return self.asking.told(trace_of(error))
        return None

    def on_tick(self, tick: Tick, *, ts_event_ns: int, paused: bool) -> Settled | None:
        """Decides on a tick, at the event time its decision counts from; None where the strategy says nothing."""
        ask = self.asking.on_tick(tick, ts_event_ns=ts_event_ns)
        return None if ask is None else self._settle(ask, paused=paused)

    def _settle(self, ask: Ask, *, paused: bool) -> Settled | None:
        try:
            answer = self._answer(ask)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 -- the user's code may raise anything; the service lives on
            return self.asking.raised(ask, error_text(error), failure=trace_of(error))
        if answer is None and isinstance(ask.event, Tick):
            return None  # nearly all that ticks are answered with
        return self.asking.settled(ask, answer, paused=paused)

    def _answer(self, ask: Ask) -> Any:
        if self._instance is None:
            raise RuntimeError("the strategy could not be created")
        return answer_of(self._instance, ask)


def answer_of(instance: Strategy[Any], ask: Ask) -> Any:
    """What the strategy says: a Decision, or whatever else it may return. Raises what it raises."""
    if isinstance(ask.event, Tick):
        return instance.on_tick(ask.event, ask.context)
    if ask.series is not None:
        return instance.on_input(ask.event, ask.series, ask.context)
    return instance.on_candle(ask.event, ask.context)
