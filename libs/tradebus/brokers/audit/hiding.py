"""Texts of requests and replies without secrets: those that the login's redactor knows, and those that a name tells.

A reply brings a token before anybody has learned it, a login carries a PIN: the name of the field is what gives them
away, in JSON, in a form and in a query alike. Headers are not written at all.
"""

import re
from collections.abc import Iterable

from tradebus.brokers.redaction import Redactor

_NAMES = (
    "access_token", "accessToken", "access-token", "refresh_token", "refreshToken", "public_token", "enctoken",
    "request_token", "requestToken", "extended_token", "tokenId", "token_id", "token", "api_key", "apikey",
    "api_secret", "app_id", "app_secret", "client_secret", "checksum", "pin", "totp", "password", "otp", "twofa_value",
    "jwt", "authorization", "authorized_redirect_uri", "authorizedRedirectUri", "consentAppId", "secret", "sessionID",
)  # fmt: skip
_ANY = "|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True))
# "name": "value"; with the quotes escaped, as a JSON text inside a JSON text has them; a number for a PIN.
_JSON = re.compile(rf'("(?:{_ANY})"\s*:\s*")((?:[^"\\]|\\.)*)', re.IGNORECASE)
_ESCAPED = re.compile(rf'(\\"(?:{_ANY})\\"\s*:\s*\\")([^"\\]*)', re.IGNORECASE)
_NUMBER = re.compile(rf'(\\?"(?:{_ANY})\\?"\s*:\s*)(\d+)', re.IGNORECASE)
# name=value, where a query or a form begins or goes on. `code` is a login's there and an error's number in JSON.
_FORM = re.compile(rf"((?:^|[?&;\s])(?:{_ANY}|code|client_id|dhanClientId)=)([^&\s\"']*)", re.IGNORECASE)
_HIDDEN = r"\1***"


def without_secrets(text: str, redactor: Redactor) -> str:
    """The text as it may be kept for years."""
    return redactor.text(_hide(text, (_JSON, _ESCAPED, _NUMBER, _FORM)))


def _hide(text: str, patterns: Iterable[re.Pattern[str]]) -> str:
    for pattern in patterns:
        text = pattern.sub(_HIDDEN, text)
    return text
