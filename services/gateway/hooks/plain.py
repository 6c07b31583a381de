"""What a signal says that nobody signed: services such as TradingView send a text of yours and compute nothing.

    {"secret": "…", "time": "2026-12-01T04:30:00Z", "do": "ENTER", "symbol": …}
       │             └─ when it was sent: ISO 8601 with its offset, or seconds since the epoch
       └─ the source's own, compared in the same time whatever was sent

The signal's key is a digest over everything but the secret: the same text, sent again, is the same signal.

Invariants (property-tested): any bytes give a plain signal or none, and no exception; no secret is in what is left.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.gateway.domain.body import read_object
from services.gateway.domain.problems import Problems
from tradebus.contracts.sessions import FieldError

SECRET, TIME = "secret", "time"
_EPOCH = re.compile(r"[0-9]{1,12}")
_TIME_FORM = (
    "write when it was sent, as 2026-12-01T04:30:00Z or in whole seconds since the epoch (TradingView: {{timenow}})"
)


@dataclass(frozen=True, slots=True)
class PlainSignal:
    """`fields` are those of a SIGNAL; `errors` name what of the body is wrong."""

    secret: str = field(repr=False)
    sent_s: int | None
    key: str
    fields: dict[str, Any]
    errors: tuple[FieldError, ...]

    def shows(self, secret: bytes) -> bool:
        """In the same time whatever was sent."""
        ours, theirs = hashlib.sha256(secret), hashlib.sha256(self.secret.encode("utf-8", "surrogatepass"))
        return hmac.compare_digest(ours.digest(), theirs.digest())

    def age_seconds(self, now_ns: int) -> int:
        """Below 0 where it is ahead of our clock."""
        assert self.sent_s is not None
        return now_ns // 1_000_000_000 - self.sent_s


def read_plain(body: bytes) -> PlainSignal | None:
    """None for what is no JSON object that names a secret."""
    problems = Problems()
    fields = read_object(body, problems)
    secret = None if fields is None else fields.pop(SECRET, None)
    if fields is None or not isinstance(secret, str) or not secret:
        return None
    left = json.dumps(fields, sort_keys=True, default=str)
    if secret in _texts(fields):
        # What is told of a signal is read by many; nothing of this one is told.
        problems, fields, left = Problems(), {}, ""
        problems.add(SECRET, "stands in another field too: it belongs here alone")
    sent_s = _seconds(fields.pop(TIME, None))
    if sent_s is None and left:
        problems.add(TIME, _TIME_FORM)
    key = f"plain-{hashlib.sha256(left.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
    return PlainSignal(secret, sent_s, key, fields, problems.errors)


def _texts(tree: Any) -> str:
    """Every key and text of a tree, one after the other."""
    if isinstance(tree, dict):
        return "\n".join(f"{name}\n{_texts(value)}" for name, value in tree.items())
    if isinstance(tree, list):
        return "\n".join(_texts(value) for value in tree)
    return tree if isinstance(tree, str) else ""


def _seconds(value: Any) -> int | None:
    """Since the epoch; None for what is no moment."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    if _EPOCH.fullmatch(str(value)):
        return int(str(value))
    try:
        moment = datetime.fromisoformat(str(value))
        return None if moment.tzinfo is None else int(moment.timestamp())
    except (ValueError, OverflowError):
        return None
