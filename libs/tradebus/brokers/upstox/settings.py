"""A login at Upstox and where Upstox is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tradebus.brokers.common.access.addresses import REST_SCHEMES, check_address, shown
from tradebus.kernel.errors import InvalidInput

BROKER = "upstox"
_DUMPS = "/market-quote/instruments/exchange"


@dataclass(frozen=True, slots=True)
class UpstoxEndpoints:
    """`orders` is a host of its own: orders go there and nowhere else. `login` is for browsers. The sockets have no
    address here: `rest` hands out a new one for each connection."""

    rest: str = "https://api.upstox.com"
    orders: str = "https://api-hft.upstox.com"
    instruments: str = f"https://assets.upstox.com{_DUMPS}"
    login: str = "https://api.upstox.com/v2/login/authorization/dialog"

    @classmethod
    def at(cls, url: str) -> "UpstoxEndpoints":
        """Everything at one address, as a simulator offers it."""
        root = url.rstrip("/")
        return cls(rest=root, orders=root, instruments=f"{root}{_DUMPS}", login=f"{root}/v2/login/authorization/dialog")

    def check(self) -> None:
        """Raises InvalidInput where a token would go out unencrypted, or to another place than is written."""
        for name in ("rest", "orders", "instruments", "login"):
            url: str = getattr(self, name)
            check_address(f"upstox {name}", url, REST_SCHEMES)
            if name in ("rest", "orders") and (urlsplit(url).path or urlsplit(url).query):
                raise InvalidInput(f"upstox {name}: {shown(url)} has a path; write scheme, host and port only")


@dataclass(frozen=True, slots=True)
class UpstoxSettings:
    """`refresh` brings a new access token where that can be done without a person; it is asked once per refusal.
    `redirect_uri` is what the app was registered with. `plus`: the account has Upstox Plus (30 levels of depth)."""

    api_key: str
    api_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    redirect_uri: str = "https://127.0.0.1"
    endpoints: UpstoxEndpoints = field(default_factory=UpstoxEndpoints)
    plus: bool = False
    refresh: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)
