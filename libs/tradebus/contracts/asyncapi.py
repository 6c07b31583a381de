"""The AsyncAPI 3 document: streams and pub/sub channels, who writes them, what flows on them."""

from collections.abc import Mapping
from typing import Any

from tradebus.contracts.catalogue import MESSAGES_ON, RECORDS, RecordLayout
from tradebus.contracts.commands import Kill
from tradebus.contracts.registry import MESSAGES
from tradebus.contracts.schema import Schema, definitions
from tradebus.contracts.streams import (
    COMMAND_CHANNEL,
    COMMAND_INBOX,
    COMMANDS,
    EVENT_CHANNEL,
    EVENTS,
    SHARDED,
    STREAMS,
    Stream,
)

_VERSION = "1.0.0"
_REFS = "#/components/schemas/{model}"
_COMMAND = "external-command"
_PUBLIC = ".public"
_CHANNEL_IDS = {COMMAND_CHANNEL: "pubsub.trading.commands", EVENT_CHANNEL: "pubsub.trading.events"}

EXTERNAL_COMMAND: Schema = {
    "description": (
        "What an application sends. `data` of START_TRADING says what to trade; a bad command is answered by "
        "COMMAND_REJECTED, which names each bad field. Repeating a command is harmless. KILL needs no user_id."
    ),
    "type": "object",
    "properties": {
        "action": {"enum": [model.TYPE for model in MESSAGES_ON[COMMANDS.name]]},
        "user_id": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,63}$"},
        "command_id": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$"},
        "data": {"type": "object"},
    },
    "required": ["action"],
    "if": {"properties": {"action": {"const": Kill.TYPE}}},
    "else": {"required": ["user_id"]},
    "additionalProperties": False,
}


def asyncapi() -> dict[str, Any]:
    """The whole document."""
    events = {name: model for name, model in MESSAGES.items() if model not in MESSAGES_ON[COMMANDS.name]}
    public = {
        f"{name}{_PUBLIC}": schema
        for name, schema in definitions(events, refs=_REFS, public=True).items()
        if name in events
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "tradebus",
            "version": _VERSION,
            "description": (
                "Streams and channels of tradebus on Redis. A namespace other than the default is put before every "
                "name, as `<namespace>:<name>`."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"redis": {"host": "localhost:6379", "protocol": "redis"}},
        "channels": _channels(list(events)),
        "operations": _operations(),
        "components": {
            "schemas": definitions(MESSAGES, refs=_REFS) | public | {_COMMAND: EXTERNAL_COMMAND},
            "messages": _messages(list(public)),
        },
    }


def _channels(events: list[str]) -> dict[str, Any]:
    public = [f"{name}{_PUBLIC}" for name in events]
    channels = {stream.name: _stream_channel(stream, _kinds_on(stream, public)) for stream in STREAMS}
    for name, kinds, what in (
        (COMMAND_CHANNEL, [_COMMAND], "Commands from other applications. Reaches tradebus only while it runs."),
        (EVENT_CHANNEL, public, "Every event as it happens. For those that must miss nothing there is the stream."),
    ):
        channels[_CHANNEL_IDS[name]] = {
            "address": name,
            "description": what,
            "messages": _refs("components/messages", kinds),
            "x-redis": "pub/sub channel",
        }
    return channels


def _kinds_on(stream: Stream, public: list[str]) -> list[str]:
    if stream == EVENTS:
        return public
    if stream == COMMAND_INBOX:
        return [_COMMAND]
    dense = [record.kind for record in RECORDS if record.stream == stream]
    return [*dense, *(model.TYPE for model in MESSAGES_ON.get(stream.name, ())), "watermark"]


def _stream_channel(stream: Stream, kinds: list[str]) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": stream.name,
        "description": f"{stream.density.value.capitalize()} stream written by {stream.producer}.",
        "messages": _refs("components/messages", kinds),
        "x-redis": {"type": "stream", "producer": stream.producer, "max_entries": stream.max_entries},
    }
    if stream in SHARDED:
        channel["address"] += ".{shard}"
        channel["parameters"] = {
            "shard": {"description": "The shard's number in braces, a hash tag of Redis Cluster.", "default": "{0}"}
        }
    return channel


def _operations() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for stream in STREAMS:
        action = "receive" if stream == COMMAND_INBOX else "send"
        operations[f"{action}.{stream.name}"] = {"action": action, "channel": _ref("channels", stream.name)}
    for name, action in ((COMMAND_CHANNEL, "receive"), (EVENT_CHANNEL, "send")):
        channel = _CHANNEL_IDS[name]
        operations[f"{action}.{channel}"] = {"action": action, "channel": _ref("channels", channel)}
    return operations


def _messages(public: list[str]) -> dict[str, Any]:
    sparse = {name: {"name": name, "payload": _ref("components/schemas", name)} for name in [*MESSAGES, *public]}
    dense = {record.kind: _dense_message(record) for record in RECORDS}
    return (
        sparse
        | dense
        | {
            _COMMAND: {"name": _COMMAND, "payload": _ref("components/schemas", _COMMAND)},
            "watermark": {
                "name": "watermark",
                "summary": "An entry without a body: nothing later on this stream is at or before its field `w`.",
                "payload": {"type": "null"},
            },
        }
    )


def _dense_message(record: RecordLayout) -> dict[str, Any]:
    return {
        "name": record.kind,
        "contentType": "application/octet-stream",
        "summary": f"An array of little-endian records of {record.dtype.itemsize} bytes each.",
        "payload": {"type": "string", "format": "binary"},
        "x-record": {"bytes": record.dtype.itemsize, "fields": record_fields(record)},
    }


def record_fields(record: RecordLayout) -> list[dict[str, Any]]:
    """Name, type, offset and meaning of each field of a record."""
    names = record.dtype.names or ()
    places: Mapping[str, Any] = record.dtype.fields or {}
    return [
        {
            "name": name,
            "type": _type_name(places[name][0]),
            "offset": places[name][1],
            "description": record.meanings[name],
        }
        for name in names
    ]


def _type_name(dtype: Any) -> str:
    """`int64`, `int64[5]`."""
    return f"{dtype.base.name}{list(dtype.shape)}" if dtype.shape else str(dtype.name)


def _ref(place: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/{place}/{name}"}


def _refs(place: str, names: list[str]) -> dict[str, dict[str, str]]:
    return {name: _ref(place, name) for name in names}
