"""JSON Schema of the messages, from their models.

Two forms: on the internal streams a message is its fields with `type` and `schema_version` in front; on the public
channel and stream of events `time_utc` is added. Every field is always present, and one that does not apply is null,
but for those that came later (`ADDED` of a message or of a part of it): they are left out then.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from tradebus.contracts.base import GrownModel, Message

Schema = dict[str, Any]


def definitions(messages: Mapping[str, type[Message]], *, refs: str, public: bool = False) -> dict[str, Schema]:
    """The schema of each message, under its TYPE, and of the parts they share, under their names.

    `refs` is where the result will lie, as in "#/$defs/{model}".
    """
    _, found = models_json_schema([(model, "serialization") for model in messages.values()], ref_template=refs)
    grown = {model.__name__: model.ADDED for model in GrownModel.__subclasses__()}
    parts = {name: _left_out(_tidied(schema), grown.get(name, ())) for name, schema in found["$defs"].items()}
    made = {name: _enveloped(parts.pop(model.__name__), model, public=public) for name, model in messages.items()}
    return dict(sorted(parts.items())) | made


def _tidied(schema: Schema) -> Schema:
    """Without defaults and titles that repeat a name: what is written is always there."""
    tidy = {key: value for key, value in schema.items() if key != "title"}
    if "properties" in schema:
        tidy["properties"] = {
            name: {key: value for key, value in field.items() if key not in ("title", "default")}
            for name, field in schema["properties"].items()
        }
        tidy["required"] = list(schema["properties"])
    return tidy


def _enveloped(schema: Schema, model: type[Message], *, public: bool) -> Schema:
    head: Schema = {"type": {"const": model.TYPE}, "schema_version": {"const": model.VERSION}}
    if public:
        head["time_utc"] = {"type": "string", "format": "date-time", "description": "ts_event_ns spelled out"}
    own = _left_out(schema, model.ADDED)
    return schema | {
        "description": (model.__doc__ or "").strip(),
        "properties": head | own["properties"],
        "required": [*head, *own["required"]],
    }


def _left_out(schema: Schema, added: Sequence[str]) -> Schema:
    """The schema where these fields are left out when they are null."""
    if not added:
        return schema
    return schema | {
        "properties": {name: _there(field) if name in added else field for name, field in schema["properties"].items()},
        "required": [name for name in schema["required"] if name not in added],
    }


def _there(field: Schema) -> Schema:
    """A field that is left out rather than null."""
    said = [one for one in field["anyOf"] if one != {"type": "null"}]
    return said[0] if len(said) == 1 else {"anyOf": said}


def describe(field: Schema, parts: Mapping[str, Schema]) -> str:
    """A field's type in words, for people: "integer", "text or null", "LONG or SHORT", "list of Difference"."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return " or ".join(parts[name]["enum"]) if "enum" in parts[name] else name
    if "anyOf" in field:
        return " or ".join(describe(one, parts) for one in field["anyOf"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of {describe(field['items'], parts)}"
    words = {
        "string": "text", "null": "null", "integer": "integer", "number": "number", "object": "object",
        "boolean": "true or false",
    }  # fmt: skip
    return words[field["type"]] + _bounds(field)


def _bounds(field: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {field[name]}" for name, sign in signs.items() if name in field]
    return f" ({', '.join(found)})" if found else ""
