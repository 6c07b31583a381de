"""What SETTLE must say, and that the others say no more than why."""

from decimal import Decimal

import pytest

from services.gateway.domain.body import CommandAction
from services.gateway.domain.problems import Problems
from services.gateway.domain.step_fields import step_fields

GOOD = {"pos_id": "p1", "reason": "sold by hand", "price": Decimal("25990.5"), "quantity": 65}


def test_a_settlement_comes_out_in_paise() -> None:
    problems = Problems()
    assert step_fields(CommandAction.SETTLE, GOOD, problems) == {
        "reason": "sold by hand", "pos_id": "p1", "quantity": 65, "price_paise": 2_599_050,
    }  # fmt: skip
    assert not problems


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"pos_id": ""}, "data.pos_id"), ({"pos_id": 5}, "data.pos_id"), ({"quantity": 0}, "data.quantity"),
        ({"quantity": True}, "data.quantity"), ({"price": -1}, "data.price"), ({"price": "x"}, "data.price"),
        ({"reason": " "}, "data.reason"), ({"reason": 1}, "data.reason"), ({"prize": 1}, "data.prize"),
    ],
)  # fmt: skip
def test_each_bad_field_is_named(changed: dict[str, object], field: str) -> None:
    problems = Problems()
    step_fields(CommandAction.SETTLE, {**GOOD, **changed}, problems)
    assert [one.field for one in problems.errors] == [field]


def test_a_settlement_needs_a_position_and_a_reason() -> None:
    problems = Problems()
    step_fields(CommandAction.SETTLE, {}, problems)
    assert [one.field for one in problems.errors] == ["data.reason", "data.pos_id"]


@pytest.mark.parametrize("action", [CommandAction.STOP, CommandAction.PAUSE, CommandAction.KILL])
def test_the_others_take_a_reason_only(action: CommandAction) -> None:
    problems = Problems()
    assert step_fields(action, {"reason": "x", "pos_id": "p"}, problems) == {"reason": "x"}
    assert [one.field for one in problems.errors] == ["data.pos_id"]


@pytest.mark.parametrize("given", [{}, {"strategy": "orb", "symbol": "NIFTY"}, {"pos_id": "p1"}, {"symbol": "NIFTY"}])
def test_a_flatten_says_what_it_means_of_the_session(given: dict[str, str]) -> None:
    problems = Problems()
    assert step_fields(CommandAction.FLATTEN, {**given, "reason": "x"}, problems) == {"reason": "x", **given}
    assert step_fields(CommandAction.FLATTEN, given, problems) == {"reason": "command", **given}
    assert not problems


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"strategy": ""}, "data.strategy"), ({"strategy": ["orb"]}, "data.strategy"), ({"symbol": 1}, "data.symbol"),
        ({"symbol": "x" * 65}, "data.symbol"), ({"pos_id": True}, "data.pos_id"), ({"position": "p"}, "data.position"),
        ({"pos_id": "p", "strategy": "orb"}, "data.pos_id"),
    ],
)  # fmt: skip
def test_each_bad_field_of_a_flatten_is_named(given: dict[str, object], field: str) -> None:
    problems = Problems()
    step_fields(CommandAction.FLATTEN, given, problems)
    assert [one.field for one in problems.errors] == [field]
