"""What every handler of the face gets, and how a handler becomes an endpoint."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from services.sandbox.faces.upstox.catalogue import Catalogue
from services.sandbox.faces.upstox.errors import UpstoxError, of_refusal
from services.sandbox.faces.upstox.feed_hub import FeedHub
from services.sandbox.faces.upstox.gtt_book import GttBook
from services.sandbox.faces.upstox.gtt_watch import GttWatch
from services.sandbox.faces.upstox.limits import Kind, Limits
from services.sandbox.faces.upstox.logins import Logins
from services.sandbox.ports import Exchange, Refusal


@dataclass(frozen=True, slots=True)
class Face:
    """One face over one exchange."""

    exchange: Exchange
    catalogue: Catalogue
    logins: Logins
    limits: Limits
    gtts: GttBook
    gtt_watch: GttWatch
    feed: FeedHub


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is let in: whose it is ("" on a public path)."""

    face: Face
    request: Request
    account: str


Handler = Callable[[Call], Awaitable[object]]
Endpoint = Callable[[Request], Awaitable[Response]]
Route = tuple[str, str, Kind, Handler]  # method, path, counted as, handler


def success(data: object, **more: object) -> dict[str, object]:
    return {"status": "success", "data": data, **more}


def answer(content: object, status: int = 200) -> Response:
    """Compact JSON."""
    return Response(json.dumps(content, separators=(",", ":")), status, media_type="application/json")


def endpoint(face: Face, kind: Kind, handler: Handler) -> Endpoint:
    """The handler behind the token check, the limits and Upstox's error bodies. A Response passes as it is."""

    async def served(request: Request) -> Response:
        try:
            account = "" if kind is Kind.PUBLIC else face.logins.account_of(request)
            face.limits.take(account, kind, now_ns=face.exchange.now_ns)
            found = await handler(Call(face, request, account))
        except UpstoxError as error:
            return answer(error.body, error.status)
        except Refusal as refusal:
            refused = of_refusal(refusal)
            return answer(refused.body, refused.status)
        return found if isinstance(found, Response) else answer(found)

    return served
