"""The login dance: login page ─► request token ─► access token (checksummed) ─► refresh, log out; who is calling.

The sandbox asks for no password: the login page sends the browser straight on. Every API key is welcome and shares one
secret. Request tokens work once and for a few minutes of exchange time.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.sandbox.faces.kite.fields import Fields, form_of, query_of
from services.sandbox.faces.kite.replies import ErrorType, KiteError, bad_input, success
from services.sandbox.faces.kite.words import EXCHANGES, ORDER_TYPES, PRODUCTS, stamp
from services.sandbox.ports import BrokerName, Exchange, Token
from tradebus.kernel.ids import derive_id, joined
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

SANDBOX_API_SECRET = "sandbox-secret"  # noqa: S105 - the sandbox's own, opens nothing else
DEFAULT_ACCOUNT = "AB1234"
_REQUEST_TOKEN_NS = 300 * NANOSECONDS_PER_SECOND
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FINISHED = """<!doctype html><title>Sandbox login</title>
<p>Logged in to the sandbox exchange. The request token is in this page's address.</p>"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent an authorised request."""

    account: str
    api_key: str
    token: str


Authorise = Callable[[Request], Caller]


@dataclass(frozen=True, slots=True)
class _Pending:
    account: str
    api_key: str
    until_ns: int


class Logins:
    """Request and refresh tokens of this face; access tokens are the exchange's."""

    def __init__(self, exchange: Exchange, *, secret: str = SANDBOX_API_SECRET) -> None:
        self._exchange, self._secret = exchange, secret
        self._requests: dict[str, _Pending] = {}
        self._refreshes: dict[str, str] = {}  # refresh token: account
        self._issued = 0

    def caller(self, request: Request) -> Caller:
        """Raises KiteError TokenException where the header carries no valid login."""
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        api_key, _, token = rest.strip().partition(":")
        return self.check(api_key if scheme.lower() == "token" else "", token)

    def check(self, api_key: str, token: str) -> Caller:
        """Raises KiteError TokenException: unknown, expired and missing look alike, as at Kite."""
        found = self._exchange.authorise(BrokerName.KITE, token or None)
        if not api_key or not isinstance(found, Token):
            raise KiteError(ErrorType.TOKEN, "Incorrect `api_key` or `access_token`.")
        return Caller(found.account, api_key, token)

    def request_token(self, api_key: str, account: str) -> str:
        token = self._new_token("request", account)
        self._requests[token] = _Pending(account, api_key, self._exchange.now_ns + _REQUEST_TOKEN_NS)
        return token

    def exchange_request_token(self, fields: Fields) -> dict[str, object]:
        """An access token for a request token. Raises KiteError where it or the checksum is wrong."""
        api_key, request_token = fields.text("api_key"), fields.text("request_token")
        self._check_sum(fields.text("checksum"), api_key, request_token)
        pending = self._requests.pop(request_token, None)
        if pending is None or pending.api_key != api_key or pending.until_ns < self._exchange.now_ns:
            raise KiteError(ErrorType.TOKEN, "Token is invalid or has expired.")
        return self._session(api_key, pending.account)

    def renew(self, fields: Fields) -> dict[str, object]:
        api_key, refresh_token = fields.text("api_key"), fields.text("refresh_token")
        self._check_sum(fields.text("checksum"), api_key, refresh_token)
        account = self._refreshes.pop(refresh_token, None)
        if account is None:
            raise KiteError(ErrorType.TOKEN, "Token is invalid or has expired.")
        return self._session(api_key, account)

    def end(self, fields: Fields) -> None:
        """Forgets an access or a refresh token. Raises KiteError where there is no such login."""
        if fields.has("refresh_token"):
            if self._refreshes.pop(fields.text("refresh_token"), None) is None:
                raise KiteError(ErrorType.TOKEN, "Token is invalid or has expired.")
            return
        caller = self.check(fields.text("api_key"), fields.text("access_token"))
        self._exchange.log_out(caller.token)

    def order_checksum(self, order_id: str, order_timestamp: str) -> str:
        """Of an order update: proves that it comes from who knows the secret."""
        return hashlib.sha256(f"{order_id}{order_timestamp}{self._secret}".encode()).hexdigest()

    def _check_sum(self, checksum: str, api_key: str, token: str) -> None:
        wanted = hashlib.sha256(f"{api_key}{token}{self._secret}".encode()).hexdigest()
        if not hmac.compare_digest(wanted.encode(), checksum.lower().encode()):
            raise KiteError(ErrorType.TOKEN, "Invalid `checksum`.")

    def _session(self, api_key: str, account: str) -> dict[str, object]:
        token = self._exchange.login(BrokerName.KITE, account)
        refresh_token = self._new_token("refresh", account)
        self._refreshes[refresh_token] = account
        return {
            **profile_of(account),
            "api_key": api_key, "access_token": token.value, "public_token": self._new_token("public", account),
            "enctoken": "", "refresh_token": refresh_token, "silo": "", "login_time": stamp(self._exchange.now_ns),
        }  # fmt: skip

    def _new_token(self, purpose: str, account: str) -> str:
        """Unguessable to nobody: a sandbox's tokens only have to differ."""
        self._issued += 1
        return hashlib.blake2b(
            joined(derive_id(self._exchange.now_ns, purpose, account, self._issued), self._secret), digest_size=16
        ).hexdigest()


def profile_of(account: str) -> dict[str, object]:
    return {
        "user_id": account, "user_type": "individual", "email": f"{account.lower()}@sandbox.invalid",
        "user_name": f"Sandbox {account}", "user_shortname": account, "broker": "ZERODHA",
        "exchanges": list(EXCHANGES), "products": list(PRODUCTS), "order_types": list(ORDER_TYPES),
        "avatar_url": None, "meta": {"demat_consent": "physical"},
    }  # fmt: skip


def login_routes(logins: Logins) -> APIRouter:
    router = APIRouter()

    @router.get("/connect/login")
    async def login_page(request: Request) -> Response:
        """Logs `user_id` in and goes on to `redirect_url`, which must be on this machine, or to the finishing page."""
        fields = query_of(request)
        api_key = fields.text("api_key")
        token = logins.request_token(api_key, fields.text("user_id", DEFAULT_ACCOUNT))
        target = fields.text("redirect_url", str(request.url.replace(path="/connect/finish", query="")))
        answer = {"action": "login", "type": "login", "status": "success", "request_token": token}
        answer |= {name: values[0] for name, values in parse_qs(fields.text("redirect_params", "")).items()}
        return RedirectResponse(_with_query(target, answer), 302)

    @router.get("/connect/finish")
    async def finished() -> Response:
        return HTMLResponse(_FINISHED)

    @router.post("/session/token")
    async def generate_session(request: Request) -> Response:
        return success(logins.exchange_request_token(await form_of(request)))

    @router.delete("/session/token")
    async def invalidate(request: Request) -> Response:
        logins.end(query_of(request))
        return success(True)

    @router.post("/session/refresh_token")
    async def refresh(request: Request) -> Response:
        return success(logins.renew(await form_of(request)))

    @router.get("/user/profile")
    async def profile(request: Request) -> Response:
        return success(profile_of(logins.caller(request).account))

    return router


def _with_query(target: str, answer: dict[str, str]) -> str:
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or parts.hostname not in _LOOPBACK:
        raise bad_input("Invalid `redirect_url`: an http address on this machine is needed")
    query = "&".join(text for text in (parts.query, urlencode(answer)) if text)
    return urlunsplit(parts._replace(query=query))
