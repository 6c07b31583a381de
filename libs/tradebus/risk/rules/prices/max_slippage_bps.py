"""What an entry would cost beyond its price by the market as it stands: the far side of the book, or the last price."""

from tradebus.contracts.signals import Side
from tradebus.risk.rules.ask import EntryProposal, block, in_scopes, last_tick, money
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding
from tradebus.trading.size.sizing import millionths

_BASIS_POINTS, _MILLIONTHS = 10_000, 1_000_000


def max_slippage_bps(ask: EntryProposal) -> RuleFinding | None:
    alone = len(ask.scopes) == 1 and ask.scopes[0].limits.max_slippage_bps is None
    return None if alone else in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    limit = scope.limits.max_slippage_bps
    if limit is None:
        return None
    tick, side = last_tick(ask), ask.signal.side
    if tick is None:
        detail = f"no price of {ask.signal.symbol} is known of this day; limit {limit:g} bps from it"
        return block("max_slippage_bps", detail)
    touch = (tick.ask_paise if side is Side.LONG else tick.bid_paise) or tick.price_paise
    slip_paise = side.sign * (touch - ask.price_paise)
    if slip_paise * _BASIS_POINTS * _MILLIONTHS <= millionths(limit) * ask.price_paise:
        return None
    bps = slip_paise * _BASIS_POINTS // ask.price_paise
    detail = f"{money(touch)} is to be paid where {money(ask.price_paise)} is asked for: {bps} bps; limit {limit:g}"
    return block("max_slippage_bps", detail)
