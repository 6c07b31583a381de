"""What a request says: form, query or JSON values read one by one; every refusal names the field."""

import json
import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from fastapi import Request

from services.sandbox.faces.kite.replies import bad_input
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import rupees_to_paise

T = TypeVar("T")
_BODY_BYTES_MAX = 1_000_000
_TAG = re.compile(r"[A-Za-z0-9]{1,20}")
_QUANTITY_MAX = 10**9


class Fields:
    """Text values by name. An empty value counts as absent, as Kite has it."""

    def __init__(self, values: Mapping[str, str], *, where: str = "") -> None:
        self._values, self._where = values, where

    def has(self, name: str) -> bool:
        return bool(self._values.get(name, "").strip())

    def text(self, name: str, default: str | None = None) -> str:
        """Raises KiteError naming the field where it is missing and has no default."""
        value = self._values.get(name, "").strip()
        if value:
            return value
        if default is None:
            raise bad_input(f"Missing or empty field `{name}`{self._where}")
        return default

    def word(self, name: str, words: Mapping[str, T], default: str | None = None) -> T:
        """One of Kite's words."""
        value = self.text(name, default)
        if value not in words:
            raise bad_input(f"Invalid `{name}`{self._where}: {value[:40]!r} is not one of {', '.join(words)}")
        return words[value]

    def integer(self, name: str, default: int | None = None, *, least: int = 0, most: int = _QUANTITY_MAX) -> int:
        value = self.text(name, None if default is None else str(default))
        try:
            number = int(value)
        except ValueError:
            raise bad_input(f"Invalid `{name}`{self._where}: {value[:40]!r} is not a whole number") from None
        if number != default and not least <= number <= most:
            raise bad_input(f"Invalid `{name}`{self._where}: {number} is not within {least} and {most}")
        return number

    def decimal(self, name: str, default: float = 0.0) -> float:
        value = self.text(name, str(default))
        try:
            return float(value)
        except ValueError:
            raise bad_input(f"Invalid `{name}`{self._where}: {value[:40]!r} is not a number") from None

    def paise(self, name: str, default: int | None = 0) -> int:
        """Rupees in the request, paise here; required where the default is None."""
        if default is not None and not self.has(name):
            return default
        try:
            paise = rupees_to_paise(self.text(name), name=f"`{name}`{self._where}")
        except InvalidInput as error:
            raise bad_input(f"Invalid {error}") from None
        if paise < 0:
            raise bad_input(f"Invalid `{name}`{self._where}: below zero")
        return paise

    def tag(self) -> str:
        value = self._values.get("tag", "")
        if value and not _TAG.fullmatch(value):
            raise bad_input("Invalid `tag`: at most 20 letters and digits")
        return value


async def form_of(request: Request) -> Fields:
    """The form in the body, on top of the query."""
    values = dict(request.query_params)
    values.update(parse_qsl((await _body(request)).decode("utf-8", "replace"), keep_blank_values=True))
    return Fields(values)


def query_of(request: Request) -> Fields:
    return Fields(dict(request.query_params))


async def json_list_of(request: Request) -> list[Fields]:
    """A JSON list of orders. Raises KiteError where the body is anything else."""
    return listed(await _body(request), name="orders")


def listed(text: bytes | str, *, name: str) -> list[Fields]:
    """The objects of a JSON list, as fields whose complaints say which of them."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        raise bad_input(f"Invalid `{name}`: not JSON") from None
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise bad_input(f"Invalid `{name}`: a list of objects is needed")
    return [flat(item, where=f" in {name}[{number}]") for number, item in enumerate(items)]


def flat(item: Mapping[str, object], *, where: str) -> Fields:
    """A JSON object's plain values as fields; null counts as absent."""
    return Fields({str(name): _text(value) for name, value in item.items()}, where=where)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # JSON of other languages writes quantities as 1.0
    return str(value)


async def _body(request: Request) -> bytes:
    body = await request.body()
    if len(body) > _BODY_BYTES_MAX:
        raise bad_input(f"Invalid body: more than {_BODY_BYTES_MAX:,} bytes")
    return body
