"""What a strategy's answer becomes: a journal row, and a signal (a fact of `trading.facts`) where there is one to send.

    strategy's answer ─► checked (a broken answer is a HOLD that says so) ─► suppressed? ─► row + signal

Invariants (property-tested): every answer makes exactly one row; a row with action ENTER_*, ARM_* or EXIT has exactly
one signal (of legs one each: `legs`) and every other row none; ids are pure functions of session, strategy, symbol and
event time; a paused session sends no entry; an entry's stop lies on the losing side of its price.
"""

from dataclasses import dataclass
from typing import Any, Final

from tradebus.contracts.base import event_id_for
from tradebus.contracts.signals import Side
from tradebus.kernel.ids import derive_id
from tradebus.strategies.lane.positions import PositionKey
from tradebus.strategies.needs import role_problem
from tradebus.strategies.protocol import Action, Decision, Position, RoleLeg, hold
from tradebus.strategies.raised import clean_text, error_text, in_words, plain_text
from tradebus.trading.facts import ArmLong, ArmShort, EntrySignal, ExitSignal, Signal

_REASON_CHARACTERS_MAX: Final = 500
_LEVEL_PAISE_MAX: Final = 10**16  # above any price, and what a book and an order can hold
_LEVEL_PCT_MAX: Final = 1_000
_ENTRY_SIDE: Final = {Action.ENTER_LONG: Side.LONG, Action.ENTER_SHORT: Side.SHORT}
_ENTRIES: Final = frozenset({*_ENTRY_SIDE, Action.ENTER_LEGS})


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
    group_id: str | None = None  # of the legs it enters or leaves


def settle(
    answer: Any, moment: Moment, *, position: Position | None, paused: bool, missing: str | None = None,
    holds_legs: bool = False,
) -> Decision:  # fmt: skip
    """The decision that counts: the strategy's, or a HOLD whose reason says why it does not. `missing` is what it needs
    to enter and was not shown."""
    decision = checked(answer, moment.price_paise)
    if isinstance(decision, str):
        return hold(f"strategy_error: {decision}")
    if decision.action is Action.EXIT and position is None and not holds_legs:
        return hold(f"exit_without_position: {decision.reason}")
    if paused and decision.action in _ENTRIES:
        return hold(f"session_paused: {decision.reason}")
    if missing is not None and decision.action in _ENTRIES:
        return hold(f"{missing}: {decision.reason}")
    return decision


def checked(answer: Any, price_paise: int) -> Decision | str:
    """An answer as a plain Decision, or what is wrong with it. A strategy is the user's code: anything may come back,
    and a class of the user's may do anything when it is looked at."""
    if type(answer) is Decision and answer.action is Action.HOLD and type(answer.reason) is str and answer.reason:
        confidence = answer.confidence
        if type(confidence) is float and 0 <= confidence <= 1:
            return answer  # nearly all answers
    try:
        if not isinstance(answer, Decision):
            return f"TypeError: answered {type(answer).__name__}, not a Decision"
        decision = _plain(answer)
        return _broken(decision, price_paise) or decision
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 -- the user's code may raise anything
        return error_text(error)


def _plain(answer: Decision) -> Decision:
    """Its fields read once, without classes of the user's own where it counts: nobody after this is surprised."""
    reason: Any = answer.reason
    confidence: Any = answer.confidence
    legs: Any = answer.legs
    is_plain = type(answer) is Decision and type(reason) is str and type(legs) is tuple
    if is_plain and type(confidence) in (int, float):
        return answer
    if isinstance(reason, str):
        reason = plain_text(reason)
    if isinstance(confidence, float):
        confidence = float.__float__(confidence)
    elif isinstance(confidence, int):
        confidence = int.__int__(confidence)
    if isinstance(legs, tuple):
        legs = tuple.__getitem__(legs, slice(None))
    return Decision(answer.action, reason, answer.stop_paise, answer.target_paise, confidence, legs)


def _broken(answer: Decision, price_paise: int) -> str | None:
    """What is wrong with a decision, None where nothing is."""
    action: Any = answer.action
    reason: Any = answer.reason
    confidence = answer.confidence
    if not isinstance(action, Action):
        return f"TypeError: action {in_words(action)} is not an Action"
    if not isinstance(reason, str) or not reason:
        return "ValueError: a decision without a reason"
    if not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        return f"ValueError: confidence {in_words(confidence)} is not within 0..1"
    if action is not Action.HOLD and price_paise <= 0:
        return f"ValueError: {action} at a price of {price_paise}"
    legs: Any = answer.legs
    if action is Action.ENTER_LEGS:
        return _broken_legs(legs)
    if legs != ():
        return f"ValueError: legs belong to ENTER_LEGS, not to {action}"
    side = _ENTRY_SIDE.get(action)
    return broken_levels(answer.stop_paise, answer.target_paise, side, price_paise) if side is not None else None


def _broken_legs(legs: Any) -> str | None:
    """What is wrong with legs as values; what their roles mean is not looked at."""
    if not isinstance(legs, tuple) or not legs:
        return "ValueError: ENTER_LEGS needs legs, a tuple of RoleLeg"
    for leg in legs:
        if type(leg) is not RoleLeg:
            return f"TypeError: leg {in_words(leg)} is no RoleLeg with a role of NEEDS"
        if (problem := role_problem(leg.role)) is not None:
            return f"TypeError: leg {in_words(leg)} is no RoleLeg with a role of NEEDS: {problem}"
        if not isinstance(leg.side, Side) or type(leg.ratio) is not int:
            got = f"{in_words(leg.side)} and {in_words(leg.ratio)}"
            return f"TypeError: leg {leg.role.name} needs a Side and a whole ratio, got {got}"
        for name, price, pct in (
            ("stop", leg.stop_paise, leg.stop_pct), ("target", leg.target_paise, leg.target_pct)
        ):  # fmt: skip
            if pct is not None and (problem := _broken_part(name, price, pct)) is not None:
                return f"ValueError: leg {leg.role.name}: {problem}"
    return None


