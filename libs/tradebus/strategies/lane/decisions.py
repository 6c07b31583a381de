"""What a strategy's answer becomes: a journal row, and a signal (a fact of `trading.facts`) where there is one to send.

    strategy's answer ─► checked (a broken answer is a HOLD that says so) ─► suppressed? ─► row + signal

Invariants (property-tested): every answer makes exactly one row; a row with action ENTER_*, ARM_* or EXIT has exactly
one signal and every other row none; ids are pure functions of session, strategy, symbol and event time; a paused
session sends no entry; an entry's stop lies on the losing side of its price.
"""

from dataclasses import dataclass
from typing import Any, Final

from tradebus.contracts.base import event_id_for
from tradebus.contracts.signals import Side
from tradebus.kernel.ids import derive_id
from tradebus.strategies.lane.positions import PositionKey
from tradebus.strategies.protocol import Action, Decision, Position, hold
from tradebus.trading.facts import ArmLong, ArmShort, EntrySignal, ExitSignal, Signal

_REASON_CHARACTERS_MAX: Final = 500
_ENTRY_SIDE: Final = {Action.ENTER_LONG: Side.LONG, Action.ENTER_SHORT: Side.SHORT}


@dataclass(frozen=True, slots=True)
class Source:
    """Who decides, on what."""

    key: PositionKey
    user_id: str
    instrument: int


@dataclass(slots=True)  # one a decision, as DecisionRow: not frozen, because a frozen value takes longer to make
class Moment:
    """What was decided on: the closed candle or the tick, and when it counts."""

    cause: str  # "candle" or "tick"
    ts_event_ns: int
    price_paise: int


@dataclass(slots=True)
class DecisionRow:
    """One line of the decision journal."""

    session_id: str
    strategy: str
    instrument: int
    ts_event_ns: int
    action: str
    reason: str
    price_paise: int


def settle(
    answer: Any, moment: Moment, *, position: Position | None, paused: bool, missing: str | None = None
) -> Decision:
    """The decision that counts: the strategy's, or a HOLD whose reason says why it does not. `missing` is what it needs
    to enter and was not shown."""
    problem = broken(answer, moment.price_paise)
    if problem is not None:
        return hold(f"strategy_error: {problem}")
    decision: Decision = answer
    if decision.action is Action.EXIT and position is None:
        return hold(f"exit_without_position: {decision.reason}")
    if paused and decision.action in _ENTRY_SIDE:
        return hold(f"session_paused: {decision.reason}")
    if missing is not None and decision.action in _ENTRY_SIDE:
        return hold(f"{missing}: {decision.reason}")
    return decision


def broken(answer: Any, price_paise: int) -> str | None:
    """What is wrong with an answer, None where nothing is. A strategy is the user's code: anything may come back."""
    if type(answer) is Decision and answer.action is Action.HOLD and type(answer.reason) is str and answer.reason:
        confidence = answer.confidence
        if type(confidence) is float and 0 <= confidence <= 1:
            return None  # nearly all answers
    if not isinstance(answer, Decision):
        return f"TypeError: answered {type(answer).__name__}, not a Decision"
    action: Any = answer.action
    reason: Any = answer.reason
    confidence = answer.confidence
    if not isinstance(action, Action):
        return f"TypeError: action {action!r} is not an Action"
    if not isinstance(reason, str) or not reason:
        return "ValueError: a decision without a reason"
    if not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        return f"ValueError: confidence {confidence!r} is not within 0..1"
    if action is not Action.HOLD and price_paise <= 0:
        return f"ValueError: {action} at a price of {price_paise}"
    side = _ENTRY_SIDE.get(action)
    return _broken_levels(answer, side, price_paise) if side is not None else None


def _broken_levels(answer: Decision, side: Side, price_paise: int) -> str | None:
    stop: Any = answer.stop_paise
    target: Any = answer.target_paise
    if type(stop) is not int or stop <= 0:
        return f"ValueError: an entry needs stop_paise, an int above 0, got {stop!r}"
    if (price_paise - stop) * side.sign <= 0:
        return f"ValueError: stop {stop} is not on the losing side of {side} at {price_paise}"
    if target is None:
        return None
    if type(target) is not int or target <= 0:
        return f"ValueError: target_paise must be an int above 0 or None, got {target!r}"
    if (target - price_paise) * side.sign <= 0:
        return f"ValueError: target {target} is not on the winning side of {side} at {price_paise}"
    return None


