"""The kill switch stands: nothing is entered anywhere."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding
from tradebus.trading.exit_reasons import KILL_SWITCH


def kill_switch(ask: EntryProposal) -> RuleFinding | None:
    if not ask.situation.killed:
        return None
    return block(KILL_SWITCH, "the kill switch is engaged: a person has to release it first")
