"""What a reply or an exception means, by what may be done about it (BROKERS 5, "Errors" and "Unknown outcome").

Only Upstox's own word, its JSON error with a 4xx status, is a refusal. Whatever else comes says nothing about what
happened to an order: 5xx, timeouts, pages of a proxy, half an answer, what the generated client stumbles over.
"""

import json
from typing import Any

from urllib3.exceptions import HTTPError

from tradebus.brokers.errors import BrokerError, Malformed, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.brokers.upstox.settings import BROKER
from tradebus.kernel.errors import TradebusError

_TEXT_MAX = 300
_TOKEN, _TOO_MANY_WORD = "UDAPI100050", "UDAPI10005"
_TOO_MANY, _REQUEST_TIMEOUT, _UNAUTHORISED = 429, 408, 401


def classify(error: BaseException) -> BrokerError:
    """The meaning of what the SDK, or what lies under it, raised."""
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, ImportError | TradebusError):  # before anything was sent
        return Refused(BROKER, _short(str(error)))
    status = getattr(error, "status", None)
    if type(error).__name__ == "ApiException" and isinstance(status, int):
        return failure_of(status, getattr(error, "body", None), reason=str(getattr(error, "reason", "")))
    if isinstance(error, HTTPError | OSError):  # TimeoutError is an OSError
        return NoAnswer(BROKER, _short(f"{type(error).__name__}: {error}"))
    return Malformed(BROKER, _short(f"a reply that is not documented ({type(error).__name__}: {error})"))


def failure_of(status: int, body: object, *, reason: str = "") -> BrokerError:
    """The meaning of an answer that is no success. `status` 0 is the SDK's own, for a connection that TLS ended."""
    code, message = worded(body)
    if status == 0:
        return NoAnswer(BROKER, _short(reason.replace("\n", ": ")) or "no connection")
    if code is None:
        text = f"status {status} without a word of Upstox's own"
        if status == _UNAUTHORISED:
            return TokenExpired(BROKER, f"{text}; log in again")
        late = status >= 500 or status in (_TOO_MANY, _REQUEST_TIMEOUT)
        return NoAnswer(BROKER, text) if late else Malformed(BROKER, text)
    text = f"{_short(code)}: {_short(message)} ({status})"
    if status >= 500 or status == _REQUEST_TIMEOUT:
        return NoAnswer(BROKER, text)
    if status == _TOO_MANY or code == _TOO_MANY_WORD:
        return Throttled(BROKER, text)
    if not 400 <= status < 500:
        return Malformed(BROKER, f"an error that claims success: {text}")
    if status == _UNAUTHORISED or code == _TOKEN:
        return TokenExpired(BROKER, f"{text}; log in again")
    return Refused(BROKER, text)


def worded(body: object) -> tuple[str | None, str]:
    """Code and message of Upstox's own error, (None, "") where this is none. Several errors are told together."""
    said = said_in(body)
    if not isinstance(said, dict) or said.get("status") != "error":
        return None, ""
    errors = said.get("errors")
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    codes = [error.get("errorCode") or error.get("error_code") for error in found]
    if not found or not all(isinstance(code, str) and code for code in codes):
        return None, ""
    words = [error.get("message") for error in found]
    return str(codes[0]), "; ".join(word for word in words if isinstance(word, str))


def said_in(body: object) -> Any:
    """The JSON of a body, None where it is none."""
    if not isinstance(body, bytes | str):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _short(text: str) -> str:
    """Cut between words: a secret cut in two would not be known as one any more."""
    if len(text) <= _TEXT_MAX:
        return text
    return text[:_TEXT_MAX].rpartition(" ")[0] + " …"
