"""Entries that wait for a person's yes, in a session that asks for one.

    signal ─► the rules ─► refused: as ever
                   └─► let in ─► WAIT ─┬─ yes ─► the rules again, at the market of now ─► ALLOW, REDUCE, BLOCK
                                       ├─ no, too late, STOP, KILL, or whoever asked has asked for the exit ─► BLOCK
                                       └─ the legs that follow wait with the first
Exits never wait, nor does what a person asks for by hand.

Invariants (property-tested): nothing that waits is approved without a yes, nor twice, nor after its time; what waits
binds nothing, so limits are those of the moment of the yes; whatever has waited is told of once with its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tradebus.contracts.signals import MANUAL, Side
from tradebus.kernel.money import format_rupees
from tradebus.risk.apply import apply
from tradebus.risk.entries import block, decide_entry
from tradebus.risk.groups import decide_leg
from tradebus.risk.state import RiskState, WaitingEntry
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Cause, Verdict, VerdictKind
from tradebus.trading.facts import EntrySignal, ExitSignal

AWAITS_APPROVAL = "awaits_approval"
APPROVAL_EXPIRED = "approval_expired"
APPROVAL_REFUSED = "approval_refused"
NOT_WAITING = "not_waiting"
STOP_PASSED = "stop_passed"
WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class PersonsWord:
    """Yes or no to what waits under an id, by whom and why."""

    approval_id: str
    is_yes: bool
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class WaitStep:
    """The state after the verdicts, and the verdicts."""

    state: RiskState
    verdicts: tuple[Verdict, ...]


def judge_entry(state: RiskState, signal: EntrySignal, situation: Situation) -> WaitStep:
    """The rules' answer to an entry, or WAIT in its place. ValueError for an entry without a pos_id."""
    approval_ns = situation.terms.approval_ns
    if approval_ns is None or signal.strategy == MANUAL or _is_under_way(state, signal):
        return _by_rules(state, signal, situation)
    begun = state.waiting.get(signal.group_id or "")
    if begun is not None:
        return WaitStep(_with_leg(state, begun, signal), ())
    for one in state.waiting.values():
        if (one.first.strategy, one.first.symbol) == (signal.strategy, signal.symbol):
            detail = f"an entry of {signal.strategy} in {signal.symbol} waits for approval already: {one.approval_id}"
            return WaitStep(state, (block(signal, AWAITS_APPROVAL, detail),))
    judged = _by_rules(state, signal, situation)
    answer = judged.verdicts[-1]
    if answer.approval is None:
        return judged
    waiting = WaitingEntry(
        signal.group_id or signal.event_id, (signal,), answer.approval.holding.quantity, signal.ts_event_ns,
        signal.ts_event_ns + approval_ns,
    )  # fmt: skip
    wait = replace(
        answer, kind=VerdictKind.WAIT, rule=AWAITS_APPROVAL, detail="a person must let it in", approval=None,
        waiting=waiting,
    )  # fmt: skip
    return WaitStep(apply(state, (wait,)), (wait,))


def take_word(state: RiskState, word: PersonsWord, situation: Situation, cause: Cause) -> WaitStep:
    """A person has said yes or no. What waits no more is not decided again."""
    waiting = state.waiting.get(word.approval_id)
    if waiting is None:
        detail = f"{word.approval_id} waits for nobody: it was answered, is over, or never was"
        ignored = Verdict(
            VerdictKind.IGNORED, NOT_WAITING, detail, cause.ts_event_ns, cause.event_id, cause.trace_id
        )  # fmt: skip
        return WaitStep(state, (ignored,))
    if cause.ts_event_ns >= waiting.expires_ns:
        return _ended(state, (waiting,), APPROVAL_EXPIRED, "nobody let it in in time", cause)
    if not word.is_yes:
        return _ended(state, (waiting,), APPROVAL_REFUSED, f"refused by {word.by}: {word.reason}", cause)
    for signal in waiting.signals:
        passed = _stop_passed(signal, situation)
        if passed is not None:
            return _ended(state, (waiting,), STOP_PASSED, passed, cause)
    state, verdicts = _without(state, (waiting,)), list[Verdict]()
    for signal in waiting.signals:
        judged = _by_rules(state, replace(signal, ts_event_ns=cause.ts_event_ns), situation)
        state = judged.state
        verdicts += [_said_yes(one, word) for one in judged.verdicts]
    return WaitStep(state, tuple(verdicts))


