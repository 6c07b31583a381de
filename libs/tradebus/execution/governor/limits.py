"""The caps of each broker, as dated rows of `limits.json`, and what of them each lane may use."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any

from tradebus.kernel.errors import InvalidInput, nearest

DAY_SECONDS = 86_400
_SCOPES = ("account", "segment")
_FIELDS = {"broker": str, "scope": str, "seconds": int, "allowed": int, "kept": int, "reserve": int}


class OrderLane(IntEnum):
    """What a request is for. The lower goes first, and may use more."""

    EXIT = 0  # ends a position, protects it, or takes back an order
    AGAIN = 1  # an exit that was refused several times already: others need what it would use up
    ENTRY = 2


@dataclass(frozen=True, slots=True)
class OrderLimit:
    """At most `kept` requests in `seconds`, of the account or of each exchange segment of it; a day is the calendar's
    in India, anything shorter is any such span of time. `allowed` is what the broker itself lets through."""

    broker: str
    scope: str
    seconds: int
    allowed: int
    kept: int
    reserve: int
    source: str
    last_checked: str

    @property
    def name(self) -> str:
        """The span in words."""
        return {1: "second", 60: "minute", 3600: "hour", DAY_SECONDS: "day"}.get(
            self.seconds, f"{self.seconds // 60} minutes"
        )

    def open_to(self, lane: OrderLane) -> int:
        """How many of the span's requests have left at most for one of this lane to leave too: fewer than this."""
        if lane is OrderLane.EXIT:
            return self.kept
        return self.kept - (self.reserve if lane is OrderLane.ENTRY else self.reserve // 2)

    def scaled(self, scale: float) -> "OrderLimit":
        """So many times as much, at least one for each lane."""
        kept = max(2, int(self.kept * scale))
        reserve = min(kept - 1, int(self.reserve * scale))
        return replace(self, allowed=max(kept, int(self.allowed * scale)), kept=kept, reserve=reserve)


def limits_of(broker: str) -> tuple[OrderLimit, ...]:
    """The broker's rows, the shortest span first. Raises InvalidInput for one that has none."""
    table = _table()
    if broker not in table:
        raise InvalidInput(f"order limits: none for broker {broker!r}{nearest(broker, table)}: add them to limits.json")
    return table[broker]


@cache
def _table() -> Mapping[str, tuple[OrderLimit, ...]]:
    return read_limits(files(__package__).joinpath("limits.json").read_text("utf-8"))


def read_limits(text: str) -> Mapping[str, tuple[OrderLimit, ...]]:
    """The rows of a table by broker. Raises InvalidInput naming the row and its field."""
    try:
        stated: Any = json.loads(text)
        rows = list(stated["rows"])
        shared = {"source": stated["source"], "last_checked": stated["last_checked"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidInput(f"order limits: not a table of rows ({error!r})") from None
    found: dict[str, list[OrderLimit]] = {}
    for number, row in enumerate(rows, start=1):
        limit = _read_row(number, row, shared)
        if any((one.scope, one.seconds) == (limit.scope, limit.seconds) for one in found.get(limit.broker, ())):
            raise InvalidInput(f"order limits, row {number}: {limit.broker} has this scope and span twice")
        found.setdefault(limit.broker, []).append(limit)
    return {broker: tuple(sorted(some, key=lambda one: one.seconds)) for broker, some in found.items()}


def _read_row(number: int, row: Any, shared: Mapping[str, str]) -> OrderLimit:
    where = f"order limits, row {number}"
    if not isinstance(row, dict) or not row.keys() >= _FIELDS.keys():
        raise InvalidInput(f"{where}: needs {', '.join(_FIELDS)}")
    if unknown := row.keys() - _FIELDS.keys() - {"source", "last_checked"}:
        raise InvalidInput(f"{where}: {', '.join(sorted(unknown))} is not one of its fields")
    for name, kind in _FIELDS.items():
        if type(row[name]) is not kind:
            raise InvalidInput(f"{where}: {name} {row[name]!r} is no {kind.__name__}")
    limit = OrderLimit(**{**shared, **row})
    if limit.scope not in _SCOPES:
        raise InvalidInput(f"{where}: scope {limit.scope!r} is none of {', '.join(_SCOPES)}")
    if not 0 < limit.seconds <= DAY_SECONDS or (limit.seconds > 1 and limit.seconds % 60):
        raise InvalidInput(f"{where}: seconds {limit.seconds} is neither 1 nor whole minutes of a day")
    if not 0 <= limit.reserve < limit.kept <= limit.allowed:
        raise InvalidInput(f"{where}: 0 <= reserve < kept <= allowed does not hold")
    return limit
