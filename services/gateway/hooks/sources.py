"""Programs that may signal: each with a secret of its own, encrypted at rest in <state>/webhooks.

Invariant (tested): a secret is in no error, no `repr` and no file but its own, where it cannot be read.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from services.gateway.domain.asked_orders import SOURCE
from tradebus.config.sealed import SealedFolder
from tradebus.kernel.errors import InvalidInput

FOLDER = "webhooks"
SECRET_LETTERS_MIN = 32
PER_MINUTE_MAX = 600


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """A program, the user whose session it signals to, and how often it may in a minute. One that `signs` is heard by
    its signature alone, another by the secret in what it sends."""

    name: str
    user_id: str
    per_minute: int
    secret: SecretStr
    signs: bool = True


class WebhookSources:
    """Reads the file each time: `tradebus webhook` changes what a running gateway uses."""

    def __init__(self, state_dir: Path, *, key: SecretStr | None) -> None:
        self._sealed = SealedFolder(state_dir, FOLDER, key=key, what="webhook", stores="tradebus webhook add")

    def put(self, source: WebhookSource) -> None:
        """Stores or replaces. Raises InvalidInput for a bad name or a short secret, and where it cannot be written."""
        if not SOURCE.fullmatch(source.name):
            raise InvalidInput(
                f"webhook: {source.name[:40]!r} is no name; write 1 to 32 of a-z, 0-9 and _, a letter first"
            )
        secret = source.secret.get_secret_value()
        if len(secret) < SECRET_LETTERS_MIN:
            raise InvalidInput(f"webhook {source.name}: its secret must have at least {SECRET_LETTERS_MIN} characters")
        self._sealed.put(
            source.name,
            {
                "user_id": source.user_id, "per_minute": source.per_minute, "secret": secret, "signs": source.signs,
            },
        )  # fmt: skip

    def find(self, name: str) -> WebhookSource | None:
        """None where there is none of that name. Raises InvalidInput where it cannot be opened."""
        if not SOURCE.fullmatch(name) or name not in self._sealed:
            return None
        content = self._sealed.get(name)
        try:
            return WebhookSource(
                name, str(content["user_id"]), int(content["per_minute"]), SecretStr(content["secret"]),
                content.get("signs", True) is not False,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError):
            raise self._sealed.unopened(name) from None

    def remove(self, name: str) -> None:
        """Raises InvalidInput where there is none of that name."""
        self._sealed.remove(name)

    def names(self) -> list[str]:
        return self._sealed.names()
