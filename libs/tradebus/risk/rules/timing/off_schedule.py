"""A session with a schedule enters on its days only: weekdays, dates, days to expiry."""

from tradebus.calendar import left_out
from tradebus.kernel.time import ist_date
from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def off_schedule(ask: EntryProposal) -> RuleFinding | None:
    schedule = ask.situation.terms.schedule
    if schedule is None:
        return None
    day, underlying = ist_date(ask.now_ns), ask.situation.instruments[ask.signal.instrument].underlying
    why = left_out(schedule, day, underlying=underlying)
    return None if why is None else block("off_schedule", f"{day} is none of the session's days: {why}")
