"""Which real broker accounts may hold something of ours: a file per account, made before its first order.

    <state>/live/BROKER:LOGIN

`tradebus kill` closes those out, and no other login at a real broker; execution goes on after a restart only there.
"""

from pathlib import Path

from tradebus.kernel.errors import InvalidInput

FOLDER = "live"


class LiveAccounts:
    """Of one state folder. Looks each time."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER

    def mark(self, account: str) -> None:
        """Raises InvalidInput where it cannot be kept: then nothing may be sent."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self._folder / account).touch(mode=0o600)
        except OSError as error:
            raise InvalidInput(f"{self._folder / account}: cannot be made: {error.strerror}") from error

    def has_login(self, login: str) -> bool:
        """Whether a login of that name is marked, at whatever broker."""
        return self._folder.is_dir() and any(one.name.partition(":")[2] == login for one in self._folder.iterdir())

    def __contains__(self, account: str) -> bool:
        return (self._folder / account).exists()
