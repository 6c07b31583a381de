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
    value: str
    made_ns: int


class Codes:
    """Hands out codes for something, each good for one use."""

    def __init__(self) -> None:
        self._ids = RandomIds()
        self._codes: dict[str, _Code] = {}

    def give(self, value: str) -> str:
        if len(self._codes) >= _CODES_MAX:
            self._codes.pop(next(iter(self._codes)))
        code = self._ids.new_id().replace("-", "")
        self._codes[code] = _Code(value, monotonic_ns())
        return code

    def take(self, code: str) -> str | None:
        """What it was given for, None where it is unknown, used or too old."""
        found = self._codes.pop(code, None)
        if found is None or monotonic_ns() - found.made_ns > _CODE_LIVES_NS:
            return None
        return found.value


class Logins:
    """Tokens and codes of the face."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._codes = Codes()  # for accounts
        self._socket_codes = Codes()  # for tokens

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
        return self._token(bearer(connection)).account

    def socket_code(self, connection: HTTPConnection) -> str:
        """Lets whoever has it open one socket. Raises UpstoxError 401."""
        return self._socket_codes.give(self._token(bearer(connection)).value)

    def token_of_socket(self, connection: HTTPConnection) -> Token:
        """By the code of the address, or by the token itself. Raises UpstoxError 401."""
        code = connection.query_params.get("code", "")
        return self._token(self._socket_codes.take(code) or bearer(connection))

    def valid(self, token: Token) -> bool:
        """Whether it still is."""
        return isinstance(self._exchange.authorise(BrokerName.UPSTOX, token.value), Token)

    def _token(self, value: str | None) -> Token:
        answer = self._exchange.authorise(BrokerName.UPSTOX, value)
        if isinstance(answer, TokenProblem):
            raise of_token(answer)
        return answer


def bearer(connection: HTTPConnection) -> str | None:
    """The token of the Authorization header."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
