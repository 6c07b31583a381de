"""Fields of a JSON body, read strictly: what is missing or of another type is a DH-905 that names the field."""

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import SupportsInt, TypeVar

from services.sandbox.faces.dhan.problems import DhanProblem
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import rupees_to_paise
from tradebus.kernel.time import ist_datetime, ist_to_ns

T = TypeVar("T")
_CORRELATION = re.compile(r"[A-Za-z0-9 _-]{0,30}")
_WHOLE_MAX = 2**31 - 1
_BINARY_NOISE_PAISE = 1e-6


class Fields:
    """A body or a query. Prices come out in paise, times as nanoseconds UTC."""

    def __init__(self, values: object) -> None:
        if not isinstance(values, Mapping):
            raise DhanProblem("DH-905", "the body must be a JSON object")
        self._values: Mapping[str, object] = values

    def has(self, name: str) -> bool:
        """There and neither null nor empty."""
        return self._values.get(name) not in (None, "")

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name)
        if value in (None, "") and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            raise DhanProblem("DH-905", f"{name} is required and must be text")
        return str(value)

    def word(self, name: str, known: Mapping[str, T], default: str | None = None) -> T:
        """The table's value for the field's word."""
        text = self.text(name, default)
        if text not in known:
            raise DhanProblem("DH-905", f"{name} {text[:40]!r} is none of {', '.join(known)}")
        return known[text]

    def whole(self, name: str, default: int | None = None) -> int:
        """An integer of at least 0; Dhan also takes digits in a string."""
        value = self._values.get(name)
        if value in (None, "") and default is not None:
            return default
        number = int(value) if isinstance(value, str) and is_number(value) else value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _WHOLE_MAX:
            raise DhanProblem("DH-905", f"{name} must be a whole number of at least 0")
        return number

    def paise(self, name: str, default: int | None = 0) -> int:
        """An amount in rupees, in paise. Absent or null is `default`; None makes it required."""
        value = self._values.get(name)
        if value in (None, "") and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise DhanProblem("DH-905", f"{name} must be an amount in rupees")
        if isinstance(value, float) and abs(value * 100 - round_or_zero(value * 100)) < _BINARY_NOISE_PAISE:
            value = round(value, 2)  # 1017.3000000000001 is what adding ticks to a float makes of 1017.3
        try:
            paise = rupees_to_paise(str(value), name=name)
        except InvalidInput as error:
            raise DhanProblem("DH-905", str(error)) from None
        if paise < 0:
            raise DhanProblem("DH-905", f"{name} must not be negative")
        return paise

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if value not in (None, "", True, False, "true", "false"):
            raise DhanProblem("DH-905", f"{name} must be true or false")
        return value in (True, "true")

    def mapping(self, name: str) -> "Fields":
        return Fields(self._values.get(name))

    def told(self) -> Mapping[str, object]:
        """The fields as they came."""
        return self._values

    def items(self, name: str) -> list[object]:
        value = self._values.get(name)
        if not isinstance(value, list) or not value:
            raise DhanProblem("DH-905", f"{name} must be a list that is not empty")
        return value

    def correlation_id(self) -> str:
        text = self.text("correlationId", "")
        if not _CORRELATION.fullmatch(text):
            raise DhanProblem("DH-905", "correlationId must be at most 30 characters of A-Z a-z 0-9 space _ -")
        return text

    def moment_ns(self, name: str, *, whole_day_after: bool = False) -> int:
        """`2026-11-25` or `2026-11-25 09:15:00`, Indian time. A bare date is its midnight, or the next one."""
        text = self.text(name)
        try:
            if len(text) == 10:
                day = date.fromisoformat(text)
                return ist_to_ns(day, time()) + (86_400_000_000_000 if whole_day_after else 0)
            moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - Dhan writes Indian time bare
        except ValueError:
            raise DhanProblem("DH-905", f"{name} {text[:40]!r} is not YYYY-MM-DD or YYYY-MM-DD HH:MM:SS") from None
        return ist_to_ns(moment.date(), moment.time())


def is_number(text: str) -> bool:
    """Plain digits, few enough for any id or quantity."""
    return text.isascii() and text.isdigit() and len(text) < 12


def round_or_zero(value: float) -> float:
    """The nearest whole number; 0 for what is none (infinite, not a number)."""
    return round(value) if math.isfinite(value) else 0.0


def rupees(paise: SupportsInt) -> float:
    """As Dhan's JSON has it."""
    return int(paise) / 100


def ist_text(ts_ns: int) -> str:
    """`2026-11-25 10:00:00`; Dhan's own null date where there was none."""
    return f"{ist_datetime(int(ts_ns)):%Y-%m-%d %H:%M:%S}" if ts_ns else "0001-01-01 00:00:00"
