"""What a reply or an exception means, by what may be done about it (BROKERS 5, "Errors" and "Unknown outcome").

Only Kite's own word, a JSON error with a 4xx status and a kind that is documented, is a refusal. Whatever else comes
says nothing about what happened to an order: 5xx, NetworkException and DataException, pages of a proxy, half an answer.
"""

import json
from typing import Any

from requests import RequestException, Response
from urllib3.exceptions import HTTPError

from tradebus.brokers.calls import REQUEST_SECONDS
from tradebus.brokers.common.replies.bodies import whole_body
from tradebus.brokers.errors import BrokerError, Malformed, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.brokers.kite.settings import BROKER
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import TradebusError

REPLY_BYTES_MAX = 64 * 1024 * 1024  # the whole instrument dump has about 10 MB
_TEXT_MAX = 300
# Kinds of error that mean: understood, and no.
_REFUSALS = frozenset(
    {
        "InputException", "OrderException", "MarginException", "HoldingException", "PermissionException",
        "UserException", "TwoFAException", "GeneralException",
    }
)  # fmt: skip
_BEHIND_KITE = frozenset({"NetworkException", "DataException"})  # between Kite and its order management
_TOO_MANY, _REQUEST_TIMEOUT, _UNAUTHORISED, _FORBIDDEN = 429, 408, 401, 403


def failure_of(status: int, kind: str, message: str) -> BrokerError:
    """The meaning of an error that Kite itself words: `kind` is its error_type."""
    text = f"{kind}: {message} ({status})"[:_TEXT_MAX]
    if status == _TOO_MANY:
        return Throttled(BROKER, text)
    if status >= 500 or status == _REQUEST_TIMEOUT or kind in _BEHIND_KITE:
        return NoAnswer(BROKER, text)
    if not 400 <= status < 500:
        return Malformed(BROKER, f"an error that claims success: {text}")
    if kind == "TokenException" or status == _UNAUTHORISED or (status == _FORBIDDEN and kind not in _REFUSALS):
        return TokenExpired(BROKER, f"{text}; log in again")
    if kind in _REFUSALS:
        return Refused(BROKER, text)
    return Malformed(BROKER, f"an error of an unknown kind: {text}")


def classify(error: BaseException) -> BrokerError:
    """The meaning of what the SDK raised."""
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, ImportError | TradebusError):  # before anything was sent
        return Refused(BROKER, str(error)[:_TEXT_MAX])
    if isinstance(error, RequestException | HTTPError | OSError):  # TimeoutError is an OSError
        return NoAnswer(BROKER, f"{type(error).__name__}: {error}"[:_TEXT_MAX])
    status = getattr(error, "code", None)
    if type(error).__module__.startswith("kiteconnect") and isinstance(status, int):
        kind = type(error).__name__
        if kind == "DataException":  # the SDK's own word for a body it cannot read, whatever the status was
            return Malformed(BROKER, f"{error}"[:_TEXT_MAX])
        return failure_of(status, kind, str(error))
    # What the SDK stumbles over inside a reply: a missing field, a list for an object, no content type.
    return Malformed(BROKER, f"a reply that is not documented ({type(error).__name__}: {error})"[:_TEXT_MAX])


def inspect(response: Response, *_: Any, **__: Any) -> Response:
    """A hook of the SDK's HTTP session: reads the body within limits and tells a failure apart before the SDK, which
    forgets the status of what it cannot parse, sees it. Raises BrokerError for everything but a 2xx."""
    _read_body(response)
    status = response.status_code
    if 200 <= status < 300:
        return response
    if 300 <= status < 400:
        # Following would send an order, or the token, to another host than the one that was checked.
        raise Malformed(BROKER, f"redirected ({status}): the address of Kite is wrong, or something is in between")
    kind, message = _worded(response)
    if kind is not None:
        raise failure_of(status, kind, message)
    text = f"status {status} without a word of Kite's own"
    raise NoAnswer(BROKER, text) if status >= 500 or status == _TOO_MANY else Malformed(BROKER, text)


def _read_body(response: Response) -> None:
    try:
        body = whole_body(
            response.raw, broker=BROKER, started_ns=monotonic_ns(), seconds_max=REQUEST_SECONDS,
            bytes_max=REPLY_BYTES_MAX,
        )  # fmt: skip
    except BaseException:
        response.close()
        raise
    response._content = body  # where requests keeps a body that was read


def _worded(response: Response) -> tuple[str | None, str]:
    """The error_type and message of Kite's own error, (None, "") where this is none."""
    try:
        said = json.loads(response.content)
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(said, dict) or said.get("status") != "error":
        return None, ""
    kind, message = said.get("error_type"), said.get("message")
    if not isinstance(kind, str) or not isinstance(message, str):
        return None, ""
    return kind, message
