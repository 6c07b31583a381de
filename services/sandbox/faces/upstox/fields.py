"""Reads the fields of a request. Every complaint names the field and carries Upstox's code for it."""

import json
from collections.abc import Mapping
from typing import TypeVar

from starlette.requests import Request

from services.sandbox.faces.upstox.errors import UpstoxError, invalid
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import rupees_to_paise

T = TypeVar("T")
_QUANTITY_MAX = 2**31 - 1  # beyond any order, and what a book's column holds


class Fields:
    """One JSON object or query string."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def text(self, name: str, *, code: str = "UDAPI100038") -> str:
        """Raises UpstoxError where it is missing, empty or no text."""
        found = self.optional_text(name)
        if not found:
            raise invalid(name, self._values.get(name), f"{name} is required", code=code)
        return found

    def optional_text(self, name: str) -> str:
        """The text, "" where it is missing or null."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise invalid(name, _shown(value), f"{name} must be a text")
        return value

    def whole(self, name: str, default: int | None = None, *, code: str = "UDAPI100038") -> int:
        """A whole number from 0 up. Raises UpstoxError for anything else."""
        value = self._values.get(name)
        if value is None:
            if default is None:
                raise invalid(name, None, f"{name} is required", code=code)
            return default
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:12])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _QUANTITY_MAX:
            raise invalid(name, _shown(value), f"{name} must be a whole number from 0 up", code=code)
        return value

    def paise(self, name: str) -> int:
        """An amount in rupees, 0 where it is missing. Raises UpstoxError for what is none or finer than a paisa."""
        value = self._values.get(name)
        if value is None:
            return 0
        try:
            if not isinstance(value, int | float | str) or isinstance(value, bool):
                raise InvalidInput(f"{name}: not a number")
            paise = rupees_to_paise(str(value), name=name)
        except InvalidInput as error:
            raise invalid(name, _shown(value), str(error)) from None
        if paise < 0:
            raise invalid(name, _shown(value), f"{name} must not be negative")
        return paise

    def number(self, name: str) -> float | None:
        """A finite number, None where it is missing."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e15:
            raise invalid(name, _shown(value), f"{name} must be a number")
        return float(value)

    def truth(self, name: str) -> bool:
        """False where it is missing."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise invalid(name, _shown(value), f"{name} must be true or false")

    def choice(self, name: str, words: Mapping[str, T], *, code: str = "UDAPI100038") -> T:
        """What the word stands for. Raises UpstoxError with the valid words."""
        word = self.text(name, code=code)
        if word not in words:
            raise invalid(name, _shown(word), f"{name} must be one of {', '.join(words)}", code=code)
        return words[word]

    def items(self, name: str) -> list["Fields"]:
        """A list of objects."""
        value = self._values.get(name)
        if not isinstance(value, list) or not value:
            raise invalid(name, _shown(value), f"{name} must be a list of one object or more")
        return [of_object(item, name=name) for item in value]


def of_object(value: object, *, name: str = "body") -> Fields:
    if not isinstance(value, dict):
        raise invalid(name, _shown(value), f"{name} must be a JSON object")
    return Fields(value)


def query(request: Request) -> Fields:
    return Fields(dict(request.query_params))


async def json_body(request: Request) -> object:
    """The JSON of the body. Raises UpstoxError where it is none."""
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError):
        raise UpstoxError(400, "UDAPI100036", "Invalid Input: the body is no JSON") from None


async def body(request: Request) -> Fields:
    return of_object(await json_body(request))


def _shown(value: object) -> object:
    """As it goes back in the answer: short, and never a structure."""
    return value if value is None or isinstance(value, bool | int) else str(value)[:60]
