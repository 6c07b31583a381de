"""Addresses that a token may go to."""

from urllib.parse import urlsplit

from tradebus.kernel.errors import InvalidInput

REST_SCHEMES, SOCKET_SCHEMES = ("https", "http"), ("wss", "ws")
_PLAIN = {"http", "ws"}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def check_address(name: str, url: str, schemes: tuple[str, str]) -> None:
    """`schemes`: the encrypted one and the plain one, which only a simulator near by may have. Raises InvalidInput."""
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
        raise InvalidInput(f"{name}: {shown(url)} is no {schemes[0]}:// address")
    if parts.scheme in _PLAIN and not _is_near(parts.hostname):
        raise InvalidInput(
            f"{name}: {shown(url)} is not encrypted; only a simulator on this machine or in this network may be "
            f"reached without TLS, write {schemes[0]}://"
        )


def is_here(url: str) -> bool:
    """Whether the address is of this machine: no proxy of the environment may come between."""
    host = urlsplit(url).hostname or ""
    return host in _LOOPBACK or host.startswith("127.")


def shown(url: str) -> str:
    """Without a query or user name, which may hold secrets."""
    return repr(url.partition("?")[0].rpartition("@")[2][:80])


def _is_near(host: str) -> bool:
    """This machine, or a name without a dot: a service of the same private network (compose)."""
    return host in _LOOPBACK or ("." not in host and ":" not in host)
