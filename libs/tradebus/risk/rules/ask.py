"""What a rule looks at, and how it says no."""

from collections.abc import Callable
from dataclasses import dataclass

from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_time
from tradebus.risk.state import RiskHolding, RiskState
from tradebus.risk.terms import EntryHours, Situation
from tradebus.risk.verdicts import RuleFinding, VerdictKind
from tradebus.trading.facts import EntrySignal


@dataclass(frozen=True, slots=True)
class EntryProposal:
    """An entry signal with everything the rules look at. Prices are rounded to the instrument's tick; `live` are the
    positions open or on their way."""

    signal: EntrySignal
    state: RiskState
    situation: Situation
    hours: EntryHours | None
    live: list[RiskHolding]
    price_paise: int
    stop_paise: int
    target_paise: int | None
    legs_to_come: int = 0  # of its group, after this one

    @property
    def now_ns(self) -> int:
        return self.signal.ts_event_ns


Rule = Callable[[EntryProposal], RuleFinding | None]


def block(rule: str, detail: str) -> RuleFinding:
    return RuleFinding(VerdictKind.BLOCK, rule, detail)


def money(paise: int) -> str:
    return format_rupees(paise)


def seconds(duration_ns: int) -> str:
    return f"{duration_ns / NANOSECONDS_PER_SECOND:g} s"


def clock(ts_ns: int) -> str:
    return f"{ist_time(ts_ns):%H:%M:%S}"
