"""Whether the session makes entries at all."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def kill_switch(ask: EntryProposal) -> RuleFinding | None:
    return block("kill_switch", "the kill switch is engaged") if ask.situation.killed else None


def session_stopping(ask: EntryProposal) -> RuleFinding | None:
    return block("session_stopping", "the session is being stopped") if ask.state.stopping else None


def session_halted(ask: EntryProposal) -> RuleFinding | None:
    rule = ask.state.halted_rule
    return block("session_halted", f"halted for the day by {rule}") if rule is not None else None


def session_paused(ask: EntryProposal) -> RuleFinding | None:
    return block("session_paused", "the session is paused") if ask.state.paused else None
