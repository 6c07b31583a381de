"""What is wrong with a command, gathered field by field so that a sender mends all of it at once.

Invariant (property-tested): no error repeats what could be a secret. Values are not repeated at all; a key is, unless
it looks like one.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tradebus.contracts.sessions import FieldError
from tradebus.kernel.errors import nearest

# Longer than any name of ours, or of letters and digits mixed: what tokens, keys and passwords look like.
_LONG = 32
_SECRET_SHAPE = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[!-~]{12,}")
_SECRET_NAME = re.compile(r"token|secret|passw|pin$|totp|otp$|api_?key|credential|authorization", re.IGNORECASE)
HIDDEN = "(hidden)"
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

    def secret_keys(self, at: str, found: Mapping[str, Any]) -> None:
        """One error per key that names a secret where none belongs: what is stored with a session is no safe."""
        for key in found:
            if _SECRET_NAME.search(key):
                self.add(child(at, key), "no secret belongs here: use data.access_token or data.credential")

    @property
    def errors(self) -> tuple[FieldError, ...]:
        return tuple(self._errors)

    def __bool__(self) -> bool:
        return bool(self._errors)


def child(at: str, key: str) -> str:
    """`data` + `symbols` → `data.symbols`; keys that are no plain names are quoted."""
    name = HIDDEN if could_be_secret(key) else key if key.isidentifier() else repr(key)
    return f"{at}.{name}" if at else name


def clip(text: str) -> str:
    """Printable, and no longer than an event should carry."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"


def kind_of(value: Any) -> str:
    """The JSON kind of a value, for "must be a list, not …"."""
    return JSON_NAMES.get(type(value), "a number")


def could_be_secret(text: str) -> bool:
    """Whether a text has the shape of a token, a key or a password."""
    return len(text) > _LONG or _SECRET_SHAPE.fullmatch(text) is not None


def without_secrets(errors: Iterable[FieldError], tree: Any) -> tuple[FieldError, ...]:
    """The errors, none of which holds a text of the command that could be a secret, however it came there."""
    hidden = sorted({text for text in _texts(tree) if could_be_secret(text)}, key=len, reverse=True)
    return tuple(FieldError(field=_hide(one.field, hidden), problem=_hide(one.problem, hidden)) for one in errors)


def _hide(text: str, hidden: Iterable[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, HIDDEN).replace(secret[:20], HIDDEN)  # also where it was cut short
    return text


def _texts(tree: Any) -> Iterable[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from (key, *_texts(value))
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)
