"""A session that a limit has halted stays so for the day."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def session_halted(ask: EntryProposal) -> RuleFinding | None:
    rule = ask.state.halted_rule
    return block("session_halted", f"halted for the day by {rule}") if rule is not None else None
