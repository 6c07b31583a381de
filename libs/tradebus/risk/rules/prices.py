"""Whether the entry's own prices make sense."""

from tradebus.risk.rules.ask import EntryProposal, block, money
from tradebus.risk.verdicts import RuleFinding


def invalid_stop(ask: EntryProposal) -> RuleFinding | None:
    """The stop must stand where the position loses: zero risk cannot be sized and would close it at once."""
    side = ask.signal.side
    if ask.stop_paise > 0 and side.sign * (ask.price_paise - ask.stop_paise) > 0:
        return None
    return block("invalid_stop", f"{side} at {money(ask.price_paise)} with its stop at {money(ask.stop_paise)}")


def invalid_target(ask: EntryProposal) -> RuleFinding | None:
    if ask.target_paise is None or ask.signal.side.sign * (ask.target_paise - ask.price_paise) > 0:
        return None
    side, price, target = ask.signal.side, money(ask.price_paise), money(ask.target_paise)
    return block("invalid_target", f"{side} at {price} with its target at {target}")
