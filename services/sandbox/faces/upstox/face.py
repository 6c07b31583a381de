"""What every handler of the face gets, and how a handler becomes an endpoint."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.sandbox.faces.upstox.catalogue import Catalogue
from services.sandbox.faces.upstox.errors import UpstoxError, of_refusal
from services.sandbox.faces.upstox.feed_hub import FeedHub
from services.sandbox.faces.upstox.gtt_book import GttBook
from services.sandbox.faces.upstox.gtt_watch import GttWatch
from services.sandbox.faces.upstox.logins import Logins
from services.sandbox.faults.ports import Faults
from services.sandbox.ports import Exchange, Refusal


@dataclass(frozen=True, slots=True)
class Face:
    """One face over one exchange."""

    exchange: Exchange
    catalogue: Catalogue
    logins: Logins
    faults: Faults
    gtts: GttBook
    gtt_watch: GttWatch
    feed: FeedHub


@dataclass(frozen=True, slots=True)
class Caller:
    """A request that is let in: whose it is ("" on a public path)."""

    face: Face
    request: Request
    account: str


class Access(Enum):
    """Who may use a path: whoever has a token, or anybody."""

    TOKEN = "TOKEN"  # noqa: S105 - a word, no token
    PUBLIC = "PUBLIC"


FaceHandler = Callable[[Caller], Awaitable[object]]
Endpoint = Callable[[Request], Awaitable[Response]]
Route = tuple[str, str, Access, FaceHandler]  # method, path, who may, handler


def success(data: object, **more: object) -> dict[str, object]:
    return {"status": "success", "data": data, **more}


def answer(content: object, status: int = 200) -> Response:
    """Compact JSON."""
    return Response(json.dumps(content, separators=(",", ":")), status, media_type="application/json")


def endpoint(face: Face, access: Access, handler: FaceHandler) -> Endpoint:
    """The handler behind the token check and Upstox's error bodies. A Response passes as it is."""

    async def served(request: Request) -> Response:
        try:
            account = "" if access is Access.PUBLIC else face.logins.account_of(request)
            found = await handler(Caller(face, request, account))
        except UpstoxError as error:
            return answer(error.body, error.status)
        except ClientDisconnect:
            return Response(status_code=400)  # left before the request was whole: nobody hears this
        except Refusal as refusal:
            refused = of_refusal(refusal)
            return answer(refused.body, refused.status)
        return found if isinstance(found, Response) else answer(found)

    return served