def row_of(decision: Decision, source: Source, moment: Moment) -> DecisionRow:
    return DecisionRow(
        session_id=source.key.session_id,
        strategy=source.key.strategy,
        instrument=source.instrument,
        ts_event_ns=moment.ts_event_ns,
        action=decision.action.value,
        reason=storable(decision.reason),
        price_paise=moment.price_paise,
    )


def row_of_signal(signal: Signal) -> DecisionRow:
    """The journal row of the decision that sent this signal."""
    return DecisionRow(
        session_id=signal.session_id,
        strategy=signal.strategy,
        instrument=signal.instrument,
        ts_event_ns=signal.ts_event_ns,
        action=_action_of(signal).value,
        reason=signal.reason,
        price_paise=signal.price_paise,
    )


def _action_of(signal: Signal) -> Action:
    match signal:
        case EntrySignal():
            return Action.ENTER_LONG if signal.side is Side.LONG else Action.ENTER_SHORT
        case ExitSignal():
            return Action.EXIT
        case ArmLong():
            return Action.ARM_LONG
        case ArmShort():
            return Action.ARM_SHORT


def signal_of(decision: Decision, source: Source, moment: Moment, *, position: Position | None) -> Signal | None:
    """The signal a settled decision sends, None for HOLD."""
    if decision.action is Action.HOLD:
        return None
    shared = _Shared(source, moment, storable(decision.reason))
    if decision.action is Action.ARM_LONG:
        return ArmLong(**shared.fields(ArmLong.TYPE), side=Side.LONG, confidence=decision.confidence)
    if decision.action is Action.ARM_SHORT:
        return ArmShort(**shared.fields(ArmShort.TYPE), side=Side.SHORT, confidence=decision.confidence)
    side_entered = _ENTRY_SIDE.get(decision.action)
    if side_entered is not None and decision.stop_paise is not None:
        return EntrySignal(
            **shared.fields(EntrySignal.TYPE),
            pos_id=position_id(source.key, moment.ts_event_ns),
            side=side_entered,
            stop_paise=decision.stop_paise,
            target_paise=decision.target_paise,
            confidence=decision.confidence,
        )
    if position is None:
        return None
    return ExitSignal(**shared.fields(ExitSignal.TYPE), pos_id=position.pos_id, side=position.side)


def position_id(key: PositionKey, ts_event_ns: int) -> str:
    """The id of the position that an entry at this instant asks for; it follows the position for life."""
    return derive_id(ts_event_ns, "position", key.session_id, key.strategy, key.symbol, ts_event_ns)


@dataclass(frozen=True, slots=True)
class _Shared:
    source: Source
    moment: Moment
    reason: str

    def fields(self, message_type: str) -> dict[str, Any]:
        key, moment = self.source.key, self.moment
        ts_ns = moment.ts_event_ns
        return {
            "event_id": event_id_for(message_type, ts_ns, key.session_id, key.strategy, key.symbol, ts_ns),
            "ts_event_ns": ts_ns,
            # One trace per market event: every strategy that acts on this candle or tick shares it.
            "trace_id": derive_id(ts_ns, moment.cause, key.symbol, ts_ns),
            "user_id": self.source.user_id,
            "session_id": key.session_id,
            "strategy": key.strategy,
            "symbol": key.symbol,
            "instrument": self.source.instrument,
            "price_paise": moment.price_paise,
            "reason": self.reason,
        }


def storable(reason: str) -> str:
    """A reason as Postgres takes it: no NUL, no half of a surrogate pair, bounded."""
    if reason.isascii() and "\x00" not in reason:
        return reason[:_REASON_CHARACTERS_MAX]
    return reason.replace("\x00", "")[:_REASON_CHARACTERS_MAX].encode("utf-8", "replace").decode()
