"""The login: dialog with a code, code against token, logout, and whose token a request carries.

Also the single-use codes of the sockets. A code works once and for a minute of machine time.
"""

from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.requests import HTTPConnection

from services.sandbox.faces.upstox.errors import UpstoxError, invalid, of_token
from services.sandbox.ports import BrokerName, Exchange, Token, TokenProblem
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.ids import RandomIds

_CODE_LIVES_NS = 60_000_000_000
_CODES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Code:
    account: str
    made_ns: int


class Codes:
    """Hands out codes, each good for one use."""

    def __init__(self) -> None:
        self._ids = RandomIds()
        self._codes: dict[str, _Code] = {}

    def give(self, account: str) -> str:
        if len(self._codes) >= _CODES_MAX:
            self._codes.pop(next(iter(self._codes)))
        code = self._ids.new_id().replace("-", "")
        self._codes[code] = _Code(account, monotonic_ns())
        return code

    def take(self, code: str) -> str | None:
        """Whose it is, None where it is unknown, used or too old."""
        found = self._codes.pop(code, None)
        if found is None or monotonic_ns() - found.made_ns > _CODE_LIVES_NS:
            return None
        return found.account


class Logins:
    """Tokens and codes of the face."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._codes = Codes()
        self.socket_codes = Codes()

    def dialog(self, *, client_id: str, redirect_uri: str, state: str, user: str) -> str:
        """Where the browser goes next. The sandbox asks no question: the user is `user`, else the application's."""
        if not client_id:
            raise invalid("client_id", client_id, "client_id is required", code="UDAPI1017")
        if urlsplit(redirect_uri).scheme not in ("http", "https"):
            raise invalid("redirect_uri", redirect_uri[:60], "redirect_uri must be an address", code="UDAPI1018")
        answer = {"code": self._codes.give(user or client_id)}
        if state:
            answer["state"] = state
        return f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{urlencode(answer)}"

    def token_for(self, code: str) -> Token:
        """Raises UpstoxError where the code is unknown or used."""
        account = self._codes.take(code)
        if account is None:
            raise UpstoxError(401, "UDAPI100057", "Invalid Auth code", field="code")
        return self._exchange.login(BrokerName.UPSTOX, account)

    def log_out(self, connection: HTTPConnection) -> None:
        value = bearer(connection)
        if value:
            self._exchange.log_out(value)

    def account_of(self, connection: HTTPConnection) -> str:
        """Raises UpstoxError 401."""
        answer = self._exchange.authorise(BrokerName.UPSTOX, bearer(connection))
        if isinstance(answer, TokenProblem):
            raise of_token(answer)
        return answer.account


def bearer(connection: HTTPConnection) -> str | None:
    """The token of the Authorization header."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
