"""What a rule looks at, and how it says no."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_time
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.state import RiskHolding, RiskState
from tradebus.risk.terms import EntryHours, LastTraded, Situation
from tradebus.risk.verdicts import RuleFinding, VerdictKind
from tradebus.trading.facts import EntrySignal


@dataclass(frozen=True, slots=True)
class EntryProposal:
    """An entry signal with everything the rules look at. Prices are rounded to the instrument's tick; `live` are the
    session's positions open or on their way, `scopes` all that its limits hold over, the session first."""

    signal: EntrySignal
    state: RiskState
    situation: Situation
    hours: EntryHours | None
    live: list[RiskHolding]
    scopes: Sequence[RiskScope]
    price_paise: int
    stop_paise: int
    target_paise: int | None
    legs_to_come: int = 0  # of its group, after this one

    @property
    def now_ns(self) -> int:
        return self.signal.ts_event_ns

    @property
    def goes_on_with_a_group(self) -> bool:
        """Whether a leg of its group is in or on its way."""
        group_id = self.signal.group_id
        return group_id is not None and any(holding.group_id == group_id for holding in self.live)


Rule = Callable[[EntryProposal], RuleFinding | None]


def last_tick(ask: EntryProposal) -> LastTraded | None:
    """What its instrument traded at last on this day; None where that is not known."""
    ticks = ask.situation.last_ticks
    tick = None if ticks is None else ticks.of(ask.signal.instrument)
    return tick if tick is not None and ist_date(tick.ts_ns) == ist_date(ask.now_ns) else None


def in_scopes(
    ask: EntryProposal, judge: Callable[[EntryProposal, RiskScope], RuleFinding | None]
) -> RuleFinding | None:  # fmt: skip
    """The finding of the first scope that objects; its detail says which, where it is not the session."""
    for scope in ask.scopes:
        found = judge(ask, scope)
        if found is not None:
            return replace(found, detail=f"{scope.name}: {found.detail}") if scope.name else found
    return None


def beside_session(
    ask: EntryProposal, judge: Callable[[EntryProposal, RiskScope], RuleFinding | None]
) -> RuleFinding | None:  # fmt: skip
    """As `in_scopes`, where the session's own limit is judged otherwise."""
    return in_scopes(replace(ask, scopes=ask.scopes[1:]), judge)


def block(rule: str, detail: str) -> RuleFinding:
    return RuleFinding(VerdictKind.BLOCK, rule, detail)


def money(paise: int) -> str:
    return format_rupees(paise)


def seconds(duration_ns: int) -> str:
    return f"{duration_ns / NANOSECONDS_PER_SECOND:g} s"


def clock(ts_ns: int) -> str:
    return f"{ist_time(ts_ns):%H:%M:%S}"
