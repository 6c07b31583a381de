"""Structured logs on stderr: one JSON object a line, secrets replaced by stars."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO, cast

import structlog

_SECRET_KEYS = re.compile(r"token|password|secret|authorization|credential", re.IGNORECASE)
# To the last @ before a slash or space: a password may hold one itself.
_URL_PASSWORD = re.compile(r"(://[^:/@\s]*):[^/\s]+@")
_QUERY_SECRET = re.compile(r"([?&;][\w.-]*(?:token|password|secret|api_key)[\w.-]*=)[^&;\s]+", re.IGNORECASE)
STARS = "***"


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces the values of secret-looking keys, at any depth, and secrets inside URLs wherever they stand."""
    for key, value in event.items():
        event[key] = _redacted(value, key)
    return event


def _redacted(value: Any, key: object = None) -> Any:
    if value is None:
        return None
    if isinstance(key, str) and _SECRET_KEYS.search(key):
        return STARS
    if isinstance(value, str):
        return _QUERY_SECRET.sub(rf"\1{STARS}", _URL_PASSWORD.sub(rf"\1:{STARS}@", value))
    if isinstance(value, Mapping):
        return {name: _redacted(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner) for inner in value]
    return value


class _Stderr:
    """Standard error as it is when something is written: whoever replaces or closes it later takes no log down."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(service: str, *, level: str) -> None:
    """Sets structlog up for this process. Standard-library loggers of libraries stay at WARNING, on stderr too."""
    logging.basicConfig(stream=_Stderr(), level=logging.WARNING, format="%(name)s %(levelname)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