def expired(state: RiskState, cause: Cause) -> WaitStep:
    """Ends what has waited long enough."""
    late = [one for one in state.waiting.values() if one.expires_ns <= cause.ts_event_ns]
    return _ended(state, late, APPROVAL_EXPIRED, "nobody let it in in time", cause)


def dropped(state: RiskState, rule: str, cause: Cause) -> WaitStep:
    """Ends all that waits: the session enters nothing more."""
    return _ended(state, state.waiting.values(), rule, "the session enters nothing more", cause)


def withdrawn(state: RiskState, signal: ExitSignal) -> WaitStep:
    """Ends what waits of a position whose exit is asked for by whoever asked for it."""
    wanted = [
        one for one in state.waiting.values()
        if signal.pos_id in {leg.pos_id for leg in one.signals} or signal.group_id == one.approval_id
    ]  # fmt: skip
    cause = Cause(signal.ts_event_ns, signal.event_id, signal.trace_id)
    return _ended(state, wanted, WITHDRAWN, f"its exit was asked for: {signal.reason}", cause)


def _by_rules(state: RiskState, signal: EntrySignal, situation: Situation) -> WaitStep:
    if signal.group is not None:
        verdicts = decide_leg(state, signal, signal.group, situation)
    else:
        verdicts = decide_entry(state, signal, situation)
    return WaitStep(apply(state, verdicts), verdicts)


def _is_under_way(state: RiskState, signal: EntrySignal) -> bool:
    """A leg of a group that was let in already goes the way of the others."""
    return signal.group_id is not None and bool(state.group(signal.group_id))


def _with_leg(state: RiskState, begun: WaitingEntry, signal: EntrySignal) -> RiskState:
    if any(one.pos_id == signal.pos_id for one in begun.signals):
        return state
    return replace(
        state, waiting={**state.waiting, begun.approval_id: replace(begun, signals=(*begun.signals, signal))}
    )


def _ended(state: RiskState, over: Iterable[WaitingEntry], rule: str, detail: str, cause: Cause) -> WaitStep:
    """BLOCK for every signal of what is over."""
    ended = list(over)
    verdicts = tuple(
        block(replace(signal, ts_event_ns=cause.ts_event_ns), rule, detail) for one in ended for signal in one.signals
    )
    return WaitStep(_without(state, ended), verdicts) if ended else WaitStep(state, ())


def _without(state: RiskState, over: Iterable[WaitingEntry]) -> RiskState:
    gone = {one.approval_id for one in over}
    return replace(state, waiting={name: one for name, one in state.waiting.items() if name not in gone})


def _stop_passed(signal: EntrySignal, situation: Situation) -> str | None:
    """Why it makes no sense any more: it would be stopped out as soon as it is in."""
    last = None if situation.last_ticks is None else situation.last_ticks.of(signal.instrument)
    if last is None:
        return None
    is_long = signal.side is Side.LONG
    is_passed = last.price_paise <= signal.stop_paise if is_long else last.price_paise >= signal.stop_paise
    if not is_passed:
        return None
    return (
        f"{signal.symbol} traded at {format_rupees(last.price_paise)}, the stop is {format_rupees(signal.stop_paise)}"
    )


def _said_yes(verdict: Verdict, word: PersonsWord) -> Verdict:
    """An approval says who let it in."""
    if verdict.approval is None:
        return verdict
    said = f"let in by {word.by}: {word.reason}"
    return replace(verdict, detail=f"{verdict.detail}; {said}" if verdict.detail else said)
