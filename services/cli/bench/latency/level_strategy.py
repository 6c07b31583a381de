"""The strategy of `bench latency`: long when the price crosses a level upwards, decided on the tick itself."""

from pydantic import Field

from tradebus.strategies.protocol import Action, Candle, Context, Decision, Strategy, StrategyParameters, Tick, hold


class LevelParameters(StrategyParameters):
    level_paise: int = Field(gt=0)


class LevelStrategy(Strategy[LevelParameters]):
    """Knows the last price and nothing else."""

    NAME = "bench_level"
    WARMUP_CANDLES = 0
    WANTS_TICKS = True
    PARAMETERS = LevelParameters

    def __init__(self, parameters: LevelParameters) -> None:
        super().__init__(parameters)
        self._last_paise = 0

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        return hold("decides_on_ticks")

    def on_tick(self, tick: Tick, context: Context) -> Decision | None:
        last_paise, self._last_paise = self._last_paise, tick.price_paise
        if last_paise < self.parameters.level_paise <= tick.price_paise and last_paise > 0:
            return Decision(Action.ENTER_LONG, "crossed", stop_paise=tick.price_paise * 99 // 100, confidence=1.0)
        return None
