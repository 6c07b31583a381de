"""Logins at brokers, encrypted at rest in <state>/credentials (`tradebus.config.sealed`).

A command or session names a login and never carries one. Invariants (tested): what was put is what is got; nothing of
a login is in its file, in its `repr` or in an error; a file of another key, or an altered one, is refused and named.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import SecretStr

from tradebus.config.sealed import KEY_FILE, SealedFolder

__all__ = ["FOLDER", "KEY_FILE", "Credential", "Credentials"]
FOLDER = "credentials"


@dataclass(frozen=True, slots=True)
class Credential:
    """One login. `client_id` is the broker's public name for it: an API key (Kite, Upstox), a client id (Dhan);
    `pin` and `totp_seed` log in without a browser, where the broker has that."""

    broker: str
    client_id: str = ""
    api_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    account: str = ""  # whose, as the broker calls them, where that is known
    pin: str = field(default="", repr=False)
    totp_seed: str = field(default="", repr=False)

    def renewed(self, access_token: str) -> "Credential":
        return replace(self, access_token=access_token)


class Credentials:
    """The store in one state folder. Reads the file each time: `tradebus login` renews what a service uses."""

    def __init__(self, state_dir: Path, *, key: SecretStr | None = None) -> None:
        self._sealed = SealedFolder(state_dir, FOLDER, key=key, what="credential", stores="tradebus login")

    def put(self, name: str, credential: Credential) -> None:
        """Stores or replaces. Raises InvalidInput for a bad name, or a folder that cannot be written."""
        self._sealed.put(name, asdict(credential))

    def get(self, name: str) -> Credential:
        """Raises InvalidInput where there is none of that name, or it cannot be opened."""
        content = self._sealed.get(name)
        try:
            return Credential(**content)
        except TypeError:
            raise self._sealed.unopened(name) from None

    def names(self) -> list[str]:
        """What is stored, by name."""
        return self._sealed.names()

    def __contains__(self, name: str) -> bool:
        return name in self._sealed
