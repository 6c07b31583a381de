"""Where the brokers are, and what opens the stored logins: settings that every service shares that talks to one.

A URL points a whole broker (REST and sockets) at one address, which is what the sandbox offers; empty means the broker
itself. Only a loopback address counts as a sandbox.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from tradebus.config.settings import ServiceSettings
from tradebus.kernel.clock import Clock, ScaledClock

BROKER_NAMES = ("kite", "dhan", "upstox")
# What says where the brokers are, and where in time their market is.
BROKER_VARIABLES = (*(f"TRADEBUS_{name.upper()}_URL" for name in BROKER_NAMES), "TRADEBUS_MARKET_CLOCK")


class MarketSettings(ServiceSettings):
    """Where the market's clock stands: TRADEBUS_MARKET_CLOCK."""

    # A sandbox's market may lie elsewhere in time and run faster: "<event ns>@<wall ns>x<speed>". Empty: it is now.
    market_clock: str = Field(default="", pattern=r"^(\d+@\d+x\d+(\.\d+)?)?$", validation_alias="TRADEBUS_MARKET_CLOCK")

    def clock_of_market(self, clock: Clock) -> tuple[Clock, float]:
        """The market's clock, and how many times faster than `clock` it runs."""
        if not self.market_clock:
            return clock, 1.0
        event, _, rest = self.market_clock.partition("@")
        wall, _, speed = rest.partition("x")
        return ScaledClock(clock, event_ns=int(event), wall_ns=int(wall), speed=float(speed)), float(speed)


class BrokerSettings(MarketSettings):
    """The environment: TRADEBUS_KITE_URL, …, and TRADEBUS_CREDENTIALS_KEY (or its _FILE)."""

    kite_url: str = Field(default="", validation_alias="TRADEBUS_KITE_URL")
    dhan_url: str = Field(default="", validation_alias="TRADEBUS_DHAN_URL")
    upstox_url: str = Field(default="", validation_alias="TRADEBUS_UPSTOX_URL")
    credentials_key: SecretStr | None = Field(default=None, validation_alias="TRADEBUS_CREDENTIALS_KEY")
    # The address that is registered for orders at the brokers, several with commas; and who tells from which address
    # we come: anything that answers a GET with the caller's address alone.
    static_ip: str = Field(default="", validation_alias="TRADEBUS_STATIC_IP")
    address_echo_url: str = Field(default="https://api.ipify.org", validation_alias="TRADEBUS_ADDRESS_ECHO_URL")

    @field_validator("kite_url", "dhan_url", "upstox_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not is_http_url(value):
            raise ValueError("must be an address such as http://127.0.0.1:9401, or empty for the broker itself")
        return value.rstrip("/")

    @field_validator("static_ip")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for part in filter(None, (part.strip() for part in value.split(","))):
            ipaddress.ip_address(part)
        return value

    @property
    def static_addresses(self) -> frozenset[str]:
        """Those of TRADEBUS_STATIC_IP, in their usual form."""
        parts = filter(None, (part.strip() for part in self.static_ip.split(",")))
        return frozenset(str(ipaddress.ip_address(part)) for part in parts)

    @property
    def broker_urls(self) -> Mapping[str, str]:
        """By broker; "" where the broker itself is meant."""
        return {"kite": self.kite_url, "dhan": self.dhan_url, "upstox": self.upstox_url}

    @property
    def sandboxed(self) -> frozenset[str]:
        """The brokers whose orders go to a sandbox on this machine."""
        return frozenset(name for name, url in self.broker_urls.items() if is_loopback(url))


def is_http_url(url: str) -> bool:
    """Whether it is an http(s) address with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_loopback(url: str) -> bool:
    """Whether the address is of this machine, told by the address itself: a name could be pointed anywhere."""
    host = urlsplit(url).hostname if is_http_url(url) else None
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
