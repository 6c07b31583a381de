"""POST /api/commands: the same JSON as on the channel, with the outcome as the answer."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from services.gateway.domain.body import MAX_BYTES
from services.gateway.handlers import CommandHandler, CommandReply, CommandVerdict


def command_routes(handler: CommandHandler) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.post("/commands")
    async def command(request: Request) -> JSONResponse:
        """202 where it was accepted, 200 where it repeats what was done before, 422 with every bad field."""
        return answer(await handler.handle(await read_body(request)))

    return router


async def read_body(request: Request) -> bytes:
    """The body, but never much more of it than a command may have: the handler refuses what is cut off here."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BYTES:
            break
    return bytes(received)


def answer(reply: CommandReply) -> JSONResponse:
    status = {CommandVerdict.ACCEPTED: 202, CommandVerdict.REPEATED: 200, CommandVerdict.REJECTED: 422}[reply.verdict]
    body: dict[str, Any] = {
        "status": reply.verdict.value,
        "action": reply.action,
        "user_id": reply.user_id,
        "command_id": reply.command_id,
        "session_id": reply.session_id,
        "session_status": reply.session_status,
    }
    if reply.signal_id is not None:
        body |= {"signal_id": reply.signal_id, "pos_id": reply.pos_id}
    if reply.errors:
        body["errors"] = [error.model_dump() for error in reply.errors]
    return JSONResponse(body, status)
