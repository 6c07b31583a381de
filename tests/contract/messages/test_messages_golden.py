"""Every message version that was ever published is read and written for ever as it was."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from testkit.messages import GOLDEN, golden_path, of_a_leg, write_missing

from tradebus.contracts.base import Message
from tradebus.contracts.export import documents
from tradebus.contracts.registry import MESSAGES, event_time_ns, parse

MODELS = list(MESSAGES.values())
every_message = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.TYPE)


@cache
def published(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(documents()[name])
    return found


def schema_of(model: type[Message]) -> jsonschema.Draft202012Validator:
    """What is published of one message."""
    definitions = published("messages.schema.json")["$defs"]
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{model.TYPE}", "$defs": definitions})


def golden(model: type[Message]) -> bytes:
    return golden_path(model).read_bytes().removesuffix(b"\n")


def test_every_message_has_a_golden_and_every_golden_a_message() -> None:
    names = {path.name.partition(".")[0] for path in GOLDEN.iterdir()}
    assert names == set(MESSAGES)
    assert all(golden_path(model).exists() for model in MODELS), "run python -m testkit.messages for a new one"


@pytest.mark.parametrize("path", sorted(GOLDEN.iterdir()), ids=lambda path: path.stem)
def test_a_golden_is_read_and_written_back_byte_for_byte(path: Path) -> None:
    body = path.read_bytes().removesuffix(b"\n")
    message = parse(body)
    assert message.to_json() == body
    assert path.stem == f"{message.TYPE}.v{message.VERSION}"
    assert event_time_ns(body) == message.ts_event_ns


@every_message
def test_a_golden_says_something_in_every_field_of_its_own(model: type[Message]) -> None:
    fields = json.loads(golden(model))
    own = [name for name in model.model_fields if name not in model.ADDED]
    assert list(fields) == ["type", "schema_version", *own]
    assert [name for name in own if fields[name] is None] in ([], ["mae_r"])


@every_message
def test_what_came_later_is_left_out_where_it_does_not_apply_and_read_where_it_does(model: type[Message]) -> None:
    added = of_a_leg(model)
    fields = json.loads(added.to_json())
    assert {name for name in model.model_fields if name in fields} == set(model.model_fields)
    assert parse(added.to_json()) == added
    assert list(schema_of(model).iter_errors(fields)) == []
    assert {name: value for name, value in fields.items() if name not in model.ADDED} == json.loads(golden(model))


@every_message
def test_a_golden_obeys_the_published_schema(model: type[Message]) -> None:
    validator, fields = schema_of(model), json.loads(golden(model))
    of_all = jsonschema.Draft202012Validator(published("messages.schema.json"))
    assert list(of_all.iter_errors(fields)) == [], "it is exactly one of all messages"
    for broken in (fields | {"colour": "red"}, fields | {"schema_version": 2}, fields | {"type": "NOTHING"}):
        assert list(validator.iter_errors(broken))
    for name in fields:
        assert list(validator.iter_errors({key: value for key, value in fields.items() if key != name}))


@every_message
def test_the_public_form_obeys_the_asyncapi_document(model: type[Message]) -> None:
    message = parse(golden(model))
    name = f"{model.TYPE}.public"
    document = published("asyncapi.json")
    if name not in document["components"]["schemas"]:
        assert name.removesuffix(".public") in document["channels"]["commands.v1"]["messages"]
        return
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    assert list(validator.iter_errors(message.public())) == []
    assert message.public()["time_utc"] == "2024-01-01T03:55:00.000000Z"
    assert list(validator.iter_errors(json.loads(golden(model)))), "without time_utc it is not the public form"


def test_new_goldens_are_written_and_old_ones_left_alone(tmp_path: Path) -> None:
    first, *others = MODELS
    golden_path(first, tmp_path).write_bytes(b"as it was")
    assert write_missing(tmp_path) == [golden_path(model, tmp_path) for model in others]
    assert golden_path(first, tmp_path).read_bytes() == b"as it was"
    assert write_missing(tmp_path) == []
    assert all(golden_path(model, tmp_path).read_bytes() == golden_path(model).read_bytes() for model in others)
