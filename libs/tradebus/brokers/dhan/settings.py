"""A login at Dhan and where Dhan is."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tradebus.kernel.errors import InvalidInput

_ENCRYPTED, _PLAIN = ("https", "wss"), ("http", "ws")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# Anything else would be refused by the HTTP client in words that repeat it.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]*")


@dataclass(frozen=True, slots=True)
class DhanEndpoints:
    """`rest` takes orders too, so orders come from the address the static-IP rule knows. `login` serves the consent
    flow, `master` is the detailed instrument list."""

    rest: str = "https://api.dhan.co/v2"
    feed: str = "wss://api-feed.dhan.co"
    order_updates: str = "wss://api-order-update.dhan.co"
    login: str = "https://auth.dhan.co"
    master: str = "https://images.dhan.co/api-data/api-scrip-master-detailed.csv"

    @classmethod
    def at(cls, url: str) -> "DhanEndpoints":
        """All of it at one address (a simulator), http://HOST:PORT."""
        base = url.rstrip("/")
        socket = base.replace("http", "ws", 1)
        return cls(
            rest=f"{base}/v2", feed=f"{socket}/", order_updates=f"{socket}/orders", login=base,
            master=f"{base}/api-data/api-scrip-master-detailed.csv",
        )  # fmt: skip

    def check(self) -> None:
        """Raises InvalidInput where a token would go out unencrypted, or where an address is none."""
        sockets = ("feed", "order_updates")
        for name in ("rest", "feed", "order_updates", "login", "master"):
            url: str = getattr(self, name)
            parts = urlsplit(url)
            known = (_ENCRYPTED[1], _PLAIN[1]) if name in sockets else (_ENCRYPTED[0], _PLAIN[0])
            if parts.scheme not in known or not parts.hostname or parts.username is not None or parts.query:
                raise InvalidInput(f"dhan {name}: {_shown(url)} is no {known[0]}:// address")
            if parts.scheme in _PLAIN and not _is_near(parts.hostname):
                raise InvalidInput(
                    f"dhan {name}: {_shown(url)} is not encrypted; only a simulator on this machine or in this network "
                    f"may be reached without TLS, write {known[0]}://"
                )


@dataclass(frozen=True, slots=True)
class DhanSettings:
    """`api_key` and `api_secret` are the app's, for the consent login only; a secret without a
    key may hold both, KEY:SECRET. `refresh` brings a new access token where
    that can be done without a person; it is asked once per refusal."""

    client_id: str
    access_token: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    endpoints: DhanEndpoints = field(default_factory=DhanEndpoints)
    refresh: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)

    def check(self) -> None:
        """Raises InvalidInput that names the field and never repeats its value."""
        self.endpoints.check()
        if not self.client_id:
            raise InvalidInput("dhan client_id: is missing; Dhan shows it in your profile")
        for name in ("client_id", "access_token", "api_key", "api_secret"):
            check_header(name, getattr(self, name))


def check_header(name: str, value: str) -> None:
    """Raises InvalidInput for what cannot stand in an HTTP header."""
    if not _HEADER_SAFE.fullmatch(value):
        raise InvalidInput(f"dhan {name}: holds a space, a line break or a character that is not ASCII; copy it again")


def _is_near(host: str) -> bool:
    """This machine, or a name without a dot: a service of the same private network (compose)."""
    return host in _LOOPBACK or ("." not in host and ":" not in host)


def _shown(url: str) -> str:
    """Without a query or user name, which may hold secrets."""
    return repr(url.partition("?")[0].rpartition("@")[2][:80])
