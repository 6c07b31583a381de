"""Short straddle with wings: four legs that are one idea, in one file.

At `entry_minutes` after the open of the underlying the call and the put at the money are sold, and a call and a put
`wing_steps` further out are bought, each leg with a stop of its own; all of them are left `exit_minutes` later, or as
soon as one of them is gone (its stop was hit).

    tradebus backtest --history FILE --symbol NIFTY,NIFTY2410421700CE,… --strategy-file examples/strategies/straddle.py

The file needs the underlying and the options around its money, and a day before the first one that is traded (--from).
Four legs are four trades: --limit max_concurrent_trades=4.
"""

from pydantic import Field

from tradebus.contracts.signals import Side
from tradebus.strategies.needs import Call, Needs, Put, Role, Series
from tradebus.strategies.protocol import (
    Action,
    Candle,
    Context,
    Decision,
    RoleLeg,
    Strategy,
    StrategyParameters,
    hold,
)

MINUTE_NS = 60 * 1_000_000_000
WING_STEPS = 1
SOLD: tuple[Role, ...] = (Call(0), Put(0))
BOUGHT: tuple[Role, ...] = (Call(WING_STEPS), Put(-WING_STEPS))


class StraddleParameters(StrategyParameters):
    underlying: str = "NIFTY"  # the symbol it is decided on; the others of the session are its legs
    entry_minutes: int = Field(default=30, ge=1)
    exit_minutes: int = Field(default=120, ge=1)
    stop_pct: float = Field(default=30.0, gt=0, lt=100)


class Straddle(Strategy[StraddleParameters]):
    NAME = "straddle"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = 0
    PARAMETERS = StraddleParameters
    NEEDS = Needs(instruments=(*SOLD, *BOUGHT))

    def __init__(self, parameters: StraddleParameters) -> None:
        super().__init__(parameters)
        self._closes: dict[str, int] = {}  # by role

    def on_input(self, candle: Candle, series: Series, context: Context) -> None:
        self._closes[series.role] = candle.close_paise

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        if context.symbol != self.parameters.underlying:
            return hold("a_leg")
        minutes = (candle.ts_close_ns - context.session_open_ns) // MINUTE_NS
        if context.legs:
            if minutes >= self.parameters.entry_minutes + self.parameters.exit_minutes:
                return Decision(Action.EXIT, "time_is_over")
            if len(context.legs) < len(SOLD) + len(BOUGHT):
                return Decision(Action.EXIT, f"only {len(context.legs)} legs are left")
            return hold("in_position")
        if minutes != self.parameters.entry_minutes:
            return hold("not_the_minute")
        if len(self._closes) < len(SOLD) + len(BOUGHT):
            return hold("a_leg_has_no_price")
        legs = tuple(self._leg(role, Side.SHORT) for role in SOLD) + tuple(
            self._leg(role, Side.LONG) for role in BOUGHT
        )
        return Decision(Action.ENTER_LEGS, f"minute {minutes}", confidence=0.6, legs=legs)

    def _leg(self, role: Role, side: Side) -> RoleLeg:
        close_paise = self._closes[role.name]
        away_paise = max(5, round(close_paise * self.parameters.stop_pct / 100))
        return RoleLeg(role, side, stop_paise=close_paise - side.sign * away_paise)
