"""Opens a broker by its name: whoever trades or reads prices knows the ports, never an adapter.

    credential + address ─► open_broker("kite", …) ─► Broker: feed · orders · updates · reference · account · session

An adapter's package, and with it the broker's SDK, is imported when it is opened and not before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from tradebus.brokers.account import BrokerAccount, LoginSession, Refresh
from tradebus.brokers.audit.log import ExchangeLog
from tradebus.brokers.audit.server_clock import ClockOffset
from tradebus.brokers.credentials import Credential
from tradebus.brokers.feed import MarketFeed, OrderUpdates
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.reference import InstrumentOf, ListedInstrument, ListingOf, ReferenceData
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.timers import Timers

ADAPTERS = {"kite": "Kite", "dhan": "Dhan", "upstox": "Upstox"}
# Where a position that is there already can have a trigger of two legs. Upstox' opens the position itself.
WITH_TRIGGERS = frozenset({"kite"})
# What each broker calls the public half of a login.
CLIENT_ID = {"kite": "api_key", "dhan": "client_id", "upstox": "api_key"}


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """How many market-data connections one login may have, and what each carries in full mode."""

    instruments_per_connection: int
    connections: int


# BROKERS 3: Upstox' figures are those of an ordinary account with modes unmixed.
FEED_LIMITS = {"kite": FeedLimits(3_000, 3), "dhan": FeedLimits(5_000, 5), "upstox": FeedLimits(2_000, 2)}


@dataclass(frozen=True, slots=True)
class Known:
    """What orders need to know of instruments: `listing_of` raises KeyError for one that the broker does not list.
    `all_triggers`: the order book shows every intraday trigger that waits, and not ours alone."""

    listing_of: ListingOf
    instrument_of: InstrumentOf
    listings: Callable[[], Sequence[tuple[int, ListedInstrument]]]
    all_triggers: bool = False


class Broker(Protocol):
    """One login at one broker. Parts are made when they are asked for; all share the login's client."""

    name: str
    reference: ReferenceData
    account: BrokerAccount
    session: LoginSession

    def clock_offset(self) -> ClockOffset | None:
        """How far the broker's clock is from ours, by its replies of the last minute; None where they do not tell."""

    def feed(self) -> MarketFeed:
        """A new feed, not connected yet."""

    def orders(self, known: Known) -> OrderGateway: ...

    def updates(self, known: Known) -> OrderUpdates: ...

    def close(self) -> None: ...


class OpenBroker(Protocol):
    """`open_broker`, or a test's."""

    def __call__(
        self,
        name: str,
        credential: Credential,
        *,
        url: str,
        timers: Timers,
        log: ExchangeLog,
        refresh: Refresh | None = None,
        clock: Clock | None = None,
    ) -> Broker: ...


def open_broker(
    name: str,
    credential: Credential,
    *,
    url: str = "",
    timers: Timers,
    log: ExchangeLog,
    refresh: Refresh | None = None,
    clock: Clock | None = None,
) -> Broker:
    """The broker behind its ports; nothing is sent yet. `url` points all of it at one address, "" means the real one;
    all of it waits by `timers`, and every request is written to `log`; `clock` is the market's, where that is not the
    timers'.

    Raises InvalidInput for an unknown broker, or a login that lacks what that broker needs.
    """
    return Adapter(name, credential, url=url, timers=timers, log=log, refresh=refresh, clock=clock or timers)


class Adapter:
    """A login through the adapter package of its broker, which are all of one shape."""

    def __init__(
        self, name: str, credential: Credential, *, url: str, timers: Timers, log: ExchangeLog,
        refresh: Refresh | None, clock: Clock,
    ) -> None:  # fmt: skip
        if name not in ADAPTERS:
            known = ", ".join(ADAPTERS)
            raise InvalidInput(f"broker: {name!r} is unknown{nearest(name, ADAPTERS)}; known are {known}")
        self.name, self._clock = name, clock
        endpoints = self._part("Endpoints")
        settings = self._part("Settings")(
            **{CLIENT_ID[name]: credential.client_id}, api_secret=credential.api_secret,
            access_token=credential.access_token, endpoints=endpoints.at(url) if url else endpoints(), refresh=refresh,
        )  # fmt: skip
        self._client = self._part("Client")(settings, timers=timers, log=log)
        self.reference: ReferenceData = self._made("Reference", clock=clock)
        self.account: BrokerAccount = self._made("Account")
        self.session: LoginSession = self._made("Session")

    def clock_offset(self) -> ClockOffset | None:
        offset: ClockOffset | None = self._client.wire.server_clock.offset_ns()
        return offset

    def feed(self) -> MarketFeed:
        feed: MarketFeed = self._made("Feed", clock=self._clock)
        return feed

    def orders(self, known: Known) -> OrderGateway:
        orders: OrderGateway = self._made(
            "Orders", listing_of=known.listing_of, instrument_of=known.instrument_of, clock=self._clock
        )
        if self.name not in WITH_TRIGGERS:
            return orders
        triggers = self._made("Triggers", listing_of=known.listing_of, instrument_of=known.instrument_of)
        standing: OrderGateway = triggers.beside(orders, shows_all=known.all_triggers)
        return standing

    def updates(self, known: Known) -> OrderUpdates:
        updates: OrderUpdates = self._made("OrderUpdates", instrument_of=known.instrument_of, clock=self._clock)
        return updates

    def close(self) -> None:
        self._client.close()

    def _part(self, what: str) -> Any:
        return getattr(import_module(f"tradebus.brokers.{self.name}"), ADAPTERS[self.name] + what)

    def _made(self, what: str, **arguments: Any) -> Any:
        return self._part(what)(self._client, **arguments)
