"""`bench opinions`' strategy process: the real service, with the compiled strategy as one that runs in it."""

from services.cli.bench.opinions.load import CrossParameters, TickCross
from services.strategy.bootstrap import build
from services.strategy.settings import Settings
from tradebus.indicators.moving import Ema
from tradebus.runtime.shell import run_service
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Strategy, Tick, hold
from tradebus.strategies.registry import BUILT_IN, COMPILED


class PlainTickCross(Strategy[CrossParameters]):
    """The same, session by session: what a session is checked by when it is taken up."""

    NAME = TickCross.NAME
    WARMUP_CANDLES = 0
    WANTS_TICKS = True
    PARAMETERS = CrossParameters

    def __init__(self, parameters: CrossParameters) -> None:
        super().__init__(parameters)
        self._average, self._was_above = Ema(parameters.length), True

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        return hold("decides_on_ticks")

    def on_tick(self, tick: Tick, context: Context) -> Decision | None:
        average = self._average.update(float(tick.price_paise))
        is_above = average is not None and tick.price_paise > average
        crossed, self._was_above = is_above and not self._was_above, is_above
        if not crossed or context.position is not None:
            return None
        reason = f"crossed at {tick.price_paise / 100:.2f}"
        return Decision(Action.ENTER_LONG, reason, stop_paise=tick.price_paise * 99 // 100, confidence=0.5)


if __name__ == "__main__":
    BUILT_IN[TickCross.NAME], COMPILED[TickCross.NAME] = PlainTickCross, TickCross
    run_service("strategy", Settings, build)
