"""Namespaces: one Postgres schema each, so that several runs share a server without meeting."""

import re

from tradebus.kernel.errors import InvalidInput

SCHEMA = "tradebus"
_VALID = re.compile(r"[a-z0-9_]{0,40}")


def schema_name(namespace: str) -> str:
    """`tradebus` for "", `tradebus_demo` for "demo". Raises InvalidInput for a name that needs quoting."""
    if not _VALID.fullmatch(namespace):
        raise InvalidInput(f"namespace {namespace!r}: use at most 40 of a-z, 0-9 and _")
    return f"{SCHEMA}_{namespace}" if namespace else SCHEMA


def namespace_of(schema: str) -> str | None:
    """The inverse of schema_name; None for a schema that is not ours."""
    if schema == SCHEMA:
        return ""
    prefix = f"{SCHEMA}_"
    return schema.removeprefix(prefix) if schema.startswith(prefix) else None
