"""The stop must stand where the position loses: zero risk cannot be sized and would close it at once."""

from tradebus.risk.rules.ask import EntryProposal, block, money
from tradebus.risk.verdicts import RuleFinding


def invalid_stop(ask: EntryProposal) -> RuleFinding | None:
    side = ask.signal.side
    if ask.stop_paise > 0 and side.sign * (ask.price_paise - ask.stop_paise) > 0:
        return None
    where = "below" if side.sign > 0 else "above"
    detail = f"{side} at {money(ask.price_paise)} with its stop at {money(ask.stop_paise)}: it must stand {where}"
    return block("invalid_stop", detail)
