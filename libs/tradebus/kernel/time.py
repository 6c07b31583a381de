"""UTC instants as integer nanoseconds, and the Indian wall clock derived from them.

India has one zone, UTC+05:30, without daylight saving since 1945, so the offset is a constant.
"""

from datetime import UTC, date, datetime, time, timedelta, timezone

NANOSECONDS_PER_MILLISECOND = 1_000_000
NANOSECONDS_PER_SECOND = 1_000_000_000
NANOSECONDS_PER_DAY = 86_400 * NANOSECONDS_PER_SECOND
NEVER_NS = 2**63 - 1  # later than every instant
IST_OFFSET_SECONDS = 19_800
IST_OFFSET_NS = IST_OFFSET_SECONDS * NANOSECONDS_PER_SECOND
IST = timezone(timedelta(seconds=IST_OFFSET_SECONDS), "IST")
_EPOCH = date(1970, 1, 1)


def ist_to_ns(day: date, at: time) -> int:
    """Nanoseconds since the UTC epoch of the Indian wall-clock time `at` on `day`."""
    seconds = (day - _EPOCH).days * 86_400 + at.hour * 3600 + at.minute * 60 + at.second - IST_OFFSET_SECONDS
    return seconds * NANOSECONDS_PER_SECOND + at.microsecond * 1000


def ist_date(ts_ns: int) -> date:
    """The Indian calendar date of an instant."""
    return _EPOCH + timedelta(days=(ts_ns + IST_OFFSET_NS) // NANOSECONDS_PER_DAY)


def ist_midnight_ns(ts_ns: int) -> int:
    """The instant at which the Indian date of `ts_ns` began."""
    return (ts_ns + IST_OFFSET_NS) // NANOSECONDS_PER_DAY * NANOSECONDS_PER_DAY - IST_OFFSET_NS


def ist_time(ts_ns: int) -> time:
    """The Indian wall-clock time of an instant, to the microsecond."""
    return ist_datetime(ts_ns).time()


def ist_datetime(ts_ns: int) -> datetime:
    """The instant as an aware Indian datetime, to the microsecond."""
    seconds, rest_ns = divmod(ts_ns, NANOSECONDS_PER_SECOND)
    return datetime.fromtimestamp(seconds, tz=IST).replace(microsecond=rest_ns // 1000)


def utc_iso(ts_ns: int) -> str:
    """ISO 8601 with microseconds and a Z, for people and for outside consumers."""
    seconds, rest_ns = divmod(ts_ns, NANOSECONDS_PER_SECOND)
    return (
        datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest_ns // 1000).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    )


def datetime_to_ns(moment: datetime) -> int:
    """Nanoseconds since the epoch of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no instant: attach a zone first")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NANOSECONDS_PER_SECOND + delta.microseconds * 1000
