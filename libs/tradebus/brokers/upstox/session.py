"""The login at Upstox: OAuth in a browser gives a code, which is traded once for the day's access token."""

from urllib.parse import urlencode

from tradebus.brokers.account import SessionState
from tradebus.brokers.common.access.session import brought_back, state_of
from tradebus.brokers.common.replies.rows import row_of, text
from tradebus.brokers.errors import Malformed
from tradebus.brokers.upstox.client import API_VERSION, UpstoxClient, data_in
from tradebus.brokers.upstox.failures import said_in
from tradebus.brokers.upstox.settings import BROKER
from tradebus.kernel.errors import InvalidInput

_CODE_CHARACTERS_MAX = 512


class UpstoxSession:
    """A new token goes straight to everything that shares the client. It lives until about 03:30 of the next day."""

    def __init__(self, client: UpstoxClient) -> None:
        self._client = client
        self.account = ""
        self._redirect = client.settings.redirect_uri

    async def check(self) -> SessionState:
        """Asks for the profile, also while calls are halted; where the token turns out to be good they go on."""
        if not self._client.token:
            return SessionState.EXPIRED
        profile = self._client.login(
            "profile",
            lambda sdk, raw: sdk.api("UserApi").get_profile(API_VERSION, **raw),
            lambda body, status: text(row_of(data_in(body, status), what="profile"), "user_id"),
        )
        state, account = await state_of(self._client, profile)
        self.account = account or self.account
        return state

    def login_url(self, *, redirect: str = "", state: str = "") -> str | None:
        """For the user's browser, which comes back to the app's redirect address with `code`. What it is said to be
        here holds for `complete_login` too: Upstox compares the two."""
        settings = self._client.settings
        self._redirect = redirect or settings.redirect_uri
        query = {"response_type": "code", "client_id": settings.api_key, "redirect_uri": self._redirect}
        query |= {"state": state} if state else {}
        return f"{settings.endpoints.login}?{urlencode(query)}"

    async def complete_login(self, answer: str) -> str:
        """`answer` is the code, or the whole address the browser was sent back to.

        Raises InvalidInput where it is neither or the API secret is missing, BrokerError where Upstox does not agree.
        """
        code, settings = _code(answer), self._client.settings
        for name in ("api_key", "api_secret"):
            if not getattr(settings, name):
                raise InvalidInput(f"upstox {name}: is missing; a login cannot be completed without it")
        self._client.redactor.learn(code)
        token = await self._client.login(
            "login",
            lambda sdk, raw: sdk.api("LoginApi").token(
                API_VERSION, code=code, client_id=settings.api_key, client_secret=settings.api_secret,
                redirect_uri=self._redirect, grant_type="authorization_code", **raw,
            ),
            _access_token,
        )  # fmt: skip
        self._client.use_token(token)
        return token


def _access_token(body: bytes, status: int) -> str:
    """This reply has no envelope: the token stands beside the profile."""
    said = said_in(body)
    token = said.get("access_token") if isinstance(said, dict) else None
    if not isinstance(token, str) or not token.strip() or not token.isascii():
        raise Malformed(BROKER, f"the answer ({status}) holds no access_token")
    return token


def _code(answer: str) -> str:
    code = brought_back(answer, "code")
    if not code or not code.isascii() or any(character in code for character in " /?&=") or (
        len(code) > _CODE_CHARACTERS_MAX
    ):  # fmt: skip
        raise InvalidInput("code: that is none; paste the address the browser was sent back to, or the code in it")
    return code
