"""What the gateway needs beside what every service needs."""

import os
import secrets
from pathlib import Path

from pydantic import Field, SecretStr

from tradebus.config.brokers import BrokerSettings
from tradebus.contracts.streams import COMMAND_INBOX
from tradebus.kernel.errors import InvalidInput
from tradebus.store.books.kill_switch import KILL_FILE

TOKEN_FILE = "api_token"  # noqa: S105 - the name of the file, in the state folder


class GatewaySettings(BrokerSettings):
    host: str = Field(default="127.0.0.1", validation_alias="TRADEBUS_GATEWAY_HOST")
    port: int = Field(default=8000, ge=0, le=65_535, validation_alias="TRADEBUS_GATEWAY_PORT")
    api_token: SecretStr | None = Field(default=None, validation_alias="TRADEBUS_API_TOKEN")
    # Where the other services answer /readyz, for /api/health: {"risk": "http://127.0.0.1:9103"}.
    service_urls: dict[str, str] = Field(default_factory=dict, validation_alias="TRADEBUS_SERVICE_URLS")
    # External applications, with commas or blanks: each may have a stream of commands of its own.
    applications: str = Field(
        default="app", pattern=r"^[ ,]*([a-z][a-z0-9_]{0,39}([ ,]+|$))*$", validation_alias="TRADEBUS_APPLICATIONS"
    )
    # So long a user's strategy file may take to load when a START names it.
    strategy_check_seconds: float = Field(default=10.0, gt=0, validation_alias="TRADEBUS_STRATEGY_CHECK_SECONDS")
    # The most that a live session may lose in a day, in R, whatever it asks for; a session that says none has it.
    daily_max_loss_r: float | None = Field(default=None, gt=0, le=1_000, validation_alias="DAILY_MAX_LOSS_R")
    # Sessions that begin and end by the clock: a JSON file.
    schedules: Path | None = Field(default=None, validation_alias="TRADEBUS_SCHEDULES")
    session_start_timeout_seconds: float = Field(default=30.0, gt=0, validation_alias="TRADEBUS_SESSION_START_TIMEOUT")

    @property
    def command_streams(self) -> list[str]:
        """Where commands wait durably: everybody's stream, and each application's."""
        names = sorted(set(self.applications.replace(",", " ").split()))
        return [COMMAND_INBOX.name, *(f"{COMMAND_INBOX.name}.{name}" for name in names)]

    @property
    def kill_file(self) -> Path:
        return self.state_dir / KILL_FILE


def api_token(state_dir: Path, given: SecretStr | None) -> SecretStr:
    """The token callers must show: the given one, else the one in the state folder, made there on first use (0600).

    Raises InvalidInput for a token too short to be one, or a folder that cannot be written.
    """
    if given is not None:
        if len(given.get_secret_value()) < 16:
            raise InvalidInput("TRADEBUS_API_TOKEN: give at least 16 characters, or unset it to have one made")
        return given
    path = state_dir / TOKEN_FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        _create_once(path, secrets.token_urlsafe(32))
        token = path.read_text().strip()
    except OSError as error:
        raise InvalidInput(f"{path}: cannot keep the API token there: {error.strerror}") from error
    if len(token) < 16:
        raise InvalidInput(f"{path}: holds no usable token; remove the file to have a new one made")
    return SecretStr(token)


def _create_once(path: Path, text: str) -> None:
    """Writes a file only its owner can read, whole or not at all; leaves one that is there."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    try:
        os.link(draft, path)  # fails where another gateway was first: its token stands
    except FileExistsError:
        pass
    finally:
        draft.unlink()
