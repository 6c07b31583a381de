"""The kill switch stands: nothing is entered anywhere."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def kill_switch(ask: EntryProposal) -> RuleFinding | None:
    if not ask.situation.killed:
        return None
    return block("kill_switch", "the kill switch is engaged: a person has to release it first")
