"""Signals as the bus and the book carry them."""

from tradebus.contracts.signals import ArmLong, ArmShort, EntrySignal, ExitSignal
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
