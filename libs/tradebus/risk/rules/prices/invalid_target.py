"""A target stands where the position wins."""

from tradebus.risk.rules.ask import EntryProposal, block, money
from tradebus.risk.verdicts import RuleFinding


def invalid_target(ask: EntryProposal) -> RuleFinding | None:
    if ask.target_paise is None or ask.signal.side.sign * (ask.target_paise - ask.price_paise) > 0:
        return None
    side, price, target = ask.signal.side, money(ask.price_paise), money(ask.target_paise)
    where = "above" if side.sign > 0 else "below"
    return block("invalid_target", f"{side} at {price} with its target at {target}: it must stand {where}")
