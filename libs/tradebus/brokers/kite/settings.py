"""A login at Kite and where Kite is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tradebus.brokers.common.access.addresses import REST_SCHEMES, SOCKET_SCHEMES, check_address, shown
from tradebus.kernel.errors import InvalidInput

BROKER = "kite"


@dataclass(frozen=True, slots=True)
class KiteEndpoints:
    """`rest` takes orders too, so orders come from the address the static-IP rule knows. `login` is for browsers."""

    rest: str = "https://api.kite.trade"
    ticker: str = "wss://ws.kite.trade"
    login: str = "https://kite.zerodha.com/connect/login"

    @classmethod
    def at(cls, url: str) -> "KiteEndpoints":
        """Everything at one address, as a simulator offers it."""
        root = url.rstrip("/")
        return cls(rest=root, ticker=root.replace("http", "ws", 1), login=f"{root}/connect/login")

    def check(self) -> None:
        """Raises InvalidInput where a token would go out unencrypted, or to another place than is written."""
        for name, url, schemes in (
            ("rest", self.rest, REST_SCHEMES),
            ("ticker", self.ticker, SOCKET_SCHEMES),
            ("login", self.login, REST_SCHEMES),
        ):
            check_address(f"kite {name}", url, schemes)
        parts = urlsplit(self.rest)
        if parts.path.strip("/") or parts.query:
            # The SDK joins its own absolute paths on, which would silently replace this one.
            raise InvalidInput(f"kite rest: {shown(self.rest)} has a path; write scheme, host and port only")


@dataclass(frozen=True, slots=True)
class KiteSettings:
    """`refresh` brings a new access token where that can be done without a person; it is asked once per refusal."""

    api_key: str
    api_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    endpoints: KiteEndpoints = field(default_factory=KiteEndpoints)
    refresh: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)
