"""Facts as messages, and messages as facts (`tradebus.trading.facts`).

Property: what is rendered and read back is the same fact.
"""

from dataclasses import fields
from typing import Any

from tradebus.contracts.base import Message
from tradebus.contracts.registry import MESSAGES
from tradebus.trading.facts import FACTS, Fact

_FACT_BY_TYPE: dict[str, type[Fact]] = {fact.TYPE: fact for fact in FACTS}
_NAMES: dict[str, tuple[str, ...]] = {fact.TYPE: tuple(field.name for field in fields(fact)) for fact in FACTS}


def message_of(fact: Fact, *, source: str, recorded_ns: int) -> Message:
    """The wire form. `source` is the publishing service, `recorded_ns` its wall clock."""
    values: dict[str, Any] = {name: getattr(fact, name) for name in _NAMES[fact.TYPE]}
    return MESSAGES[fact.TYPE](source=source, ts_recorded_ns=recorded_ns, **values)


def fact_of(message: Message) -> Fact:
    """What the message says. Raises ValueError for one that is no fact of trading, or that names no session."""
    found = _FACT_BY_TYPE.get(message.TYPE)
    if found is None:
        raise ValueError(f"{message.TYPE} is no signal, intent or order event")
    if message.session_id is None:
        raise ValueError(f"{message.TYPE} {message.event_id} names no session")
    values: dict[str, Any] = {name: getattr(message, name) for name in _NAMES[message.TYPE]}
    return found(**{**values, "user_id": message.user_id or ""})
