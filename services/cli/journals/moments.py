"""A window of time as a person writes it: days, or Indian times."""

from datetime import date, datetime, time, timedelta

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST, datetime_to_ns, ist_to_ns


def window_ns(from_text: str, to_text: str) -> tuple[int, int]:
    """[from, to) in nanoseconds: `to_text` is included where it is a day. Raises InvalidInput."""
    begin_ns, end_ns = _moment_ns(from_text, option="--from", ends=False), _moment_ns(to_text, option="--to", ends=True)
    if begin_ns >= end_ns:
        raise InvalidInput(f"--from {from_text} is not before --to {to_text}")
    return begin_ns, end_ns


def _moment_ns(text: str, *, option: str, ends: bool) -> int:
    """A day that `ends` something is the midnight after it."""
    try:
        if len(text) == len("2026-12-01"):
            return ist_to_ns(date.fromisoformat(text) + timedelta(days=ends), time())
        moment = datetime.fromisoformat(text)
        return datetime_to_ns(moment if moment.tzinfo else moment.replace(tzinfo=IST))
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{option} {text[:40]!r}: write a day (2026-12-01) or an Indian time (2026-12-01T09:15)"
        ) from None
