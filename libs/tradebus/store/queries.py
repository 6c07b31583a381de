"""Named SQL: statements live in .sql files beside the code that runs them.

-- name: insert_fill
-- Adds one fill; harmless when repeated.
INSERT INTO fills ...
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_HEADER = re.compile(r"^--\s*name:\s*(\S+)\s*$", re.MULTILINE)


@cache
def load_queries(package: str, name: str) -> Mapping[str, str]:
    """The statements of `<name>.sql` in a package, by name. Raises ValueError for a malformed file."""
    return MappingProxyType(
        parse_queries(files(package).joinpath(f"{name.removesuffix('.sql')}.sql").read_text("utf-8"))
    )


def parse_queries(text: str) -> dict[str, str]:
    """Splits a file's text at its `-- name:` lines. Every section holds exactly what was written, trimmed."""
    pieces = _HEADER.split(text)
    if _has_statement(pieces[0]):
        raise ValueError("a statement stands before the first '-- name:' line")
    found: dict[str, str] = {}
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if not name.isidentifier() or name in found:
            raise ValueError(f"query name {name!r} is malformed or there twice")
        if not _has_statement(body):
            raise ValueError(f"query {name!r} is empty")
        found[name] = body.strip().removesuffix(";").rstrip()
    return found


def _has_statement(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in text.splitlines())
