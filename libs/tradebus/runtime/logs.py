"""Structured logs on stderr: one JSON object a line, secrets replaced by stars."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_KEYS = re.compile(r"token|password|secret|authorization|credential", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@/\s]+@")
STARS = "***"


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces the values of secret-looking keys, and passwords inside URLs wherever they stand."""
    for key, value in event.items():
        if _SECRET_KEYS.search(key) and value is not None:
            event[key] = STARS
        elif isinstance(value, str):
            event[key] = _URL_PASSWORD.sub(rf"\1:{STARS}@", value)
    return event


def configure_logs(service: str, *, level: str) -> None:
    """Sets structlog up for this process. Standard-library loggers of libraries stay at WARNING, on stderr too."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s %(levelname)s %(message)s")
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
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
