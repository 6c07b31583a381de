"""There is a session today that positions can still be opened in."""

from tradebus.calendar import holiday_label, is_trading_day, next_trading_day, session_for
from tradebus.kernel.time import ist_date, ist_time
from tradebus.preflight.gate import Facts, GateAnswer

_CLASSES = ("derivative", "equity")


async def ask(facts: Facts) -> GateAnswer:
    now_ns = facts.clock.now_ns()
    day = ist_date(now_ns)
    if not is_trading_day(day):
        why = holiday_label(day) or "the market is closed"
        return GateAnswer(f"{day}: {why}", f"start on {next_trading_day(day)}")
    sessions = [found for name in _CLASSES if (found := session_for(day, name)) is not None]
    ends_ns = max(one.square_off_ns for one in sessions)
    if now_ns >= ends_ns:
        return GateAnswer(
            f"{ist_time(now_ns):%H:%M} IST is after the last entry of {day}", f"start on {next_trading_day(day)}"
        )
    return GateAnswer(f"{day} is a day of trading, positions are closed from {ist_time(ends_ns):%H:%M} IST on")
