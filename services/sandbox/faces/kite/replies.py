"""Kite's envelope: `{"status": "success", "data"}` and `{"status": "error", "message", "error_type"}` with its code."""

import json
from enum import StrEnum

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from services.sandbox.ports import Refusal, Why


class ErrorType(StrEnum):
    """The exceptions that the official clients raise by these names."""

    TOKEN = "TokenException"  # noqa: S105 - a name, no password
    PERMISSION = "PermissionException"
    ORDER = "OrderException"
    INPUT = "InputException"
    MARGIN = "MarginException"
    HOLDING = "HoldingException"
    NETWORK = "NetworkException"
    DATA = "DataException"
    GENERAL = "GeneralException"


_CODES = {
    ErrorType.TOKEN: 403,
    ErrorType.PERMISSION: 403,
    ErrorType.ORDER: 400,
    ErrorType.INPUT: 400,
    ErrorType.MARGIN: 400,
    ErrorType.HOLDING: 400,
    ErrorType.NETWORK: 503,
    ErrorType.DATA: 502,
    ErrorType.GENERAL: 500,
}
# What the exchange refuses, by Kite's exceptions; what is not listed here is an OrderException.
_OF_REFUSAL = {
    Why.UNKNOWN_INSTRUMENT: ErrorType.INPUT,
    Why.BAD_VALUE: ErrorType.INPUT,
    Why.LOT_SIZE: ErrorType.INPUT,
    Why.TICK_SIZE: ErrorType.INPUT,
    Why.FREEZE_QUANTITY: ErrorType.INPUT,
    Why.PRICE_BAND: ErrorType.INPUT,
    Why.TRIGGER_PRICE: ErrorType.INPUT,
    Why.MARKET_PROTECTION: ErrorType.INPUT,
    Why.MARGIN: ErrorType.MARGIN,
    Why.HOLDINGS: ErrorType.HOLDING,
}


class KiteError(Exception):
    """Ends a request with Kite's error body. `message` names the field that is wrong, and never holds a token."""

    def __init__(self, kind: ErrorType, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.code = kind, message, _CODES[kind] if code is None else code

    @classmethod
    def of(cls, refusal: Refusal) -> "KiteError":
        return cls(_OF_REFUSAL.get(refusal.why, ErrorType.ORDER), refusal.text)


def bad_input(message: str) -> KiteError:
    return KiteError(ErrorType.INPUT, message)


def success(data: object) -> Response:
    return Response(
        json.dumps({"status": "success", "data": data}, separators=(",", ":")), media_type="application/json"
    )


def error_body(status: int, text: str) -> object:
    """How Kite words what is wrong before a request reaches it: too many of them, or a failure behind its front."""
    network = status in (429, 502, 503, 504)
    return _body(ErrorType.NETWORK if network else ErrorType.GENERAL, text)


def failure(error: KiteError) -> JSONResponse:
    return JSONResponse(_body(error.kind, error.message), error.code)


def _body(kind: ErrorType, message: str) -> dict[str, object]:
    return {"status": "error", "message": message, "data": None, "error_type": kind.value}


async def on_kite_error(_request: Request, error: Exception) -> Response:
    return failure(error if isinstance(error, KiteError) else KiteError(ErrorType.GENERAL, "internal error"))


async def on_refusal(_request: Request, error: Exception) -> Response:
    return failure(KiteError.of(error) if isinstance(error, Refusal) else KiteError(ErrorType.GENERAL, "internal"))


async def on_unknown_route(_request: Request, _error: Exception) -> Response:
    return failure(KiteError(ErrorType.GENERAL, "Route not found", code=404))


async def on_wrong_method(_request: Request, _error: Exception) -> Response:
    return failure(KiteError(ErrorType.GENERAL, "Method not allowed", code=405))
