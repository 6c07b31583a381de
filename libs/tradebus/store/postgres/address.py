"""A database URL in words that may be shown: host, port and database, never user or password."""

from urllib.parse import parse_qsl, urlsplit

from tradebus.kernel.errors import InvalidInput


def describe(database_url: str) -> str:
    """`Postgres at 127.0.0.1:5432, database 'postgres'`, or the folder of its socket file in place of host and port.
    Raises InvalidInput where it is no Postgres URL."""
    try:
        parts = urlsplit(database_url)
        host, port = parts.hostname or "localhost", parts.port or 5432
    except ValueError as error:
        raise InvalidInput(
            "DATABASE_URL: the host or port is malformed; use postgresql://user@host:port/name"
        ) from error
    if parts.scheme not in ("postgresql", "postgres"):
        raise InvalidInput("DATABASE_URL: not a Postgres address; use postgresql://user:password@host:port/name")
    folder = dict(parse_qsl(parts.query)).get("host", "")
    place = folder if folder.startswith("/") else f"{host}:{port}"
    return f"Postgres at {place}, database {parts.path.lstrip('/') or 'postgres'!r}"
