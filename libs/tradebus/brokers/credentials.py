"""Logins at brokers, encrypted at rest (Fernet: AES-128-CBC with HMAC-SHA256).

    <state>/credentials/NAME     one token of Fernet, a JSON object inside; 0600 in a 0700 folder
    <state>/credentials.key      made on first use, 0600; TRADEBUS_CREDENTIALS_KEY goes before it

A command or session names a login and never carries one. Invariants (tested): what was put is what is got; nothing of
a login is in its file, in its `repr` or in an error; a file of another key, or an altered one, is refused and named.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from tradebus.kernel.errors import InvalidInput, nearest

KEY_FILE = "credentials.key"
FOLDER = "credentials"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,127}")


@dataclass(frozen=True, slots=True)
class Credential:
    """One login. `client_id` is the broker's public name for it: an API key (Kite, Upstox), a client id (Dhan)."""

    broker: str
    client_id: str = ""
    api_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    account: str = ""  # whose, as the broker calls them, where that is known

    def renewed(self, access_token: str) -> "Credential":
        return replace(self, access_token=access_token)


class Credentials:
    """The store in one state folder. Reads the file each time: `tradebus login` renews what a service uses."""

    def __init__(self, state_dir: Path, *, key: SecretStr | None = None) -> None:
        self._folder, self._key_file, self._key = state_dir / FOLDER, state_dir / KEY_FILE, key

    def put(self, name: str, credential: Credential) -> None:
        """Stores or replaces. Raises InvalidInput for a bad name, or a folder that cannot be written."""
        path = self._path(name)
        body = self._fernet(make=True).encrypt(json.dumps(asdict(credential)).encode())
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_private(path, body)
        except OSError as error:
            raise InvalidInput(f"{path}: cannot keep the login there: {error.strerror}") from error

    def get(self, name: str) -> Credential:
        """Raises InvalidInput where there is none of that name, or it cannot be opened."""
        path = self._path(name)
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            raise InvalidInput(
                f"credential {name!r} is not stored here{nearest(name, self.names())}; `tradebus login` stores one"
            ) from None
        except OSError as error:
            raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from error
        try:
            return Credential(**json.loads(self._fernet(make=False).decrypt(body)))
        except (InvalidToken, ValueError, TypeError):
            raise InvalidInput(
                f"credential {name!r} cannot be opened: it was stored with another key, or altered. Give the key of "
                "then (TRADEBUS_CREDENTIALS_KEY_FILE), or store it again with `tradebus login`"
            ) from None

    def names(self) -> list[str]:
        """What is stored, by name."""
        return sorted(path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name)) if (
            self._folder.is_dir()
        ) else []  # fmt: skip

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or ".." in name:
            raise InvalidInput(f"credential: {name[:40]!r} is no name; write 1 to 128 letters, digits or . _ @ : -")
        return self._folder / name

    def _fernet(self, *, make: bool) -> Fernet:
        text = self._key.get_secret_value() if self._key is not None else self._key_in_file(make=make)
        try:
            return Fernet(text)
        except ValueError:
            where = "TRADEBUS_CREDENTIALS_KEY" if self._key is not None else str(self._key_file)
            raise InvalidInput(f"{where}: holds no key of 32 bytes in URL-safe base64") from None

    def _key_in_file(self, *, make: bool) -> str:
        try:
            if make and not self._key_file.exists():
                self._key_file.parent.mkdir(parents=True, exist_ok=True)
                _write_private(self._key_file, Fernet.generate_key(), once=True)
            return self._key_file.read_text().strip()
        except OSError as error:
            raise InvalidInput(
                f"{self._key_file}: cannot be read or made ({error.strerror}); it opens the stored logins"
            ) from error


def _write_private(path: Path, body: bytes, *, once: bool = False) -> None:
    """Writes a file only its owner can read, whole or not at all; `once` leaves one that is there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
    place: Callable[[Path], object] = path.hardlink_to if once else draft.replace
    try:
        place(draft if once else path)
    except FileExistsError:
        pass  # another process was first: its key stands
    finally:
        draft.unlink(missing_ok=True)
