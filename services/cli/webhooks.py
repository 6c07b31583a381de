"""`tradebus webhook`: the stored sources. No secret is printed, and none is taken from the command line."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from services.cli.output import print_json
from services.cli.place import credentials_key, state_dir
from services.gateway.domain.body import user_id_problem
from services.gateway.hooks.sources import WebhookSource, WebhookSources
from tradebus.kernel.errors import InvalidInput


def stored_sources() -> WebhookSources:
    """Those of the state folder, opened with TRADEBUS_CREDENTIALS_KEY where it is set."""
    return WebhookSources(state_dir(), key=credentials_key())


def add_source(name: str, *, user: str, secret_file: Path, per_minute: int, plain: bool, json: bool) -> None:
    """Raises InvalidInput for a bad name, user or secret, and a file that can be neither read nor made."""
    problem = user_id_problem(user)
    if problem is not None:
        raise InvalidInput(f"--user: {problem}")
    path = secret_file.expanduser()
    secret, made = _secret(path)
    stored_sources().put(WebhookSource(name, user, per_minute, secret, signs=not plain))
    if json:
        print_json(
            {"command": "webhook add", "name": name, "user_id": user, "per_minute": per_minute, "signs": not plain,
             "made": made}
        )  # fmt: skip
        return
    where = f"its secret was made in {path}: give it to the program, then remove the file" if made else "stored"
    way = ", without signing" if plain else ""
    print(f"webhook {name} may signal to user {user}, {per_minute} times a minute{way}; {where}")


def list_sources(*, json: bool) -> None:
    """Each with its user and its pace. Raises InvalidInput for one that cannot be opened."""
    kept = stored_sources()
    found = [one for name in kept.names() if (one := kept.find(name)) is not None]
    rows = [
        {"name": one.name, "user_id": one.user_id, "per_minute": one.per_minute, "signs": one.signs} for one in found
    ]
    if json:
        print_json({"command": "webhook list", "webhooks": rows})
        return
    for row in rows:
        way = "" if row["signs"] else ", without signing"
        print(f"{row['name']}: to user {row['user_id']}, {row['per_minute']} a minute{way}")
    if not rows:
        print("no program may signal: `tradebus webhook add` lets one")


def remove_source(name: str, *, json: bool) -> None:
    """Raises InvalidInput where there is none of that name."""
    stored_sources().remove(name)
    if json:
        print_json({"command": "webhook remove", "name": name})
        return
    print(f"webhook {name} is removed: nothing more is taken from it")


def _secret(path: Path) -> tuple[SecretStr, bool]:
    """Of the file; made there, for its owner alone, where there is none. Whether it was made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path), False
    except OSError as error:
        raise InvalidInput(f"--secret-file {path}: cannot be made ({error.strerror})") from error
    made = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(made + "\n")
    return SecretStr(made), True


def _read(path: Path) -> SecretStr:
    try:
        return SecretStr(path.read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise InvalidInput(f"--secret-file {path}: cannot be read ({reason})") from error
