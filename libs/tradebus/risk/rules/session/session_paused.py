"""A paused session enters nothing until it is resumed."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def session_paused(ask: EntryProposal) -> RuleFinding | None:
    return block("session_paused", "the session is paused: resume it first") if ask.state.paused else None
