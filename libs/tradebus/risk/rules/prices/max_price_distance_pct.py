"""An entry's price lies near what the instrument itself trades at: a band around its last price."""

from tradebus.risk.rules.ask import EntryProposal, block, in_scopes, last_tick, money
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding
from tradebus.trading.size.sizing import leveraged_paise


def max_price_distance_pct(ask: EntryProposal) -> RuleFinding | None:
    alone = len(ask.scopes) == 1 and ask.scopes[0].limits.max_price_distance_pct is None
    return None if alone else in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    limit = scope.limits.max_price_distance_pct
    if limit is None:
        return None
    tick = last_tick(ask)
    if tick is None:
        detail = f"no price of {ask.signal.symbol} is known of this day; limit {limit:g} % from it"
        return block("max_price_distance_pct", detail)
    reach = leveraged_paise(tick.price_paise, limit, 0.01)
    low, high = tick.price_paise - reach, tick.price_paise + reach
    if low <= ask.price_paise <= high:
        return None
    detail = f"{money(ask.price_paise)} is not within {money(low)} to {money(high)}, {limit:g} % of the last price"
    return block("max_price_distance_pct", detail)
