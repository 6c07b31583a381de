"""One message, or one batch of ticks: what it changes and what is decided.

    absorb (reports, commands) ─► decide (verdicts) ─► apply ─► exits that are due ─► apply

Invariants, property-tested: a step is a function of its arguments; a step made again on its own result by a message
it has handled approves nothing more than once (the inbox keeps it from being made at all).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tradebus.contracts.records import Records
from tradebus.contracts.sessions import RiskLimits, ScopeLimits
from tradebus.risk.apply import apply
from tradebus.risk.commands import Command, CommandKind
from tradebus.risk.exits import (
    HARD_TRADING_END,
    all_due,
    decide_exits,
    due_exits,
    hard_end_due,
    part_due,
    scope_due,
)
from tradebus.risk.groups import failed
from tradebus.risk.marking import Marked, mark
from tradebus.risk.people import waiting
from tradebus.risk.reports import Report, absorb
from tradebus.risk.rules.data.stale_signal import is_timely
from tradebus.risk.rules.losses.capital_gone import CAPITAL_GONE, gone_finding, watched_loss_paise
from tradebus.risk.rules.losses.consecutive_losses_limit import streak_finding
from tradebus.risk.rules.losses.daily_max_loss import loss_finding
from tradebus.risk.rules.losses.parts import lost_parts
from tradebus.risk.state import RiskState
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Cause, RuleFinding, Verdict, VerdictKind
from tradebus.trading.exit_reasons import KILL_SWITCH, STOP_TRADING
from tradebus.trading.facts import EntrySignal, ExitSignal, PositionClosed


@dataclass(frozen=True, slots=True)
class RiskStep:
    state: RiskState
    verdicts: tuple[Verdict, ...] = ()


def on_signal(state: RiskState, signal: EntrySignal | ExitSignal, situation: Situation) -> RiskStep:
    """A strategy asks. ValueError for an entry without a pos_id."""
    if is_timely(signal.ts_event_ns, situation):
        state = state.at(signal.ts_event_ns)
    if isinstance(signal, ExitSignal):
        exits = decide_exits(state, signal)
        over = waiting.withdrawn(apply(state, exits), signal)
        step = RiskStep(over.state, (*exits, *over.verdicts))
    else:
        judged = waiting.judge_entry(state, signal, situation)
        step = RiskStep(judged.state, judged.verdicts)
    return _with_due(step, Cause(signal.ts_event_ns, signal.event_id, signal.trace_id))


def on_word(state: RiskState, word: waiting.PersonsWord, situation: Situation, cause: Cause) -> RiskStep:
    """A person has said yes or no to an entry that waits."""
    judged = waiting.take_word(state.at(cause.ts_event_ns), word, situation, cause)
    return _with_due(RiskStep(judged.state, judged.verdicts), cause)


def on_fact(state: RiskState, fact: Report, situation: Situation) -> RiskStep:
    """Execution reports. A close may halt the session. ValueError for a fact without a pos_id."""
    state = failed(state, absorb(state, fact, situation), fact)
    cause = Cause(fact.ts_event_ns, fact.event_id, fact.trace_id)
    verdicts: tuple[Verdict, ...] = ()
    if isinstance(fact, PositionClosed):
        verdicts = _halt(state, _after_close(state, situation), cause)
        state = apply(state, verdicts)
        if state.halted_rule is None and not state.open():  # marks of what is open are judged with the next batch
            state = _parts_halted(state, situation)
    step = RiskStep(state, verdicts)
    return step if situation.paced else _with_due(step, cause)


def on_command(state: RiskState, command: Command, situation: Situation) -> RiskStep:
    """A person or an application commands. Exits take effect in event time, whenever the command was written."""
    match command.kind:
        case CommandKind.PAUSE:
            return RiskStep(replace(state, paused=True))
        case CommandKind.RESUME:
            return RiskStep(replace(state, paused=False))
        case CommandKind.STOP:
            state, rule = all_due(replace(state, stopping=True), rule=STOP_TRADING), "session_stopping"
        case CommandKind.FLATTEN:
            state, rule = scope_due(state, command.scope, situation), ""
        case CommandKind.KILL:
            state, rule = all_due(state, rule=KILL_SWITCH), KILL_SWITCH
    cause = Cause(situation.now_ns(command.ts_event_ns), command.event_id, command.trace_id)
    if not rule:
        return _with_due(RiskStep(state), cause)
    over = waiting.dropped(state, rule, cause)
    return _with_due(RiskStep(over.state, over.verdicts), cause)


def on_limits(
    state: RiskState, limits: RiskLimits, strategy_limits: Mapping[str, ScopeLimits], situation: Situation,
    cause: Cause, *, set_ns: int,
) -> RiskStep:  # fmt: skip
    """Other limits hold from now on; what has reached one of them already is halted. `set_ns` is when they were set:
    what was set before others that hold changes nothing."""
    if set_ns < state.limits_set_ns:
        return RiskStep(state)
    state = replace(state, limits=limits, strategy_limits=strategy_limits, limits_set_ns=set_ns)
    now = replace(situation, terms=situation.terms.with_limits(limits, strategy_limits))
    loss, streak = loss_finding(now.terms, total_paise=state.total_paise()), streak_finding(now.terms, state)
    verdicts = _halt(state, [found for found in (loss, streak) if found is not None], cause)
    return _with_due(RiskStep(_parts_halted(apply(state, verdicts), now), verdicts), cause)


def on_shared_loss(state: RiskState, rule: str, detail: str, cause: Cause) -> RiskStep:
    """What several sessions share has lost what it may: this one of them is halted, once a day."""
    verdicts = _halt(state, [RuleFinding(VerdictKind.HALT, rule, detail)], cause)
    return _with_due(RiskStep(apply(state, verdicts), verdicts), cause) if verdicts else RiskStep(state)


def on_shared_end(state: RiskState, cause: Cause) -> RiskStep:
    """The hard end of what several sessions share has come: what this one of them holds is closed."""
    return _with_due(RiskStep(all_due(state, rule=HARD_TRADING_END)), cause)


def on_over(state: RiskState, cause: Cause) -> RiskStep:
    """The session is over. Positions that are there nevertheless are closed."""
    over = waiting.dropped(all_due(replace(state, stopping=True), rule=STOP_TRADING), "session_stopping", cause)
    return _with_due(RiskStep(over.state, over.verdicts), cause)


def on_ticks(state: RiskState, ticks: Records, situation: Situation, *, end_ns: int) -> RiskStep:
    """Marks to market. `ticks` are of held instruments (marking.select), before `end_ns`, the end of their slice.

    Exits take effect at that end; a halt carries the instant of the tick that caused it.
    """
    state = state.at(end_ns - 1)
    if not state.holdings:
        return RiskStep(state)
    marked = mark(state, ticks, end_ns=end_ns, loss_limit_paise=watched_loss_paise(situation.terms, state))
    verdicts: tuple[Verdict, ...] = ()
    if marked.breach is not None:
        verdicts = _halt(marked.state, _breached(marked, situation), Cause(marked.breach.ts_ns))
    state = _parts_halted(apply(marked.state, verdicts), situation)
    state = hard_end_due(state, now_ns=end_ns)
    return _with_due(RiskStep(state, verdicts), Cause(end_ns))


def on_time(state: RiskState, *, now_ns: int) -> RiskStep:
    """The market's clock has reached `now_ns` and no data says so: what is due by then is due. Not for a paced run,
    where data alone is time."""
    over = waiting.expired(state.at(now_ns), Cause(now_ns))
    due = hard_end_due(over.state, now_ns=now_ns)
    step = RiskStep(due, over.verdicts)
    return step if due is over.state else _with_due(step, Cause(now_ns))


def _parts_halted(state: RiskState, situation: Situation) -> RiskState:
    """Halts the strategies and symbols that have lost what they may, and marks what they hold."""
    for part in lost_parts(state, situation.terms):
        state = part_due(state, part)
    return state


def _with_due(step: RiskStep, cause: Cause) -> RiskStep:
    exits = due_exits(step.state, cause)
    return RiskStep(apply(step.state, exits), (*step.verdicts, *exits)) if exits else step


def _after_close(state: RiskState, situation: Situation) -> Sequence[RuleFinding]:
    """While other positions are open their marks are as old as the last batch: the next one, which counts this close
    at its own instant, judges the loss exactly."""
    streak = streak_finding(situation.terms, state)
    losses = [] if state.open() else _losses(state, situation, total_paise=state.total_paise())
    return losses if streak is None else [*losses, streak]


def _breached(marked: Marked, situation: Situation) -> Sequence[RuleFinding]:
    return [] if marked.breach is None else _losses(marked.state, situation, total_paise=marked.breach.total_paise)


def _losses(state: RiskState, situation: Situation, *, total_paise: int) -> list[RuleFinding]:
    gone = gone_finding(situation.terms, state, total_paise=total_paise)
    loss = loss_finding(situation.terms, total_paise=total_paise)
    return [found for found in (gone, loss) if found is not None]


def _halt(state: RiskState, findings: Sequence[RuleFinding], cause: Cause) -> tuple[Verdict, ...]:
    """The first finding halts the session, once a day; that its capital is gone is found after another halt too."""
    halted = state.halted_rule
    found = next((one for one in findings if halted is None or CAPITAL_GONE == one.rule != halted), None)
    if found is None:
        return ()
    return (Verdict(VerdictKind.HALT, found.rule, found.detail, cause.ts_event_ns, cause.event_id, cause.trace_id),)
