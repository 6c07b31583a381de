"""Sessions that begin and end by the clock: what a file says, and what is due of it at an instant. Pure.

    [{"name": "morning", "user_id": "123", "start": "09:20", "stop": "15:10", "days": ["MON", "TUE"], "data": {…}},
     {"name": "expiry", "user_id": "123", "start": "09:20", "stop": "15:10", "expiry_of": "NIFTY",
      "days_to_expiry": [0, 1], "from": "2026-12-01", "to": "2027-03-31", "data": {…}}]

`data` is START_TRADING's; times are Indian, without `days` it is every weekday. A day without an ordinary session is
left out, whatever it is called; days to expiry are those of the underlying in `expiry_of`.

Invariants (property-tested): any text gives schedules or an InvalidInput that names every bad field; nothing is begun
outside its hours or on a holiday, and what began is ended at its hour, the same day or when somebody looks again.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from typing import Any

from services.gateway.domain.problems import Problems, kind_of
from services.gateway.domain.trading_days import FIELDS as DAY_FIELDS
from services.gateway.domain.trading_days import read_trading_days
from tradebus.calendar import days_to_expiry, is_regular_day, left_out, previous_trading_day
from tradebus.contracts.sessions import TradingDays
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.time import ist_date, ist_time

SCHEDULES_MAX = 200
_ANY_DAY = date(2026, 12, 1)  # of these days, for whether there are expiries at all
_FIELDS = ("name", "user_id", "start", "stop", "data", "expiry_of", *DAY_FIELDS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,63}")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class SessionSchedule:
    """`expiry_of` is the underlying whose expiries `days` count to, "" where they count to none."""

    name: str
    user_id: str
    start: time
    stop: time
    days: TradingDays
    data: dict[str, Any]
    expiry_of: str = ""

    def command_id(self, day: date) -> str:
        """Of the START of a day: it is carried out once, however often it is sent."""
        return f"schedule.{self.name}.{day.isoformat()}"

    def runs_on(self, day: date) -> bool:
        return is_regular_day(day) and left_out(self.days, day, underlying=self.expiry_of) is None


class ScheduledStep(StrEnum):
    START = "START"
    STOP = "STOP"


@dataclass(frozen=True, slots=True)
class DueStep:
    """`day` is the day of the START that it is or ends."""

    schedule: SessionSchedule
    day: date
    step: ScheduledStep


def due_steps(schedules: Sequence[SessionSchedule], now_ns: int) -> list[DueStep]:
    """Everything that should have been done by now, today's and what a day before has left."""
    today, at = ist_date(now_ns), ist_time(now_ns)
    found = []
    for one in schedules:
        before = previous_trading_day(today)
        if one.runs_on(before):
            found.append(DueStep(one, before, ScheduledStep.STOP))
        if one.runs_on(today) and at >= one.start:
            step = ScheduledStep.START if at < one.stop else ScheduledStep.STOP
            found.append(DueStep(one, today, step))
    return found


def read_schedules(text: str, *, name: str) -> tuple[SessionSchedule, ...]:
    """Raises InvalidInput with every bad field; `name` is the file's, for the error."""
    problems = Problems()
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: is no JSON ({error})") from None
    if not isinstance(rows, list) or len(rows) > SCHEDULES_MAX:
        raise InvalidInput(f"{name}: must be a list of at most {SCHEDULES_MAX} schedules")
    read = [_schedule(row, f"[{number}]", problems) for number, row in enumerate(rows)]
    found = [one for one in read if one is not None]
    for number, one in enumerate(found):
        if one.name in {other.name for other in found[:number]}:
            problems.add(f"[{number}].name", f"{one.name!r} is there already; each schedule has its own")
    if problems:
        raise InvalidInput(f"{name}: " + "; ".join(f"{one.field} {one.problem}" for one in problems.errors))
    return tuple(found)


def _schedule(row: Any, at: str, problems: Problems) -> SessionSchedule | None:
    if not isinstance(row, dict):
        problems.add(at, f"must be an object, not {kind_of(row)}")
        return None
    before = len(problems.errors)
    problems.unknown_keys(at, row, _FIELDS)
    name, user_id, data = row.get("name"), row.get("user_id"), row.get("data")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.add(f"{at}.name", "must be 1 to 40 letters, digits or _ -")
    if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
        problems.add(f"{at}.user_id", "must be a user's name: 1 to 64 letters, digits or . _ @ : -")
    start, stop = _time(row, "start", at, problems), _time(row, "stop", at, problems)
    if start is not None and stop is not None and start >= stop:
        problems.add(f"{at}.stop", "must be after start, on the same day")
    days = read_trading_days(row, at, problems)
    expiry_of = _expiry_of(row.get("expiry_of"), days, data, at, problems)
    if not isinstance(data, dict):
        problems.add(f"{at}.data", "must be an object: the data of START_TRADING")
    elif "access_token" in data:
        problems.add(f"{at}.data.access_token", "no token lies in a file: store it by `tradebus login`, name the login")
    if len(problems.errors) > before or start is None or stop is None:
        return None
    return SessionSchedule(str(name), str(user_id), start, stop, days, dict(data or {}), expiry_of)


def _time(row: dict[str, Any], field: str, at: str, problems: Problems) -> time | None:
    value = row.get(field)
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        problems.add(f"{at}.{field}", "must be an Indian time such as 09:20")
        return None
    return time.fromisoformat(value)


def _expiry_of(value: Any, days: TradingDays, data: Any, at: str, problems: Problems) -> str:
    """The underlying, where days are counted to its expiries; "" where they are not. It must be one of what the session
    trades: the calendar takes any name for a stock's."""
    if days.expiry_distances is None and value is None:
        return ""
    where, symbols = f"{at}.expiry_of", _symbols(data)
    if days.expiry_distances is None:
        problems.add(where, "says nothing without expiry_days_only or days_to_expiry: leave it out")
    elif not isinstance(value, str) or not value:
        problems.add(where, "must be the underlying whose expiries are meant, such as NIFTY")
    elif not any(symbol.startswith(value) for symbol in symbols):
        problems.add(
            where, f"is nothing that data trades{nearest(value, symbols) or ': name the underlying of a symbol'}"
        )
    else:
        try:
            days_to_expiry(value, _ANY_DAY if days.first_day is None else date.fromisoformat(days.first_day))
        except InvalidInput as error:
            problems.add(where, f"has no expiries: {error}")
    return str(value)


def _symbols(data: Any) -> list[str]:
    """The names that a START's data trades; what is wrong in it is said when it is sent."""
    lists = [data.get(name) for name in ("symbols", "underlyings")] if isinstance(data, dict) else []
    return [symbol for one in lists if isinstance(one, list) for symbol in one if isinstance(symbol, str)]
