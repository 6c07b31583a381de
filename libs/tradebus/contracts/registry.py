"""Every message by its wire name, and the one parser."""

import json

from tradebus.contracts import commands, orders, risk, sessions, signals
from tradebus.contracts.base import Message


def _messages() -> dict[str, type[Message]]:
    found: dict[str, type[Message]] = {}
    for module in (commands, sessions, signals, risk, orders):
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Message) and "TYPE" in vars(item):
                found[item.TYPE] = item
    return found


# ts_event_ns stands in every message before any nested object, so the first occurrence is the message's own.
_EVENT_TIME_FIELD = b'"ts_event_ns":'

MESSAGES: dict[str, type[Message]] = _messages()


def parse(body: bytes) -> Message:
    """The message in `body`. Raises ValueError for what is not a known message of a known version."""
    fields = json.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("a message is a JSON object")
    name, version = fields.pop("type", None), fields.pop("schema_version", None)
    model = MESSAGES.get(str(name))
    if model is None:
        raise ValueError(f"unknown message type {name!r}")
    if version != model.VERSION:
        raise ValueError(f"{name}: version {version!r} is not {model.VERSION}")
    return model.model_validate(fields)


def event_time_ns(body: bytes) -> int:
    """The event time of a message without parsing the rest of it: for ordering. Raises ValueError where it has none."""
    start = body.find(_EVENT_TIME_FIELD)
    end = body.find(b",", start)
    if start < 0 or end < 0:
        raise ValueError("a message without ts_event_ns")
    return int(body[start + len(_EVENT_TIME_FIELD) : end])
