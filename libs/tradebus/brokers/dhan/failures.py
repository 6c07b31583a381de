"""What an answer of Dhan means, by what may be done about it (BROKERS 5, "Errors" and "Unknown outcome").

The SDK raises nothing: an exception inside it becomes `remarks` as a text, a status that is not 2xx becomes `remarks`
as an object that has forgotten the status. So `inspect`, a hook of its HTTP session, judges the answer first and keeps
the verdict, and `unwrapped` reads the SDK's reply in its light.

Only Dhan's own word, a JSON error with a 4xx status and a documented code, is a refusal. Whatever else comes says
nothing about what happened to an order: 5xx, DH-908 to DH-910, pages of a proxy, half an answer.
"""

import json
import threading
from typing import Any

from requests import RequestException, Response
from urllib3.exceptions import HTTPError

from tradebus.brokers.calls import REQUEST_SECONDS
from tradebus.brokers.common.replies.bodies import whole_body
from tradebus.brokers.dhan.words import BROKER
from tradebus.brokers.errors import BrokerError, Malformed, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import TradebusError

REPLY_BYTES_MAX = 256 * 1024 * 1024  # the detailed instrument list has some 50 MB
_TEXT_MAX = 300
_TOKEN_CODES = frozenset({"DH-901", "807", "808", "809", "810"})
_THROTTLE_CODES = frozenset({"DH-904", "805"})
_REFUSAL_CODES = frozenset({"DH-902", "DH-903", "DH-905", "DH-906", "804", "806", "811", "812", "813", "814"})
_NO_DATA, _NO_HOLDINGS = "DH-907", "DH-1111"
_TOO_MANY, _REQUEST_TIMEOUT, _UNAUTHORISED = 429, 408, 401


class _Verdict(threading.local):
    """On the thread of the call: what `inspect` made of its answer."""

    error: BrokerError | None = None
    answered = False
    limit_seconds = REQUEST_SECONDS


_verdict = _Verdict()


class Judged(Exception):
    """Ends a request whose answer `inspect` has judged. Without the answer's words: the SDK writes them to the log."""

    def __init__(self, verdict: BrokerError) -> None:
        super().__init__(f"the answer is judged: {type(verdict).__name__}")
        self.verdict = verdict


class Said(Refused):
    """A refusal in Dhan's own words, not ours."""


class NothingThere(Said):
    """Dhan's way of saying that a list is empty."""


def failure_of(status: int, code: str, message: str) -> BrokerError:
    """The meaning of an error that Dhan itself words; `code` is DH-9xx, a data error's number, or RL…."""
    text = f"{code}: {message} ({status})"[:_TEXT_MAX]
    if code in _TOKEN_CODES or status == _UNAUTHORISED:
        return TokenExpired(BROKER, f"{text}; log in again")
    if code in _THROTTLE_CODES or code.startswith("RL") or status == _TOO_MANY:
        return Throttled(BROKER, text)
    if code == _NO_HOLDINGS:
        return NothingThere(BROKER, text)
    if status >= 500 or status == _REQUEST_TIMEOUT or code in ("DH-908", "DH-909", "DH-910", "800"):
        return NoAnswer(BROKER, text)
    if code == _NO_DATA:
        return NothingThere(BROKER, text)
    if code in _REFUSAL_CODES:
        return Said(BROKER, text)
    return Malformed(BROKER, f"an error of an unknown kind: {text}")


def classify(error: BaseException) -> BrokerError:
    """The meaning of what was raised inside a call."""
    if isinstance(error, Judged):
        return error.verdict
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, ImportError):
        return Refused(BROKER, f"the dhanhq package cannot be loaded: {error}")
    if isinstance(error, TradebusError):  # ours, before anything was sent
        return Refused(BROKER, str(error))
    if isinstance(error, RequestException | HTTPError | OSError):  # TimeoutError is an OSError
        return NoAnswer(BROKER, f"{type(error).__name__}: {error}"[:_TEXT_MAX])
    return Malformed(BROKER, f"a reply that is not documented ({type(error).__name__}: {error})"[:_TEXT_MAX])


def before_call(limit_seconds: float) -> None:
    """Forgets the thread's last answer. The next one may take `limit_seconds` from its first byte to its last."""
    _verdict.error, _verdict.answered, _verdict.limit_seconds = None, False, limit_seconds


def unwrapped(reply: Any) -> Any:
    """The JSON body of a success out of the SDK's `{status, remarks, data}`. Raises BrokerError for everything else."""
    if _verdict.error is not None:
        raise _verdict.error
    if not isinstance(reply, dict) or reply.get("status") != "success":
        remarks = reply.get("remarks") if isinstance(reply, dict) else type(reply).__name__
        if not _verdict.answered:
            raise NoAnswer(BROKER, f"{remarks}"[:_TEXT_MAX])
        raise Malformed(BROKER, f"a reply that is no JSON ({remarks})"[:_TEXT_MAX])
    data = reply.get("data")
    if isinstance(data, dict) and (data.get("status") in ("failed", "failure", "error") or data.get("errorCode")):
        code, message = _worded(data)
        raise failure_of(200, code, message)
    return data


def inspect(response: Response, *_: Any, **__: Any) -> Response:
    """A hook of the SDK's HTTP session: reads the body within limits. Raises Judged for everything but a 2xx, and keeps
    the verdict, for the SDK will swallow it."""
    _verdict.answered = True
    try:
        _read_body(response)
        _judge_status(response)
    except (BrokerError, HTTPError, RequestException, OSError) as error:
        response.close()
        _verdict.error = classify(error)
        raise Judged(_verdict.error) from None
    return response


def _judge_status(response: Response) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        # Following would send an order, or the token, to another host than the one that was checked.
        raise Malformed(BROKER, f"redirected ({status}): the address of Dhan is wrong, or something is in between")
    try:
        said = json.loads(response.content)
    except (ValueError, RecursionError):
        said = None
    code, message = _worded(said)
    if code:
        raise failure_of(status, code, message)
    text = f"status {status} without a word of Dhan's own"
    if status == _UNAUTHORISED:
        raise TokenExpired(BROKER, f"{text}; log in again")
    if status == _TOO_MANY:
        raise Throttled(BROKER, text)
    raise NoAnswer(BROKER, text) if status >= 500 else Malformed(BROKER, text)


def _worded(said: object) -> tuple[str, str]:
    """The code and message of Dhan's own error, in either of its two shapes; ("", "") where this is none."""
    if not isinstance(said, dict):
        return "", ""
    code, message = said.get("errorCode"), said.get("errorMessage")
    if isinstance(code, str | int) and not isinstance(code, bool) and str(code):
        return str(code)[:20], str(message)
    for name in ("data", "errors"):  # {"status": "failed", "data": {"805": "Too many requests …"}}
        inner = said.get(name)
        if isinstance(inner, dict) and len(inner) == 1:
            (key, value), *_ = inner.items()
            if str(key).isdigit():
                return str(key), str(value)
    return "", ""


def _read_body(response: Response) -> None:
    body = whole_body(
        response.raw, broker=BROKER, started_ns=monotonic_ns(), seconds_max=_verdict.limit_seconds,
        bytes_max=REPLY_BYTES_MAX,
    )  # fmt: skip
    response._content = body  # where requests keeps a body that was read
