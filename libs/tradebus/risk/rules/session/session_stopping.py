"""A session that stops enters nothing any more."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def session_stopping(ask: EntryProposal) -> RuleFinding | None:
    return block("session_stopping", "the session is being stopped") if ask.state.stopping else None
