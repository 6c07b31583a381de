"""Every message by its wire name, and the one parser."""

import json
import re

from tradebus.contracts import commands, market, orders, risk, sessions, signals
from tradebus.contracts.base import Message


def _messages() -> dict[str, type[Message]]:
    found: dict[str, type[Message]] = {}
    for module in (commands, sessions, market, signals, risk, orders):
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Message) and "TYPE" in vars(item):
                found[item.TYPE] = item
    return found


# What every message begins with on the wire.
_WIRE_HEAD = re.compile(rb'\{"type":"([A-Z_]+)","schema_version":(\d{1,9}),')
# ts_event_ns stands in every message before any nested object, so the first occurrence is the message's own.
_EVENT_TIME_FIELD = b'"ts_event_ns":'

MESSAGES: dict[str, type[Message]] = _messages()


def parse(body: bytes) -> Message:
    """The message in `body`. Raises ValueError for what is not exactly a known message of a known version.

    Types are strict: "5" is no number and 1.0 no integer. What `to_json` wrote is read without a detour over Python
    objects; the same fields in another order, as a database returns them, are read too.
    """
    head = _WIRE_HEAD.match(body)
    if head is not None:
        return _read(head[1].decode(), int(head[2]), b"{" + body[head.end() :])
    try:
        fields = json.loads(body)
    except RecursionError as error:
        raise ValueError("a message is not nested that deep") from error
    if not isinstance(fields, dict):
        raise ValueError("a message is a JSON object")
    name, version = fields.pop("type", None), fields.pop("schema_version", None)
    return _read(name, version, json.dumps(fields).encode())


def _read(name: object, version: object, fields: bytes) -> Message:
    model = MESSAGES.get(name) if isinstance(name, str) else None
    if model is None:
        raise ValueError(f"unknown message type {str(name)[:100]!r}")
    if type(version) is not int or version != model.VERSION:
        raise ValueError(f"{name}: version {str(version)[:100]!r} is not {model.VERSION}")
    return model.model_validate_json(fields, strict=True)


def event_time_ns(body: bytes) -> int:
    """The event time of a message without parsing the rest of it: for ordering. Raises ValueError where it has none."""
    start = body.find(_EVENT_TIME_FIELD)
    end = body.find(b",", start)
    if start < 0 or end < 0:
        raise ValueError("a message without ts_event_ns")
    return int(body[start + len(_EVENT_TIME_FIELD) : end])
