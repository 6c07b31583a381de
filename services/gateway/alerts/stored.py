"""Where alerts go: sinks with their secrets, encrypted at rest in <state>/alerts.

Invariant (tested): nothing of a sink but its name and kind is in an error, a `repr` or a listing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from services.gateway.domain.problems import HIDDEN, could_be_secret
from tradebus.config.brokers import is_http_url
from tradebus.config.sealed import SealedFolder
from tradebus.kernel.errors import InvalidInput, nearest

FOLDER = "alerts"
TELEGRAM_URL: Final = "https://api.telegram.org"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
# What each kind needs, and what it may have besides.
KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "webhook": (("url",), ("header", "header_value")),
    "telegram": (("token", "chat_id"), ("url",)),
    "email": (("host", "sender", "to"), ("port", "user", "password", "security")),
}
SECURITY = ("starttls", "tls", "none")


@dataclass(frozen=True, slots=True)
class AlertSinkConfig:
    """`number` is new each time one is stored: what was told under an earlier one says nothing of this."""

    name: str
    kind: str
    number: str
    fields: Mapping[str, str] = field(repr=False)

    @property
    def key(self) -> str:
        return f"{self.name}:{self.number}"


class AlertSinks:
    """Reads a file each time: `tradebus alerts` changes what a running gateway uses."""

    def __init__(self, state_dir: Path, *, key: SecretStr | None) -> None:
        self._sealed = SealedFolder(state_dir, FOLDER, key=key, what="alert sink", stores="tradebus alerts add")

    def put(self, config: AlertSinkConfig) -> None:
        """Stores or replaces. Raises InvalidInput for a bad name, and where it cannot be written."""
        if not _NAME.fullmatch(config.name):
            raise InvalidInput(f"alerts: {config.name[:40]!r} is no name; write 1 to 32 of a-z, 0-9 and _")
        self._sealed.put(config.name, {"kind": config.kind, "number": config.number, "fields": dict(config.fields)})

    def get(self, name: str) -> AlertSinkConfig:
        """Raises InvalidInput where there is none of that name, or it cannot be opened."""
        content = self._sealed.get(name)
        try:
            return AlertSinkConfig(name, content["kind"], content["number"], dict(content["fields"]))
        except (KeyError, TypeError, ValueError):
            raise self._sealed.unopened(name) from None

    def remove(self, name: str) -> None:
        """Raises InvalidInput where there is none of that name."""
        self._sealed.remove(name)

    def names(self) -> list[str]:
        return self._sealed.names()


def read_sink(name: str, content: Any, *, number: str, at: str) -> AlertSinkConfig:
    """A sink as its file says it; `at` is the file. Raises InvalidInput naming every field that is wrong."""
    if not isinstance(content, dict):
        raise InvalidInput(f'{at}: must be a JSON object, such as {{"kind": "webhook", "url": "https://…"}}')
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidInput(f"{at}: kind: must be one of {', '.join(KINDS)}")
    needed, optional = KINDS[kind]
    problems = [f"{one}: is missing" for one in needed if one not in content]
    for one, value in content.items():
        if one == "kind":
            continue
        if one not in (*needed, *optional):
            shown = HIDDEN if could_be_secret(one) else repr(one)
            problems.append(f"{shown}: unknown field{nearest(one, (*needed, *optional))}")
        elif not isinstance(value, str) or not value or not value.isprintable():
            problems.append(f"{one}: must be text in quotes that is not empty")
    fields = {one: value for one, value in content.items() if one != "kind" and isinstance(value, str)}
    problems += _wrong(fields)
    if problems:
        raise InvalidInput(f"{at}: {'; '.join(problems)}")
    return AlertSinkConfig(name, kind, number, fields)


def _wrong(fields: Mapping[str, str]) -> list[str]:
    found = []
    if "url" in fields and not is_http_url(fields["url"]):
        found.append("url: must be an address that begins with https:// or http://")
    if "port" in fields and not (fields["port"].isdigit() and 0 < int(fields["port"]) < 65_536):
        found.append('port: must be a port, in quotes: "587"')
    if fields.get("security", "tls") not in SECURITY:
        found.append(f"security: must be one of {', '.join(SECURITY)}")
    if ("header" in fields) != ("header_value" in fields):
        found.append("header and header_value: give both or none")
    if ("user" in fields) != ("password" in fields):
        found.append("user and password: give both or none")
    return found
