"""Keeps secrets out of every text that leaves an adapter: errors, events, logs."""

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_HIDDEN = "***"
_SHORTEST = 4  # shorter values would blot out ordinary words


class Redactor:
    """Knows the secrets of one login. Invariant (tested): no secret it was told is in what `text` returns."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Adds a secret, also in the forms it takes inside a URL."""
        forms = {secret, quote(secret, safe=""), quote_plus(secret)}
        self._secrets = sorted({*self._secrets, *(form for form in forms if len(form) >= _SHORTEST)}, key=len)[::-1]

    def text(self, value: object) -> str:
        """The value's text with every known secret replaced by stars."""
        shown = str(value)
        for secret in self._secrets:
            shown = shown.replace(secret, _HIDDEN)
        return shown
