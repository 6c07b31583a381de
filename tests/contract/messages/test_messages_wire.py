"""What is a message and what is not, for every type."""

import json
import math
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.messages import golden_path, of_a_leg, sample
from testkit.schemas import allowed

from tradebus.contracts.base import Message
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.export import documents
from tradebus.contracts.orders import PositionClosed
from tradebus.contracts.registry import MESSAGES, event_time_ns, parse
from tradebus.contracts.sessions import RiskLimits

MODELS = list(MESSAGES.values())
every_message = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.TYPE)


@cache
def definitions() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(documents()["messages.schema.json"])["$defs"]
    return found


def golden(model: type[Message]) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(golden_path(model).read_bytes())
    return fields


def as_bytes(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


@every_message
@settings(max_examples=max(10, settings.default.max_examples // 10))
@given(st.data())
def test_whatever_the_published_schema_allows_is_read_and_written_back(
    model: type[Message], data: st.DataObject
) -> None:
    fields = data.draw(allowed(definitions()[model.TYPE], definitions()))
    message = parse(as_bytes(fields))
    assert json.loads(message.to_json()) == fields
    again = parse(message.to_json())
    assert again == message
    assert again.to_json() == message.to_json()
    assert event_time_ns(message.to_json()) == message.ts_event_ns


@every_message
def test_the_order_of_fields_does_not_matter(model: type[Message]) -> None:
    fields = golden(model)
    assert parse(as_bytes(dict(reversed(fields.items())))) == parse(as_bytes(fields))


@every_message
def test_an_unknown_field_is_refused(model: type[Message]) -> None:
    with pytest.raises(ValueError, match="colour"):
        parse(as_bytes(golden(model) | {"colour": "red"}))
    with pytest.raises(ValueError, match="schema_version"):
        parse(golden_path(model).read_bytes().replace(b'"event_id"', b'"schema_version":1,"event_id"'))


@every_message
@pytest.mark.parametrize("version", [0, 2, -1, None, "1", True, 1.0, 10**12, [1]])
def test_another_version_is_refused(model: type[Message], version: object) -> None:
    with pytest.raises(ValueError, match=f"^{model.TYPE}: version"):
        parse(as_bytes(golden(model) | {"schema_version": version}))


@pytest.mark.parametrize("name", ["", "NOTHING", "order_placed", "ORDER_PLACED ", None, 7, ["KILL"], {"a": 1}])
def test_an_unknown_type_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match=r"^unknown message type"):
        parse(as_bytes(golden(PositionClosed) | {"type": name}))


@every_message
def test_a_missing_field_is_refused_unless_it_may_be_null(model: type[Message]) -> None:
    fields = golden(model)
    for name, field in model.model_fields.items():
        rest = as_bytes({key: value for key, value in fields.items() if key != name})
        if field.is_required():
            with pytest.raises(ValueError, match=name):
                parse(rest)
        else:
            assert getattr(parse(rest), name) == field.get_default()


@every_message
def test_a_value_of_another_type_is_refused(model: type[Message]) -> None:
    fields: dict[str, Any] = json.loads(of_a_leg(model).to_json())
    for name in model.model_fields:
        wrong: object = [1] if not isinstance(fields[name], list) else {"a": 1}
        with pytest.raises(ValueError, match=name):
            parse(as_bytes(fields | {name: wrong}))
        if isinstance(fields[name], int):
            for other in (str(fields[name]), float(fields[name]), True):
                with pytest.raises(ValueError, match=name):
                    parse(as_bytes(fields | {name: other}))
        if isinstance(fields[name], float):
            for other in (str(fields[name]), math.nan, math.inf, -math.inf):
                with pytest.raises(ValueError, match=name):
                    parse(as_bytes(fields | {name: other}))


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_bytes_that_are_no_message_are_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"KILL"', b"[" * 100_000, b"{", b"\xff", b""])
def test_json_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse(body)


def test_a_limit_that_is_switched_off_stays_off_on_the_way() -> None:
    limits = {name: None for name, field in RiskLimits.model_fields.items() if "None" in str(field.annotation)}
    assert {"daily_max_loss_pct", "consecutive_losses_limit"} <= limits.keys()
    spec = golden(StartTrading)["spec"]
    message = sample(StartTrading, spec=spec | {"limits": limits})
    assert isinstance(message, StartTrading)
    again = parse(message.to_json())
    assert isinstance(again, StartTrading)
    assert again.spec.limits == message.spec.limits == RiskLimits(**limits)
    assert again.spec.limits.daily_max_loss_pct is None


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        sample(PositionClosed).reason = "other"  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_message_is_made_with_a_number_that_is_none(value: float) -> None:
    with pytest.raises(ValueError, match="r_multiple"):
        PositionClosed(**(sample(PositionClosed).model_dump() | {"r_multiple": value}))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ts_event_ns":', b'{"ts_event_ns":x,"a":1}', b'{"ts_event_ns":12'])
def test_a_body_without_an_event_time_has_none(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        event_time_ns(body)
