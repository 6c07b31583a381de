"""One login at Upstox with all that stands behind the ports, for `tradebus.brokers.registry`."""

from tradebus.brokers.account import Account, Session
from tradebus.brokers.credentials import Credential
from tradebus.brokers.reference import ReferenceData
from tradebus.brokers.registry import Broker, Known, Refresh
from tradebus.brokers.upstox.account import UpstoxAccount
from tradebus.brokers.upstox.client import UpstoxClient
from tradebus.brokers.upstox.feed import UpstoxFeed
from tradebus.brokers.upstox.order_updates import UpstoxOrderUpdates
from tradebus.brokers.upstox.orders import UpstoxOrders
from tradebus.brokers.upstox.reference import UpstoxReference
from tradebus.brokers.upstox.session import UpstoxSession
from tradebus.brokers.upstox.settings import UpstoxEndpoints, UpstoxSettings
from tradebus.kernel.errors import InvalidInput


class UpstoxBroker:
    """Everything of one login, over one client."""

    name = "upstox"

    def __init__(self, settings: UpstoxSettings, *, account: str = "") -> None:
        self._settings, self._account = settings, account
        self._client = UpstoxClient(settings)
        self.reference: ReferenceData = UpstoxReference(settings, client=self._client)
        self.account: Account = UpstoxAccount(settings, client=self._client)
        self.session: Session = UpstoxSession(settings, client=self._client)

    def feed(self) -> UpstoxFeed:
        return UpstoxFeed(self._settings, client=self._client)

    def orders(self, known: Known) -> UpstoxOrders:
        return UpstoxOrders(
            self._settings, listing_of=known.listing_of, instrument_of=known.instrument_of, client=self._client
        )

    def updates(self, known: Known) -> UpstoxOrderUpdates:
        return UpstoxOrderUpdates(
            self._settings, instrument_of=known.instrument_of, account=self._account, client=self._client
        )

    def close(self) -> None:
        self._client.close()


def open_adapter(credential: Credential, *, url: str = "", refresh: Refresh | None = None) -> Broker:
    """Nothing is sent yet. `url` points all of it at one address. Raises InvalidInput where the API key is missing."""
    if not credential.client_id:
        raise InvalidInput("upstox client_id: is missing; it is the API key that Upstox shows on the page of your app")
    settings = UpstoxSettings(
        api_key=credential.client_id, api_secret=credential.api_secret, access_token=credential.access_token,
        endpoints=UpstoxEndpoints.at(url) if url else UpstoxEndpoints(), refresh=refresh,
    )  # fmt: skip
    return UpstoxBroker(settings, account=credential.account)
