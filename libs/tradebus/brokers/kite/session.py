"""The login at Kite: a browser and TOTP give a request token, which is traded once for the day's access token."""

from typing import Any
from urllib.parse import urlencode

from tradebus.brokers.account import SessionState
from tradebus.brokers.common.access.session import brought_back, state_of
from tradebus.brokers.common.replies.rows import Unreadable, row_of, text
from tradebus.brokers.errors import Malformed
from tradebus.brokers.kite.client import KiteClient, get
from tradebus.brokers.kite.settings import BROKER
from tradebus.kernel.errors import InvalidInput

_VERSION = "3"


class KiteSession:
    """A new token goes straight to everything that shares the client."""

    def __init__(self, client: KiteClient) -> None:
        self._client = client
        self.account = ""

    async def check(self) -> SessionState:
        """Asks for the profile, also while calls are halted; where the token turns out to be good they go on."""
        if not self._client.token:
            return SessionState.EXPIRED
        self._client.login_calls.renewed()
        profile = self._client.login_calls.once("profile", lambda: _profile(self._client.sdk()))
        state, account = await state_of(self._client, profile)
        self.account = account or self.account
        return state

    def login_url(self, *, redirect: str = "", state: str = "") -> str | None:
        """For the user's browser, which comes back to the app's redirect address with `request_token`."""
        given = {"redirect_params": urlencode({"state": state})} if state else {}
        query = urlencode({"v": _VERSION, "api_key": self._client.settings.api_key, **given})
        return f"{self._client.settings.endpoints.login}?{query}"

    async def complete_login(self, answer: str) -> str:
        """`answer` is the request token, or the whole address the browser was sent back to.

        Raises InvalidInput where it is neither or the API secret is missing, BrokerError where Kite does not agree.
        """
        request_token = _request_token(answer)
        if not self._client.settings.api_secret:
            raise InvalidInput("kite api_secret: is missing; a login cannot be completed without it")
        self._client.redactor.learn(request_token)
        self._client.login_calls.renewed()
        token: str = await self._client.login_calls.once("login", lambda: self._exchange(request_token))
        self._client.use_token(token)
        return token

    def _exchange(self, request_token: str) -> str:
        """The SDK checks sums and exchanges; an object of its own, so that a failed login leaves the old token."""
        sdk = self._client.new_sdk()
        sdk.set_access_token(None)
        try:
            sdk.generate_session(request_token, api_secret=self._client.settings.api_secret)
        except (KeyError, TypeError):
            pass  # it stumbles over a reply without a login time, after taking the token
        token = sdk.access_token
        if not isinstance(token, str) or not token:
            raise Malformed(BROKER, "the answer holds no access_token")
        return token


def _profile(sdk: Any) -> str:
    try:
        return text(row_of(get(sdk, "user.profile"), what="profile"), "user_id")
    except Unreadable as error:
        raise Malformed(BROKER, str(error)) from None


def _request_token(answer: str) -> str:
    token = brought_back(answer, "request_token")
    if not token.isalnum() or not token.isascii() or len(token) > 128:
        raise InvalidInput(
            "request_token: that is none; paste the address the browser was sent back to, or its request_token"
        )
    return token