def _broken_part(name: str, price: Any, pct: Any) -> str | None:
    """What is wrong with a level that is given in per cent, None where nothing is."""
    if price is not None:
        return f"{name}_paise and {name}_pct are one level: give one of them"
    if type(pct) not in (int, float) or not 0 < pct <= _LEVEL_PCT_MAX:
        return f"{name}_pct must be above 0 and at most {_LEVEL_PCT_MAX}, got {in_words(pct)}"
    return None


def broken_levels(stop: Any, target: Any, side: Side, price_paise: int) -> str | None:
    """What is wrong with an entry's stop and target, None where nothing is."""
    if type(stop) is not int or not 0 < stop <= _LEVEL_PAISE_MAX:
        return f"ValueError: an entry needs stop_paise, an int above 0{_bound(stop)}, got {in_words(stop)}"
    if (price_paise - stop) * side.sign <= 0:
        return f"ValueError: stop {stop} is not on the losing side of {side} at {price_paise}"
    if target is None:
        return None
    if type(target) is not int or not 0 < target <= _LEVEL_PAISE_MAX:
        return f"ValueError: target_paise must be an int above 0{_bound(target)} or None, got {in_words(target)}"
    if (target - price_paise) * side.sign <= 0:
        return f"ValueError: target {target} is not on the winning side of {side} at {price_paise}"
    return None


def _bound(value: Any) -> str:
    return f" and at most {_LEVEL_PAISE_MAX}" if type(value) is int and value > _LEVEL_PAISE_MAX else ""


def row_of(decision: Decision, source: Source, moment: Moment, *, group_id: str | None = None) -> DecisionRow:
    return DecisionRow(
        session_id=source.key.session_id,
        strategy=source.key.strategy,
        instrument=source.instrument,
        ts_event_ns=moment.ts_event_ns,
        action=decision.action.value,
        reason=storable(decision.reason),
        price_paise=moment.price_paise,
        group_id=group_id,
    )


def row_of_signal(signal: Signal) -> DecisionRow:
    """The journal row of the decision that sent this signal: the signals of all its legs make the same."""
    group = signal.group if isinstance(signal, EntrySignal | ExitSignal) else None
    return DecisionRow(
        session_id=signal.session_id,
        strategy=signal.strategy,
        instrument=signal.instrument if group is None else group.instrument,
        ts_event_ns=signal.ts_event_ns,
        action=_action_of(signal).value,
        reason=signal.reason,
        price_paise=signal.price_paise if group is None else group.price_paise,
        group_id=signal.group_id,
    )


def _action_of(signal: Signal) -> Action:
    match signal:
        case EntrySignal() if signal.group is not None:
            return Action.ENTER_LEGS
        case EntrySignal():
            return Action.ENTER_LONG if signal.side is Side.LONG else Action.ENTER_SHORT
        case ExitSignal():
            return Action.EXIT
        case ArmLong():
            return Action.ARM_LONG
        case ArmShort():
            return Action.ARM_SHORT


def signal_of(decision: Decision, source: Source, moment: Moment, *, position: Position | None) -> Signal | None:
    """The signal a settled decision sends, None for HOLD. Those of legs are another matter (`legs`)."""
    if decision.action is Action.HOLD:
        return None
    if decision.action is Action.ARM_LONG:
        fields = shared_fields(ArmLong.TYPE, decision, source, moment)
        return ArmLong(**fields, side=Side.LONG, confidence=decision.confidence)
    if decision.action is Action.ARM_SHORT:
        fields = shared_fields(ArmShort.TYPE, decision, source, moment)
        return ArmShort(**fields, side=Side.SHORT, confidence=decision.confidence)
    side_entered = _ENTRY_SIDE.get(decision.action)
    if side_entered is not None and decision.stop_paise is not None:
        return EntrySignal(
            **shared_fields(EntrySignal.TYPE, decision, source, moment),
            pos_id=position_id(source.key, moment.ts_event_ns),
            side=side_entered,
            stop_paise=decision.stop_paise,
            target_paise=decision.target_paise,
            confidence=decision.confidence,
        )
    if position is None:
        return None
    fields = shared_fields(ExitSignal.TYPE, decision, source, moment)
    return ExitSignal(**fields, pos_id=position.pos_id, side=position.side)


def position_id(key: PositionKey, ts_event_ns: int) -> str:
    """The id of the position that an entry at this instant asks for; it follows the position for life."""
    return derive_id(ts_event_ns, "position", key.session_id, key.strategy, key.symbol, ts_event_ns)


def shared_fields(message_type: str, decision: Decision, source: Source, moment: Moment) -> dict[str, Any]:
    """What every signal has of its decision."""
    key, ts_ns = source.key, moment.ts_event_ns
    return {
        "event_id": event_id_for(message_type, ts_ns, key.session_id, key.strategy, key.symbol, ts_ns),
        "ts_event_ns": ts_ns,
        # One trace per market event: every strategy that acts on this candle or tick shares it.
        "trace_id": derive_id(ts_ns, moment.cause, key.symbol, ts_ns),
        "user_id": source.user_id,
        "session_id": key.session_id,
        "strategy": key.strategy,
        "symbol": key.symbol,
        "instrument": source.instrument,
        "price_paise": moment.price_paise,
        "reason": storable(decision.reason),
    }


def storable(reason: str) -> str:
    """A reason as Postgres takes it, bounded."""
    return clean_text(reason)[:_REASON_CHARACTERS_MAX]
