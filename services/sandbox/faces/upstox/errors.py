"""What Upstox answers when it says no.

    {"status": "error", "errors": [{"errorCode": "UDAPI…", "message", "propertyPath", "invalidValue", and the three in
    snake case}]}

Codes that Upstox documents are used for what they document; everything without a code of its own is UDAPI100038
(invalid input), with the exchange's own sentence.
"""

from types import MappingProxyType

from services.sandbox.ports import Refusal, TokenProblem, Why

_NO_CODE = "UDAPI100038"
_BY_REASON = MappingProxyType(
    {
        Why.UNKNOWN_INSTRUMENT: (400, "UDAPI100011"),
        Why.UNKNOWN_ORDER: (400, "UDAPI100010"),
        Why.MARKET_PROTECTION: (400, "UDAPI1158"),
        Why.TRIGGER_PRICE: (400, "UDAPI1036"),
        Why.MARKET_CLOSED: (423, "UDAPI100074"),
        Why.ORDER_ENDED: (400, "UDAPI100041"),
        Why.NOT_ALLOWED: (403, "UDAPI100049"),
        Why.KILL_SWITCH: (403, "UDAPI1183"),
    }
)
_TOKENS = MappingProxyType(
    {
        TokenProblem.MISSING: "No token: send the header 'Authorization: Bearer …'",
        TokenProblem.UNKNOWN: "Invalid token used to access API",
        TokenProblem.EXPIRED: "Invalid token used to access API",
    }
)


class UpstoxError(Exception):
    """An answer with an HTTP status and one error."""

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, value: object | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field, self.value = status, code, message, field, value

    @property
    def error(self) -> dict[str, object]:
        """The entry of `errors`, in both spellings."""
        return {
            "errorCode": self.code, "message": self.message, "propertyPath": self.field, "invalidValue": self.value,
            "error_code": self.code, "property_path": self.field, "invalid_value": self.value,
        }  # fmt: skip

    @property
    def body(self) -> dict[str, object]:
        return {"status": "error", "errors": [self.error]}


def invalid(field: str, value: object, message: str, *, code: str = _NO_CODE) -> UpstoxError:
    """A field of the request that cannot be."""
    return UpstoxError(400, code, message, field=field, value=value)


def of_refusal(refusal: Refusal, *, cancelling: bool = False) -> UpstoxError:
    """The exchange's refusal in Upstox's words."""
    if refusal.why is Why.ORDER_ENDED and cancelling:
        return UpstoxError(400, "UDAPI100040", refusal.text)
    status, code = _BY_REASON.get(refusal.why, (400, _NO_CODE))
    return UpstoxError(status, code, refusal.text)


def of_token(problem: TokenProblem) -> UpstoxError:
    return UpstoxError(401, "UDAPI100050", _TOKENS[problem])


def error_body(status: int, text: str) -> object:
    """How Upstox words an error that comes from before its services: too many requests, a server's failure."""
    if status == 429:
        return UpstoxError(status, "UDAPI10005", "Too Many Request Sent").body
    return UpstoxError(status, "UDAPI100500", text).body


def unknown_path() -> UpstoxError:
    return UpstoxError(404, "UDAPI100060", "Resource not Found.")
