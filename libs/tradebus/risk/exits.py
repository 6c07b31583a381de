"""Getting out. Exits are never blocked.

Whatever wants positions closed marks them `exit_due`; `due_exits` turns the marks into verdicts once a position is
open. An exit signal is approved at once.

Invariants, property-tested:
- an exit signal for a position that is open, or whose entry is in flight, is approved whatever the session's state,
- no second exit is approved while one is out; execution's word that the exit failed makes the way free again,
- a halt, a stop, a flatten or a kill closes every open position, and every entry in flight as soon as it opens.
"""

from dataclasses import replace

from tradebus.contracts.commands import FlattenScope
from tradebus.risk.rules.losses.parts import LostPart
from tradebus.risk.state import RiskHolding, RiskState, halted_part_of
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Cause, Verdict, VerdictKind
from tradebus.trading.exit_reasons import FLATTEN, KILL_SWITCH, STOP_TRADING
from tradebus.trading.facts import ExitSignal

HARD_TRADING_END = "hard_trading_end"
EXIT_SIGNAL = "exit_signal"
GROUP_INCOMPLETE = "group_incomplete"

_REASONS = {
    KILL_SWITCH: "the kill switch is engaged",
    STOP_TRADING: "the session is being stopped",
    FLATTEN: "told to be flat",
    HARD_TRADING_END: "the day's last moment to be flat",
    EXIT_SIGNAL: "asked for while its entry was in flight",
    GROUP_INCOMPLETE: "a leg of its group was not entered",
}


def decide_exits(state: RiskState, signal: ExitSignal) -> tuple[Verdict, ...]:
    """What is asked for and, of a group, every leg that is still on its way in: nobody sees those, so nobody asks."""
    cause = Cause(signal.ts_event_ns, signal.event_id, signal.trace_id)
    others = state.group(signal.group_id) if signal.group_id is not None else ()
    return (
        _decide_exit(state, signal, cause),
        *(
            exit_of(holding, rule=EXIT_SIGNAL, detail=signal.reason, cause=cause)
            for holding in others
            if holding.live and not holding.open and holding.closing_rule is None and holding.pos_id != signal.pos_id
        ),
    )


def _decide_exit(state: RiskState, signal: ExitSignal, cause: Cause) -> Verdict:
    """EXIT for a position that is there and not closing, else IGNORED with the reason."""
    holding = state.holdings.get(signal.pos_id or "")
    if holding is None or not holding.live:
        return ignored(signal, rule="no_position", detail=f"no position {signal.pos_id} is open or on its way")
    if holding.closing_rule is not None:
        return ignored(signal, rule="already_closing", detail=f"an exit is out: {holding.closing_rule}")
    return replace(exit_of(holding, rule=EXIT_SIGNAL, detail=signal.reason, cause=cause), signal=signal)


def ignored(signal: ExitSignal, *, rule: str, detail: str) -> Verdict:
    return Verdict(
        VerdictKind.IGNORED, rule, detail, signal.ts_event_ns, signal.event_id, signal.trace_id, signal=signal
    )


def due_exits(state: RiskState, cause: Cause) -> tuple[Verdict, ...]:
    """An EXIT for every open position that is marked."""
    return tuple(
        exit_of(holding, rule=holding.exit_due, detail=_REASONS.get(holding.exit_due, "halted"), cause=cause)
        for holding in state.open()
        if holding.exit_due is not None
    )


def all_due(state: RiskState, *, rule: str) -> RiskState:
    """Marks every position and every entry in flight that has no exit out. The first rule that asked stays."""
    holdings = {pos_id: _due(holding, rule=rule) for pos_id, holding in state.holdings.items()}
    return replace(state, holdings=holdings)


def scope_due(state: RiskState, scope: FlattenScope, situation: Situation) -> RiskState:
    """Marks every position that a FLATTEN means, as `all_due`."""
    return replace(
        state,
        holdings={
            pos_id: _due(holding, rule=FLATTEN) if _is_meant(holding, scope, situation) else holding
            for pos_id, holding in state.holdings.items()
        },
    )


def _is_meant(holding: RiskHolding, scope: FlattenScope, situation: Situation) -> bool:
    instrument = situation.instruments.get(holding.instrument)
    underlying = None if instrument is None else instrument.underlying
    return scope.holds(
        strategy=holding.strategy, symbol=holding.symbol, underlying=underlying, pos_id=holding.pos_id
    )  # fmt: skip


def part_due(state: RiskState, part: LostPart) -> RiskState:
    """Marks every position of a part, as `all_due`, and remembers that it is halted."""
    holdings = {
        pos_id: _due(holding, rule=part.rule) if part.holds(holding) else holding
        for pos_id, holding in state.holdings.items()
    }
    return replace(state, holdings=holdings, halted_parts={**state.halted_parts, part.name: part.rule})


def group_due(state: RiskState, group_id: str, *, rule: str) -> RiskState:
    """Marks every leg of a group, as `all_due`."""
    due = {holding.pos_id: _due(holding, rule=rule) for holding in state.group(group_id)}
    return replace(state, holdings={**state.holdings, **due}) if due else state


def hard_end_due(state: RiskState, *, now_ns: int) -> RiskState:
    """Marks, once, every open position whose last moment has come."""
    due = {
        holding.pos_id: replace(_due(holding, rule=HARD_TRADING_END), hard_end_ns=None)
        for holding in state.open()
        if holding.hard_end_ns is not None and holding.hard_end_ns <= now_ns
    }
    return replace(state, holdings={**state.holdings, **due}) if due else state


def next_due_ns(state: RiskState) -> int | None:
    """When the clock alone will next close a position, or end an entry's waiting; None where it does neither."""
    ends = [holding.hard_end_ns for holding in state.holdings.values() if holding.open]
    ends += [one.expires_ns for one in state.waiting.values()]
    return min((end_ns for end_ns in ends if end_ns is not None), default=None)


def due_when_opened(state: RiskState, holding: RiskHolding, situation: Situation) -> str | None:
    """The rule by which a position that has just opened must not be there; None where it may stay."""
    if holding.exit_due is not None:
        return holding.exit_due
    if situation.killed:
        return KILL_SWITCH
    if state.stopping:
        return STOP_TRADING
    part = halted_part_of(state, strategy=holding.strategy, symbol=holding.symbol)
    return state.halted_rule if part is None else part[1]


def _due(holding: RiskHolding, *, rule: str) -> RiskHolding:
    if not holding.live or holding.closing_rule is not None:
        return holding
    return replace(holding, exit_due=holding.exit_due or rule)


def exit_of(holding: RiskHolding, *, rule: str, detail: str, cause: Cause) -> Verdict:
    """EXIT for a holding."""
    trace_id = cause.trace_id or holding.trace_id
    return Verdict(VerdictKind.EXIT, rule, detail, cause.ts_event_ns, cause.event_id, trace_id, holding=holding)
