"""An instrument whose own data has stopped is not entered, however fresh the others' is."""

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.risk.rules.ask import EntryProposal, block, clock, in_scopes, last_tick, seconds
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding


def max_data_age_seconds(ask: EntryProposal) -> RuleFinding | None:
    alone = len(ask.scopes) == 1 and ask.scopes[0].limits.max_data_age_seconds is None
    return None if alone else in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    limit = scope.limits.max_data_age_seconds
    if limit is None:
        return None
    tick, symbol = last_tick(ask), ask.signal.symbol
    if tick is None:
        return block("max_data_age_seconds", f"no tick of {symbol} is known of this day; limit {limit} s")
    age_ns = ask.now_ns - tick.ts_ns
    if age_ns <= limit * NANOSECONDS_PER_SECOND:
        return None
    return block(
        "max_data_age_seconds", f"the last tick of {symbol} is {seconds(age_ns)} old, of {clock(tick.ts_ns)}; "
        f"limit {limit} s",
    )  # fmt: skip
