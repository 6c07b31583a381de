"""What is wrong with a command, gathered field by field so that a sender mends all of it at once."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tradebus.contracts.sessions import FieldError
from tradebus.kernel.errors import nearest

MAX_PROBLEMS = 50
MAX_TEXT = 300

JSON_NAMES: Mapping[type, str] = {
    dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null",
}  # fmt: skip


class Problems:
    """Collects errors in the order the fields were looked at; the first MAX_PROBLEMS are kept."""

    def __init__(self) -> None:
        self._errors: list[FieldError] = []

    def add(self, field: str, problem: str) -> None:
        if len(self._errors) < MAX_PROBLEMS:
            self._errors.append(FieldError(field=clip(field), problem=clip(problem)))

    def unknown_keys(self, at: str, found: Iterable[str], known: Collection[str]) -> None:
        """One error per key of `found` that is not in `known`. Names the key, never what it holds."""
        for key in found:
            if key not in known:
                hint = nearest(key, known)
                self.add(child(at, key), f"unknown field{hint or '; known: ' + ', '.join(sorted(known))}")

    @property
    def errors(self) -> tuple[FieldError, ...]:
        return tuple(self._errors)

    def __bool__(self) -> bool:
        return bool(self._errors)


def child(at: str, key: str) -> str:
    """`data` + `symbols` → `data.symbols`; keys that are no plain names are quoted."""
    name = key if key.isidentifier() else repr(key)
    return f"{at}.{name}" if at else name


def clip(text: str) -> str:
    """Printable, and no longer than an event should carry."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"


def kind_of(value: Any) -> str:
    """The JSON kind of a value, for "must be a list, not …"."""
    return JSON_NAMES.get(type(value), "a number")
