"""What is secret at rest, encrypted (Fernet: AES-128-CBC with HMAC-SHA256): a folder of files, one for each name.

    <state>/<folder>/NAME        one token of Fernet, a JSON object inside; 0600 in a 0700 folder
    <state>/credentials.key      made on first use, 0600; TRADEBUS_CREDENTIALS_KEY goes before it

Invariants (tested): what was put is what is got; nothing of it is in its file or in an error; a file of another key, or
an altered one, is refused and named.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from tradebus.kernel.errors import InvalidInput, nearest

KEY_FILE = "credentials.key"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,127}")


class SealedFolder:
    """Reads a file each time it is asked: a command renews what a service uses. `what` it holds, and the command that
    `stores` one, are for people."""

    def __init__(self, state_dir: Path, folder: str, *, key: SecretStr | None, what: str, stores: str) -> None:
        self._folder, self._key_file, self._key = state_dir / folder, state_dir / KEY_FILE, key
        self._what, self._stores = what, stores

    def put(self, name: str, content: Mapping[str, Any]) -> None:
        """Stores or replaces. Raises InvalidInput for a bad name, or a folder that cannot be written."""
        path = self._path(name)
        body = self._fernet(make=True).encrypt(json.dumps(dict(content)).encode())
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_private(path, body)
        except OSError as error:
            raise InvalidInput(f"{path}: cannot keep the {self._what} there: {error.strerror}") from error

    def get(self, name: str) -> dict[str, Any]:
        """Raises InvalidInput where there is none of that name, or it cannot be opened."""
        path = self._path(name)
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            raise InvalidInput(
                f"{self._what} {name!r} is not stored here{nearest(name, self.names())}; `{self._stores}` stores one"
            ) from None
        except OSError as error:
            raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from error
        try:
            found = json.loads(self._fernet(make=False).decrypt(body))
        except (InvalidToken, ValueError):
            raise self.unopened(name) from None
        if not isinstance(found, dict):
            raise self.unopened(name)
        return found

    def unopened(self, name: str) -> InvalidInput:
        """What is said of one that does not hold what it should."""
        return InvalidInput(
            f"{self._what} {name!r} cannot be opened: it was stored with another key, or altered. Give the key of "
            f"then (TRADEBUS_CREDENTIALS_KEY_FILE), or store it again with `{self._stores}`"
        )

    def remove(self, name: str) -> None:
        """Raises InvalidInput where there is none of that name, or it cannot be removed."""
        path = self._path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise InvalidInput(f"{self._what} {name!r} is not stored here{nearest(name, self.names())}") from None
        except OSError as error:
            raise InvalidInput(f"{path}: cannot be removed: {error.strerror}") from error

    def names(self) -> list[str]:
        """What is stored, by name."""
        return sorted(path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name)) if (
            self._folder.is_dir()
        ) else []  # fmt: skip

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or ".." in name:
            raise InvalidInput(f"{self._what}: {name[:40]!r} is no name; write 1 to 128 letters, digits or . _ @ : -")
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
                f"{self._key_file}: cannot be read or made ({error.strerror}); it opens what is stored encrypted"
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
