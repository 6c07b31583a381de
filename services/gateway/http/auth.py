"""Who may ask: the bearer of the token, or a browser that logged in with it.

Invariants (tested over every route): without a token every path but /healthz, /readyz and the login answers 401,
unknown paths included (what is posted below /hooks/v1/ shows a signature instead, and is answered by who looks at it);
comparing takes the same time whatever was shown.
"""

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "tradebus_login"
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/api/login"})
SIGNED_PATHS = "/hooks/v1/"


class Guard:
    """ASGI middleware around the whole application, so that no route can be forgotten."""

    def __init__(self, app: ASGIApp, *, token: SecretStr, login_page: bytes) -> None:
        self._app = app
        self._token = token.get_secret_value().encode()
        self._cookie = login_cookie(token).encode()
        self._login_page = login_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_open(scope) or self.allows(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": "token required"})
        else:
            await self._refusal(scope)(scope, receive, send)

    def allows(self, scope: Scope) -> bool:
        """Whether the request shows the token: Authorization header, login cookie, or (WebSocket only) `?token=`."""
        headers = Headers(scope=scope)
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(shown.strip()):
            return True
        if hmac.compare_digest(_cookie_of(headers).encode(), self._cookie):
            return True
        if scope["type"] != "websocket":
            return False
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        return len(given) == 1 and self._is_token(given[0])

    def _is_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._token)

    def _refusal(self, scope: Scope) -> Response:
        headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
        if scope["path"] == "/" and scope["type"] == "http":
            # A browser shows the login form; the status tells a program that it was not let in.
            return Response(self._login_page, 401, headers, media_type="text/html; charset=utf-8")
        return Response(
            b'{"detail":"token required: send Authorization: Bearer <token>"}', 401, headers,
            media_type="application/json",
        )  # fmt: skip


def _is_open(scope: Scope) -> bool:
    """A path that asks for no token: what is posted to a webhook shows a signature to it."""
    path = scope["path"]
    return path in OPEN_PATHS or (
        scope["type"] == "http" and scope["method"] == "POST" and path.startswith(SIGNED_PATHS)
    )  # fmt: skip


def login_cookie(token: SecretStr) -> str:
    """What a browser keeps after a login: proof of the token, not the token."""
    return hmac.new(token.get_secret_value().encode(), b"tradebus login", hashlib.sha256).hexdigest()


def token_matches(token: SecretStr, shown: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), token.get_secret_value().encode())


def _cookie_of(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""
