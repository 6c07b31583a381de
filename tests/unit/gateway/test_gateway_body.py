"""The bytes of a command: whatever comes in, a command or a reason comes out."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain.body import MAX_BYTES, CommandAction, ExternalCommand, RefusedCommand, read_command


def command_bytes(**fields: object) -> bytes:
    return json.dumps({"action": "STOP_TRADING", "user_id": "123", **fields}).encode()


def refused(body: bytes) -> dict[str, str]:
    found = read_command(body)
    assert isinstance(found, RefusedCommand)
    assert found.errors
    return {error.field: error.problem for error in found.errors}


def test_a_whole_command_is_read() -> None:
    found = read_command(command_bytes(data={"a": 1}, command_id="c-1"))
    assert found == ExternalCommand(CommandAction.STOP, "123", {"a": 1}, "c-1")


def test_decimals_keep_their_exact_value() -> None:
    found = read_command(b'{"action":"START_TRADING","user_id":"u","data":{"capital":100000.10}}')
    assert isinstance(found, ExternalCommand)
    assert found.data["capital"] == Decimal("100000.10")


def test_kill_needs_no_user() -> None:
    found = read_command(b'{"action":"KILL"}')
    assert found == ExternalCommand(CommandAction.KILL, None, {}, None)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe{}", "is not UTF-8"),
        (b"[]", "must be a JSON object, not a list"),
        (b'"x"', "must be a JSON object, not text"),
        (b"null", "must be a JSON object, not null"),
        (b"12", "must be a JSON object, not a number"),
        (b'{"action":"KILL","data":{"x":NaN}}', "a number that no field can take"),
        (b'{"action":"KILL","data":{"x":1' + b"0" * 5000 + b"}}", "a number that no field can take"),
        (b'{"action":"KILL","action":"STOP_TRADING"}', "twice"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"x":"' + b"a" * MAX_BYTES + b'"}', "bytes are more than"),
    ],
)
def test_what_is_no_command_at_all_is_named(body: bytes, problem: str) -> None:
    assert problem in refused(body)["command"]


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"action": None}, "action", "is missing"),
        ({"action": 7}, "action", "must be text, not a number"),
        ({"action": "STOP_TRADNG"}, "action", "did you mean 'STOP_TRADING'?"),
        ({"action": "xyzzy"}, "action", "known: START_TRADING"),
        ({"user_id": None}, "user_id", "is missing"),
        ({"user_id": 123}, "user_id", "must be text, not a number"),
        ({"user_id": ""}, "user_id", "1 to 64"),
        ({"user_id": "a b"}, "user_id", "1 to 64"),
        ({"user_id": "x" * 65}, "user_id", "1 to 64"),
        ({"command_id": 5}, "command_id", "must be text"),
        ({"command_id": ""}, "command_id", "must be text"),
        ({"data": []}, "data", "must be an object, not a list"),
        ({"data": "secret"}, "data", "must be an object, not text"),
        ({"dat": {}}, "dat", "did you mean 'data'?"),
        ({"data": {"a": "\x00"}}, "data.a", "cannot be stored"),
        ({"data": {"a": ["ok", "\ud800"]}}, "data.a[1]", "cannot be stored"),
        ({"data": {"a": 2**63}}, "data.a", "beyond 64 bits"),
        ({"data": {"a": {"b": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}}, None, "nested deeper"),
    ],
)
def test_a_bad_field_is_named_with_its_path(fields: dict[str, object], field: str | None, problem: str) -> None:
    errors = refused(command_bytes(**fields))
    text = errors[field] if field else " ".join(errors.values())
    assert problem in text


@pytest.mark.parametrize("number", ["1e999999", "1e-999999", "0." + "1" * 60])
def test_a_number_no_field_can_take_is_refused_or_kept_exactly(number: str) -> None:
    found = read_command(f'{{"action":"KILL","data":{{"x":{number}}}}}'.encode())
    if isinstance(found, RefusedCommand):
        assert found.errors[0].field == "data.x"
    else:
        assert found.data["x"] == Decimal(number)


def test_every_bad_field_is_named_at_once() -> None:
    assert set(refused(b'{"action":"GO","user_id":1,"data":[],"more":1,"command_id":{}}')) == {
        "action", "user_id", "data", "more", "command_id",
    }  # fmt: skip


def test_what_could_be_read_of_a_bad_command_is_kept_for_the_report() -> None:
    found = read_command(b'{"action":"PAUSE_TRADING","user_id":"77","command_id":"c9","more":1}')
    assert isinstance(found, RefusedCommand)
    assert (found.action, found.user_id, found.command_id) == ("PAUSE_TRADING", "77", "c9")


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=300) | json_trees.map(lambda tree: json.dumps(tree).encode()))
def test_any_bytes_give_a_command_or_a_reason(body: bytes) -> None:
    found = read_command(body)
    if isinstance(found, RefusedCommand):
        assert found.errors
        assert all(error.field.isprintable() and error.problem.isprintable() for error in found.errors)


@given(
    st.fixed_dictionaries(
        {"action": st.sampled_from([*CommandAction, "x"]) | json_trees, "user_id": st.text(max_size=6) | json_trees},
        optional={"data": json_trees, "command_id": json_trees, "other": json_trees},
    )
)
def test_any_fields_give_a_command_or_a_reason(fields: dict[str, object]) -> None:
    found = read_command(json.dumps(fields).encode())
    assert isinstance(found, ExternalCommand) or found.errors
