"""Signals as the bus and the book carry them."""

from tradebus.contracts.base import event_id_for
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.signals import ArmLong, ArmShort, EntrySignal, ExitSignal, StrategyFailed
from tradebus.runtime.rendering import fact_of, message_of
from tradebus.strategies.lane.decisions import DecisionRow, row_of_signal
from tradebus.trading import facts

SignalMessage = ArmLong | ArmShort | EntrySignal | ExitSignal


def signal_message(signal: facts.Signal, *, recorded_ns: int) -> SignalMessage:
    message = message_of(signal, source="strategy", recorded_ns=recorded_ns)
    assert isinstance(message, SignalMessage)
    return message


def row_of_message(message: SignalMessage) -> DecisionRow:
    """The journal row of the decision that sent this signal."""
    signal = fact_of(message)
    assert isinstance(signal, facts.Signal)
    return row_of_signal(signal)


def failed_message(
    spec: SessionSpec, strategy: str, *, reason: str, market_ns: int | None, now_ns: int
) -> StrategyFailed:
    """`market_ns` is the market's time that its stream has reached, where it has any: in a paced run an entry that is
    years ahead of it would hold up whoever merges by event time, for ever."""
    return StrategyFailed(
        event_id=event_id_for(StrategyFailed.TYPE, now_ns, spec.session_id, strategy),
        ts_event_ns=now_ns if market_ns is None else market_ns,
        ts_recorded_ns=now_ns,
        source="strategy",
        trace_id=event_id_for("strategy_died", now_ns, spec.session_id, strategy),
        session_id=spec.session_id,
        user_id=spec.user_id,
        strategy=strategy,
        reason=reason,
    )
