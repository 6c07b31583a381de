"""The login at Dhan. A token lives a day and is made on Dhan's site, or by one of three answers to `complete_login`:

a token id, or the address Dhan sent the browser to (…?tokenId=…)   consent login, needs the app's key and secret
PIN:TOTP                                                          the user's own numbers
an access token                                                   copied from Dhan's site; checked, then used
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tradebus.brokers.account import SessionState
from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.dhan.fields import mapping_of, text
from tradebus.brokers.dhan.settings import check_header
from tradebus.brokers.dhan.words import BROKER
from tradebus.brokers.errors import BrokerError, Malformed, Refused, TokenExpired
from tradebus.kernel.errors import InvalidInput

_PIN_AND_TOTP = re.compile(r"(\d{4,8})[ :](\d{6})")
_ACCESS_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")  # a JWT
_TOKEN_ID = re.compile(r"[\w.-]{4,200}")


class DhanSession:
    def __init__(self, client: DhanClient) -> None:
        self._settings = client.settings
        self._client = client
        self.account = ""

    async def check(self) -> SessionState:
        """By the profile, which asks for no subscription and no registered address."""
        try:
            profile = await self._client.once("profile", lambda sdk: sdk.dhan_http.get("/profile"))
            self.account = text("profile", mapping_of("profile", profile), "dhanClientId")
        except TokenExpired:
            return SessionState.EXPIRED
        except BrokerError:
            return SessionState.UNKNOWN
        return SessionState.VALID

    def login_url(self, *, redirect: str = "", state: str = "") -> str | None:
        """None: the consent login's address is made by Dhan for each login (`consent_url`)."""
        return None

    async def consent_url(self) -> str:
        """Where the user logs in with a browser; afterwards Dhan sends it to the app's address with `tokenId`.
        Raises BrokerError."""
        query = {"client_id": self._settings.client_id}
        reply = await self._login("consent", "POST", "/app/generate-consent", query)
        consent = text("consent", reply, "consentAppId")
        return f"{self._settings.endpoints.login}/login/consentApp-login?{urlencode({'consentAppId': consent})}"

    async def complete_login(self, answer: str) -> str:
        """The new access token, in use from now on. Raises BrokerError; InvalidInput for what is none of the three."""
        answer = answer.strip()
        self._client.redactor.learn(answer)
        numbers = _PIN_AND_TOTP.fullmatch(answer)
        token_id = _token_id(answer)
        if _ACCESS_TOKEN.fullmatch(answer):
            token = await self._checked(answer)
        elif numbers is not None:
            pin, totp = numbers.groups()
            self._client.redactor.learn(pin)
            query = {"dhanClientId": self._settings.client_id, "pin": pin, "totp": totp}
            token = text("login", await self._login("login", "POST", "/app/generateAccessToken", query), "accessToken")
        elif token_id is not None:
            reply = await self._login("login", "GET", "/app/consumeApp-consent", {"tokenId": token_id})
            token = text("login", reply, "accessToken")
        else:
            raise InvalidInput("dhan login: give the tokenId, or the address it is in, or PIN:TOTP, or an access token")
        try:
            self._client.use_token(token)
        except InvalidInput as error:
            raise Malformed(BROKER, f"login: {error}") from error
        return token

    async def renew(self) -> str:
        """Another day for a token that still lives. Raises BrokerError."""
        headers = {"access-token": self._client.token, "dhanClientId": self._settings.client_id}
        url = f"{self._settings.endpoints.rest}/RenewToken"
        reply = await self._client.login_calls.once("renew", lambda: self._asked("GET", url, {}, headers))
        name = "accessToken" if "accessToken" in reply else "token"
        token = text("renew", reply, name)
        self._client.use_token(token)
        return token

    async def _checked(self, token: str) -> str:
        """The token, once Dhan has said whose it is."""
        check_header("access_token", token)
        headers = {"access-token": token, "dhanClientId": self._settings.client_id}
        url = f"{self._settings.endpoints.rest}/profile"
        profile = await self._client.login_calls.once("profile", lambda: self._asked("GET", url, {}, headers))
        owner = text("profile", profile, "dhanClientId")
        if owner != self._settings.client_id:
            raise Refused(BROKER, "login: the token is another client's; log in as the client id that is configured")
        return token

    async def _login(self, what: str, method: str, path: str, query: Mapping[str, str]) -> Mapping[str, object]:
        """A call of the login host. Raises InvalidInput where it needs the app's key and secret and has none."""
        key, secret = self._app()
        if not (key and secret) and "consent" in path:
            raise InvalidInput(
                "dhan login: the consent login needs the app's key and secret, which Dhan shows you; store them as "
                "KEY:SECRET, or log in with PIN:TOTP or an access token"
            )
        headers = {"app_id": key, "app_secret": secret}
        url = f"{self._settings.endpoints.login}{path}"
        return await self._client.login_calls.once(what, lambda: self._asked(method, url, query, headers))

    def _app(self) -> tuple[str, str]:
        """The app's key and secret; where only one field is stored, it holds both."""
        if self._settings.api_key:
            return self._settings.api_key, self._settings.api_secret
        key, _, secret = self._settings.api_secret.partition(":")
        return key, secret

    def _asked(
        self, method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Mapping[str, object]:
        """One login call. The SDK's own have no timeout, print, and open a browser on the server."""
        session: Any = self._client.session_of()
        reply = session.request(method, url, params=dict(query), headers=dict(headers), timeout=self._client.timeout)
        return mapping_of("login", reply.json())


def _token_id(answer: str) -> str | None:
    found = parse_qs(urlsplit(answer).query).get("tokenId") if "tokenId=" in answer else None
    token_id = found[0] if found else answer
    return token_id if _TOKEN_ID.fullmatch(token_id) else None
