"""POST /hooks/v1/{source}: the way in for other programs, which show no token but sign what they send; at .../plain for
those that can only show their secret."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from services.gateway.hooks.door import BYTES_MAX, HookAnswer, WebhookDoor
from services.gateway.http.auth import SIGNED_PATHS


def hook_routes(door: WebhookDoor) -> APIRouter:
    router = APIRouter()

    @router.post(SIGNED_PATHS + "{source}")
    async def hook(source: Annotated[str, Path(max_length=64)], request: Request) -> JSONResponse:
        """202 where it was taken, 200 where it is known, 401 where it is not signed, 413, 422 with every bad field, 429
        with when to come again."""
        body = await _body(request)
        return _too_large() if body is None else _said(await door.take(source, request.headers, body))

    @router.post(SIGNED_PATHS + "{source}/plain")
    async def plain_hook(source: Annotated[str, Path(max_length=64)], request: Request) -> JSONResponse:
        """As the other, 401 where the body does not show the source's secret, or an old time."""
        body = await _body(request)
        return _too_large() if body is None else _said(await door.take_plain(source, body))

    return router


def _said(answer: HookAnswer) -> JSONResponse:
    return JSONResponse(dict(answer.body), answer.status, dict(answer.headers))


def _too_large() -> JSONResponse:
    return JSONResponse({"detail": f"a signal of at most {BYTES_MAX} bytes is taken"}, 413, {"Connection": "close"})


async def _body(request: Request) -> bytes | None:
    """None for one that is too large: by what its head says before any of it is read, else as soon as it shows."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > BYTES_MAX:
        return None
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > BYTES_MAX:
            return None
    return bytes(received)
