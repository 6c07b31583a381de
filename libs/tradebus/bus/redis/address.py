"""What a Redis URL says, read as redis-py reads it, which is held to it in tests: to import that client for its reading
is an eighth of a service's start."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlparse


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`path` is a socket's file; `tls` has the names of files that the URL gives (ssl_ca_certs, …) where it is
    encrypted, None where it is not."""

    host: str | None = None
    port: int | None = None
    path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    tls: dict[str, str] | None = None


def address_of(redis_url: str) -> RedisAddress:
    """Raises ValueError, whose text may hold the password, where it is no redis://, rediss:// or unix:// address."""
    parts = urlparse(redis_url)
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    database = int(options["db"]) if "db" in options else None
    if parts.scheme == "unix":
        path = unquote(parts.path) or None
        return RedisAddress(path=path, username=username, password=password, database=database or 0)
    if parts.scheme not in ("redis", "rediss"):
        raise ValueError(f"scheme {parts.scheme!r}")
    if database is None:
        try:
            database = int(unquote(parts.path).replace("/", ""))
        except ValueError:
            database = 0
    return RedisAddress(
        host=unquote(parts.hostname) if parts.hostname else None,
        port=parts.port or None,
        username=username,
        password=password,
        database=database,
        tls=options if parts.scheme == "rediss" else None,
    )
