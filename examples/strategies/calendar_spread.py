"""Calendar spread: the call at the money of the nearest expiry sold, the same of the next one bought, in one file.

The sold call loses its time value sooner. Both are entered `entry_minutes` after the open of the underlying and left
`exit_minutes` later, or as soon as one of them is gone (its stop was hit).

    tradebus backtest --history FILE --symbol NIFTY,NIFTY2410421700CE,NIFTY2411121700CE \\
        --strategy-file examples/strategies/calendar_spread.py

The file needs the underlying, calls around its money of two expiries, and a day before the first one that is traded
(--from). On the last day of the nearest expiry the pair is that one and the one after, as on any other day.
"""

from pydantic import Field

from tradebus.contracts.signals import Side
from tradebus.strategies.needs import NEXT, Call, Needs, Series
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
SOLD, BOUGHT = Call(0), Call(0, expiry=NEXT)


class CalendarSpreadParameters(StrategyParameters):
    underlying: str = "NIFTY"  # the symbol it is decided on; the others of the session are its legs
    entry_minutes: int = Field(default=30, ge=1)
    exit_minutes: int = Field(default=180, ge=1)
    stop_pct: float = Field(default=40.0, gt=0, lt=100)


class CalendarSpread(Strategy[CalendarSpreadParameters]):
    NAME = "calendar_spread"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = 0
    PARAMETERS = CalendarSpreadParameters
    NEEDS = Needs(instruments=(SOLD, BOUGHT))

    def __init__(self, parameters: CalendarSpreadParameters) -> None:
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
            return hold("in_position") if len(context.legs) == 2 else Decision(Action.EXIT, "a leg is gone")
        if minutes != self.parameters.entry_minutes:
            return hold("not_the_minute")
        if len(self._closes) < 2:
            return hold("a_leg_has_no_price")
        near, far = self._closes[SOLD.name], self._closes[BOUGHT.name]
        legs = (self._leg(SOLD, Side.SHORT), self._leg(BOUGHT, Side.LONG))
        reason = f"near {near / 100:.2f}, far {far / 100:.2f}"
        return Decision(Action.ENTER_LEGS, reason, confidence=0.6, legs=legs)

    def _leg(self, role: Call, side: Side) -> RoleLeg:
        close_paise = self._closes[role.name]
        away_paise = max(5, round(close_paise * self.parameters.stop_pct / 100))
        return RoleLeg(role, side, stop_paise=close_paise - side.sign * away_paise)
