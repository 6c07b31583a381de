"""A login at Dhan and where Dhan is."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tradebus.brokers.common.access.addresses import REST_SCHEMES, SOCKET_SCHEMES, check_address, shown
from tradebus.kernel.errors import InvalidInput

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
            check_address(f"dhan {name}", url, SOCKET_SCHEMES if name in sockets else REST_SCHEMES)
            if urlsplit(url).query:
                raise InvalidInput(f"dhan {name}: {shown(url)} has a query; write the address without it")


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
