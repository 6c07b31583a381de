"""Values as a person writes them in a file of rules: one way each, and no other type in its place."""

import re
from datetime import date, time
from typing import Annotated

from pydantic import BeforeValidator, Strict

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


def _clock_time(value: object) -> time:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError('must be a time of Indian clocks such as "09:15"')
    return time.fromisoformat(value)


def _day(value: object) -> date:
    if type(value) is date:  # of a caller, not of a file
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError('must be a date such as "2026-12-07"')
    return date.fromisoformat(value)


def _contract_month(value: object) -> date:
    if not isinstance(value, str) or not _MONTH.fullmatch(value):
        raise ValueError('must be a month such as "2026-12"')
    return date.fromisoformat(f"{value}-01")


ClockTime = Annotated[time, BeforeValidator(_clock_time)]
Day = Annotated[date, BeforeValidator(_day)]
ContractMonth = Annotated[date, BeforeValidator(_contract_month)]
Whole = Annotated[int, Strict()]
Decimals = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
