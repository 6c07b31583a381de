"""The published contract: JSON Schema, AsyncAPI and an event catalogue, made from the code into `docs/contracts/`.

python -m tradebus.contracts.export            writes them
python -m tradebus.contracts.export --check    says which differ from the code, and fails if any does
"""

import argparse
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tradebus.contracts.asyncapi import asyncapi, record_fields
from tradebus.contracts.base import Message
from tradebus.contracts.catalogue import MESSAGES_ON, RECORDS
from tradebus.contracts.registry import MESSAGES
from tradebus.contracts.schema import Schema, definitions, describe
from tradebus.contracts.streams import (
    COMMAND_CHANNEL,
    COMMAND_INBOX,
    EVENT_CHANNEL,
    EVENTS,
    SHARDED,
    STREAM_BY_NAME,
    STREAMS,
)

FOLDER = Path("docs/contracts")
NAMES = ("README.md", "asyncapi.json", "messages.schema.json")
_REMAKE = "python -m tradebus.contracts.export"

_INTRODUCTION = f"""# Event catalogue

Made by `{_REMAKE}` from the code; do not edit. Machine-readable beside this page:
[messages.schema.json](messages.schema.json) (JSON Schema 2020-12) and [asyncapi.json](asyncapi.json) (AsyncAPI 3).

## On the wire
Every stream entry has the field `k`, its kind, and as far as they apply `b` (the body), `w` (a watermark: nothing later
on the stream has an event time at or below it, in nanoseconds) and `s` (start of the slice of event time that a dense
entry completes). The kind of a sparse entry is the message's type and its body is JSON; a dense entry's body is an
array of records; an entry of kind `watermark` has no body. A namespace other than the default stands before every
name: `<namespace>:<name>`.

A message holds every field of its type. One that does not apply is null, but for those that the schemas do not require
(`group_id`, `group`, limits and sizes that are not given), which are left out then. Unknown fields, other versions and
numbers written as text are refused. Money is in paise, instants (`_ns`) in nanoseconds since 1970 in UTC.
`{EVENT_CHANNEL}` and `{EVENTS.name}` carry all events of all streams, with `time_utc` added. An application may write
commands to `{COMMAND_INBOX.name}.<application>`, which is its own (a person to `{COMMAND_INBOX.name}`), with the JSON
in a field `b`, or as the one field under any name. What cannot be handled goes to `<stream>.dead` with its fields,
`reason`, `origin_id` and `origin_group`.
"""


@cache
def documents() -> Mapping[str, str]:
    """Every published file by its name in the folder."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tradebus messages",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in MESSAGES],
        "$defs": definitions(MESSAGES, refs="#/$defs/{model}"),
    }
    return MappingProxyType(
        dict(zip(NAMES, (catalogue(), _json(asyncapi()), _json(schema)), strict=True)),
    )


def catalogue() -> str:
    """The page for people."""
    defs = definitions(MESSAGES, refs="#/$defs/{model}")
    parts = {name: schema for name, schema in defs.items() if name not in MESSAGES}
    sections = [_INTRODUCTION, _streams(), _envelope(defs["KILL"], parts)]
    for stream, models in MESSAGES_ON.items():
        lines = [
            f"\n## `{stream}`: {STREAM_BY_NAME[stream].producer}\n",
            "| type | meaning | fields |",
            "| --- | --- | --- |",
        ]
        lines += [_row(model, defs[model.TYPE], parts) for model in models]
        sections.append("\n".join(lines) + "\n")
    return "".join([*sections, _shared_parts(parts), _dense()])


def _streams() -> str:
    lines = ["\n## Streams and channels\n", "| name | written by | kind | entries kept |", "| --- | --- | --- | ---: |"]
    for stream in STREAMS:
        name = f"{stream.name}.{{n}}" if stream in SHARDED else stream.name
        lines.append(f"| `{name}` | {stream.producer} | {stream.density.value} | {stream.max_entries:,} |")
    lines.append(f"| `{COMMAND_CHANNEL}` | external | pub/sub | |")
    lines.append(f"| `{EVENT_CHANNEL}` | gateway | pub/sub | |")
    return "\n".join([*lines, "", "`{n}` is the number of a shard in braces, as `md.ticks.v1.{0}`.", ""])


def _envelope(sample: Schema, parts: Mapping[str, Schema]) -> str:
    rows = [
        f"| `{name}` | {describe(sample['properties'][name], parts)} |"
        for name in ("type", "schema_version", *Message.model_fields)
    ]
    rows[:2] = ["| `type` | text |", "| `schema_version` | integer |"]
    doc = " ".join((Message.__doc__ or "").split())
    return "\n".join(["\n## Fields of every message\n", doc, "", "| field | type |", "| --- | --- |", *rows, ""])


def _row(model: type[Message], schema: Schema, parts: Mapping[str, Schema]) -> str:
    own = [name for name in model.model_fields if name not in Message.model_fields]
    fields = ", ".join(f"`{name}` {describe(schema['properties'][name], parts)}" for name in own)
    return f"| `{model.TYPE}` | {' '.join(schema['description'].split())} | {fields} |"


def _shared_parts(parts: Mapping[str, Schema]) -> str:
    lines = ["\n## Parts of messages\n", "| name | meaning | fields |", "| --- | --- | --- |"]
    for name, schema in parts.items():
        if "properties" in schema:
            fields = ", ".join(f"`{key}` {describe(value, parts)}" for key, value in schema["properties"].items())
            lines.append(f"| {name} | {' '.join(schema.get('description', '').split())} | {fields} |")
    return "\n".join(lines) + "\n"


def _dense() -> str:
    lines: list[str] = []
    for record in RECORDS:
        title = (
            f"Records of kind `{record.kind}` on `{record.stream.name}`: {record.dtype.itemsize} bytes, little-endian"
        )
        lines += [f"\n## {title}\n", "| offset | field | type | meaning |", "| ---: | --- | --- | --- |"]
        lines += [
            f"| {field['offset']} | `{field['name']}` | {field['type']} | {field['description']} |"
            for field in record_fields(record)
        ]
        lines.append("")
    return "\n".join(lines)


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def differing(folder: Path) -> list[str]:
    """Names of files in `folder` that are missing, are not what the code says, or should not be there."""
    expected = documents()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*") if path.is_file()}
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def write(folder: Path) -> None:
    """Writes every document into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(prog=_REMAKE, description="Publish the contracts of the bus.")
    parser.add_argument("--check", action="store_true", help="only say whether the published files are up to date")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where they lie (default: {FOLDER})")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.folder)
        return 0
    stale = differing(options.folder)
    if stale:
        sys.stderr.write(f"{options.folder}: {', '.join(stale)} differ from the code: run {_REMAKE}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
