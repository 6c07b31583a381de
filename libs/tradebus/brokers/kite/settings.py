"""A login at Kite and where Kite is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tradebus.kernel.errors import InvalidInput

BROKER = "kite"
_PLAIN = {"http", "ws"}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


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
            ("rest", self.rest, ("https", "http")),
            ("ticker", self.ticker, ("wss", "ws")),
            ("login", self.login, ("https", "http")),
        ):
            parts = urlsplit(url)
            if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
                raise InvalidInput(f"kite {name}: {_shown(url)} is no {schemes[0]}:// address")
            if parts.scheme in _PLAIN and not _is_near(parts.hostname):
                raise InvalidInput(
                    f"kite {name}: {_shown(url)} is not encrypted; only a simulator on this machine or in this network "
                    f"may be reached without TLS, write {schemes[0]}://"
                )
            if name == "rest" and (parts.path.strip("/") or parts.query):
                # The SDK joins its own absolute paths on, which would silently replace this one.
                raise InvalidInput(f"kite rest: {_shown(url)} has a path; write scheme, host and port only")


@dataclass(frozen=True, slots=True)
class KiteSettings:
    """`refresh` brings a new access token where that can be done without a person; it is asked once per refusal."""

    api_key: str
    api_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    endpoints: KiteEndpoints = field(default_factory=KiteEndpoints)
    refresh: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)


def _is_near(host: str) -> bool:
    """This machine, or a name without a dot: a service of the same private network (compose)."""
    return host in _LOOPBACK or ("." not in host and ":" not in host)


def _shown(url: str) -> str:
    """Without a query or user name, which may hold secrets."""
    return repr(url.partition("?")[0].rpartition("@")[2][:80])
