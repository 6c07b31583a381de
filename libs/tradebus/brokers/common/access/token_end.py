"""When an access token was made and when it ends, where it says so itself."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from tradebus.kernel.time import NANOSECONDS_PER_SECOND


def ends_ns(token: str) -> int | None:
    """Of a JWT, since the epoch; None for any other, and for one that does not tell."""
    return _instant(token, "exp")


def made_ns(token: str) -> int | None:
    """As `ends_ns`."""
    return _instant(token, "iat")


def _instant(token: str, name: str) -> int | None:
    try:
        return int(_said(token)[name]) * NANOSECONDS_PER_SECOND
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _said(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    if len(parts) != len(("header", "payload", "signature")):
        return {}
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
