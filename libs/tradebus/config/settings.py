"""Settings every service shares, from the environment or from secret files.

`NAME_FILE` beside `NAME` holds a path whose content is the value (Docker secrets); a value given twice is refused.
Secrets are `SecretStr`: printing a settings object shows stars.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tradebus.kernel.errors import InvalidInput

_SECRETS = (
    "DATABASE_URL", "REDIS_URL", "DATABASE_PASSWORD", "REDIS_PASSWORD", "TRADEBUS_API_TOKEN",
    "TRADEBUS_CREDENTIALS_KEY",
)  # fmt: skip


def default_state_dir() -> Path:
    """The per-user folder for embedded servers, runs and tokens; TRADEBUS_STATE_DIR overrides it.

    Root's is in /var/lib: Postgres never runs as root, and must reach its data without root's home being opened.
    """
    override = os.environ.get("TRADEBUS_STATE_DIR")
    if override:
        return Path(override)
    if sys.platform.startswith("linux") and os.geteuid() == 0:
        return Path("/var/lib/tradebus")
    return Path(platformdirs.user_state_dir("tradebus"))


class ServiceSettings(BaseSettings):
    """What a service needs to stand up. Sub-classes add their own; the environment names are upper case."""

    # An empty variable is one that is not set: compose files can only leave the value out.
    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True)

    database_url: SecretStr = Field(validation_alias="DATABASE_URL")
    redis_url: SecretStr = Field(validation_alias="REDIS_URL")
    database_password: SecretStr | None = Field(default=None, validation_alias="DATABASE_PASSWORD")
    redis_password: SecretStr | None = Field(default=None, validation_alias="REDIS_PASSWORD")
    namespace: str = Field(default="", pattern=r"^[a-z0-9_]{0,40}$", validation_alias="TRADEBUS_NAMESPACE")
    instance: str = Field(default="1", pattern=r"^[a-z0-9_-]{1,40}$", validation_alias="TRADEBUS_INSTANCE")
    health_host: str = Field(default="127.0.0.1", validation_alias="TRADEBUS_HEALTH_HOST")
    health_port: int = Field(default=0, ge=0, le=65_535, validation_alias="TRADEBUS_HEALTH_PORT")
    paced: bool = Field(default=False, validation_alias="TRADEBUS_PACED")
    state_dir: Path = Field(default_factory=default_state_dir, validation_alias="TRADEBUS_STATE_DIR")
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", validation_alias="TRADEBUS_LOG_LEVEL"
    )
    # A supervisor's children end when this process is gone (0: nobody to watch).
    parent_pid: int = Field(default=0, ge=0, validation_alias="TRADEBUS_PARENT_PID")

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: Any) -> Any:
        return {**values, **secrets_from_files(os.environ)} if isinstance(values, dict) else values

    @property
    def database_dsn(self) -> str:
        """The database URL with its password, for the driver only."""
        return with_password(self.database_url.get_secret_value(), self.database_password)

    @property
    def redis_dsn(self) -> str:
        """The Redis URL with its password, for the client only."""
        return with_password(self.redis_url.get_secret_value(), self.redis_password)


def secrets_from_files(environment: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """The values of every NAME_FILE among the known secrets. Raises InvalidInput for an unreadable or doubled one."""
    found: dict[str, str] = {}
    for name in _SECRETS:
        path = environment.get(f"{name}_FILE")
        if not path:
            continue
        if environment.get(name):
            raise InvalidInput(f"{name} and {name}_FILE are both set: keep one")
        try:
            found[name] = Path(path).read_text().strip()
        except OSError as error:
            raise InvalidInput(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
    return found


def with_password(url: str, password: SecretStr | None) -> str:
    """`url` with the password put in, where one is given and the URL has none. What is no URL stays as it is: whoever
    connects with it says so, naming the variable."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if password is None or parts.password:
        return url
    user = parts.username or ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password.get_secret_value(), safe='')}@{host}"))


def without_password(url: str) -> str:
    """`url` as it may be shown: scheme, host, port and path only; nothing of what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    if not parts.scheme or not (parts.netloc or parts.path.startswith("/")):
        return "(not a URL)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


S = TypeVar("S", bound=BaseSettings)
A = TypeVar("A")


def load_settings(model: type[S]) -> S:
    """The settings from the environment. Raises InvalidInput with one line that names every bad variable, no value."""
    return load(model)


def load(model: Callable[[], A]) -> A:
    """The same for whatever reads the environment when it is called."""
    try:
        return model()
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise InvalidInput(f"settings: {problems}. Set them in the environment or a .env file") from None
