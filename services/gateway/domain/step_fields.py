"""What commands for a running session say beside the user: JSON in, fields of their messages out."""

from collections.abc import Mapping
from typing import Any

from services.gateway.domain.body import CommandAction
from services.gateway.domain.problems import Problems, kind_of
from services.gateway.domain.values import money_paise

_MAX_REASON, _MAX_ID = 200, 64
_SETTLES = ("pos_id", "quantity", "price", "reason")
_FLATTENS = ("strategy", "symbol", "pos_id", "reason")


def step_fields(action: CommandAction, data: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """`reason`; of SETTLE what is settled, amounts come as rupees; of FLATTEN what of the session it means."""
    if action is CommandAction.FLATTEN:
        return _flattened(data, problems)
    if action is not CommandAction.SETTLE:
        problems.unknown_keys("data", data, ("reason",))
        return {"reason": _reason(data.get("reason", "command"), problems)}
    problems.unknown_keys("data", data, _SETTLES)
    if "reason" not in data:
        problems.add("data.reason", "is missing: what became of the position, for whoever looks at it later")
    pos_id, quantity = data.get("pos_id"), data.get("quantity")
    if not isinstance(pos_id, str) or not 0 < len(pos_id) <= _MAX_ID:
        problems.add("data.pos_id", f"must be the id of a position, 1 to {_MAX_ID} characters")
    if quantity is not None and (isinstance(quantity, bool) or not isinstance(quantity, int) or quantity <= 0):
        problems.add("data.quantity", "must be a number of units above 0")
    return {
        "reason": _reason(data.get("reason", "command"), problems), "pos_id": pos_id, "quantity": quantity,
        "price_paise": money_paise(data.get("price"), at="data.price", problems=problems),
    }  # fmt: skip


def _flattened(data: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    problems.unknown_keys("data", data, _FLATTENS)
    given = {name: data[name] for name in _FLATTENS[:-1] if data.get(name) is not None}
    for name, value in given.items():
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID:
            problems.add(f"data.{name}", f"must be text of 1 to {_MAX_ID} characters; leave it out to mean any")
    if "pos_id" in given and len(given) > 1:
        problems.add("data.pos_id", "is one position: name no strategy and no symbol beside it")
    return {"reason": _reason(data.get("reason", "command"), problems), **given}


def _reason(value: object, problems: Problems) -> str:
    if not isinstance(value, str):
        problems.add("data.reason", f"must be text, not {kind_of(value)}")
    elif not value.strip() or len(value) > _MAX_REASON:
        problems.add("data.reason", f"must be 1 to {_MAX_REASON} characters")
    return str(value)
