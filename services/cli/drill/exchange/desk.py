"""The drill's broker behind the ports that execution opens: orders, order stream, account, master, login."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date

from services.cli.drill.exchange.desk_calls import DeskCalls
from services.cli.drill.exchange.desk_orders import DeskOrders, fills_of, line_of_order
from services.cli.drill.exchange.market import listed
from services.cli.drill.exchange.network import BrokerNetwork
from services.cli.drill.simulation.process import SimulatedProcess
from services.sandbox.ports import NewOrder
from tradebus.brokers.account import (
    AccountMargins,
    BasketOrder,
    BrokerAccount,
    BrokerHolding,
    LoginSession,
    NetPosition,
    Refresh,
    SessionState,
)
from tradebus.brokers.audit.log import ExchangeLog
from tradebus.brokers.audit.server_clock import ClockOffset
from tradebus.brokers.credentials import Credential
from tradebus.brokers.errors import BrokerError, TokenExpired
from tradebus.brokers.feed import FeedEvent, FeedEventKind, MarketFeed, OrderUpdates
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.reference import ListedInstrument, OptionChain, PriceBand, ReferenceData
from tradebus.brokers.registry import Broker, Known
from tradebus.contracts.orders import OrderType
from tradebus.contracts.records import Records
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import BrokerOrder
from tradebus.waiting.timers import sleep

_RECONNECT_SECONDS = 1.0


class ExchangeDesk:
    """See `tradebus.brokers.registry.Broker`. One life's login."""

    def __init__(self, calls: DeskCalls, *, clock: Clock) -> None:
        self.name, self._calls, self._clock = calls.name, calls, clock
        self.reference: ReferenceData = DeskReference(self._calls)
        self.account: BrokerAccount = DeskAccount(self._calls)
        self.session: LoginSession = DeskSession(self._calls)

    def clock_offset(self) -> ClockOffset | None:
        """Everybody has the drill's one clock."""
        return None

    def feed(self) -> MarketFeed:
        raise InvalidInput("the drill's broker gives no prices: they come from the drill")

    def orders(self, known: Known) -> OrderGateway:
        return DeskOrders(self._calls, known, clock=self._clock)

    def updates(self, known: Known) -> OrderUpdates:
        return DeskUpdates(self._calls, DeskOrders(self._calls, known, clock=self._clock))

    def close(self) -> None:
        """Nothing is held."""


class DeskUpdates:
    """See `tradebus.brokers.feed.OrderUpdates`. Connects again by itself."""

    def __init__(self, calls: DeskCalls, orders: DeskOrders) -> None:
        self._calls, self._orders, self._is_open = calls, orders, True

    async def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]:
        network = self._calls.network
        while self._is_open:
            end = network.connect()
            if end is None:
                await sleep(self._calls.timers, _RECONNECT_SECONDS)
                continue
            try:
                yield FeedEvent(FeedEventKind.CONNECTED, network.name)
                while (word := await end.words.get()) is not None:
                    if isinstance(word, FeedEvent):
                        yield word
                    else:
                        yield self._orders.report(network.account, line_of_order(word), fills_of(word))
            finally:
                network.disconnect(end)
            await sleep(self._calls.timers, _RECONNECT_SECONDS)

    async def close(self) -> None:
        self._is_open = False


class DeskAccount:
    """See `tradebus.brokers.account.BrokerAccount`."""

    def __init__(self, calls: DeskCalls) -> None:
        self._calls = calls

    async def margins(self) -> AccountMargins:
        account, exchange = self._calls.account, self._calls.exchange
        found = await self._calls.read("margins", lambda: exchange.margins(account))
        return AccountMargins(found.available_paise, found.used_paise)

    async def basket_margin_paise(self, orders: Sequence[BasketOrder]) -> int:
        exchange = self._calls.exchange
        places = {str(one.exchange_token): one.index for one in exchange.instruments}
        asked = [
            NewOrder(
                instrument=places[one.listing.token], transaction=one.transaction, order_type=OrderType.LIMIT,
                product=one.product, quantity=one.quantity, price_paise=one.price_paise,
            )
            for one in orders
        ]  # fmt: skip
        return await self._calls.read("basket margin", lambda: exchange.required_margins(asked).together_paise)

    async def kill_switch_engaged(self) -> bool | None:
        account, exchange = self._calls.account, self._calls.exchange
        return await self._calls.read("kill switch", lambda: exchange.kill_switch(account))

    async def engage_kill_switch(self) -> None:
        account, exchange = self._calls.account, self._calls.exchange
        await self._calls.read("kill switch", lambda: exchange.set_kill_switch(account, engaged=True))

    async def registered_addresses(self) -> Sequence[str] | None:
        return None

    async def positions(self) -> Sequence[NetPosition]:
        account, exchange = self._calls.account, self._calls.exchange
        rows = await self._calls.read("positions", lambda: tuple(exchange.positions(account)))
        found = []
        for row in rows:
            one = exchange.instruments[row.instrument]
            found.append(
                NetPosition(
                    str(one.exchange_token), one.key.segment.value, one.symbol, row.product.value, row.quantity,
                    row.day_buy_quantity, row.day_sell_quantity, 0, row.realised_paise, row.unrealised_paise,
                )
            )  # fmt: skip
        return found

    async def holdings(self) -> Sequence[BrokerHolding]:
        return []


class DeskSession:
    """See `tradebus.brokers.account.LoginSession`."""

    account = ""

    def __init__(self, calls: DeskCalls) -> None:
        self._calls = calls

    async def check(self) -> SessionState:
        try:
            await self._calls.once("profile", lambda: None)
        except TokenExpired:
            return SessionState.EXPIRED
        except BrokerError:
            return SessionState.UNKNOWN
        return SessionState.VALID

    def login_url(self, *, redirect: str = "", state: str = "") -> str | None:
        return None

    async def complete_login(self, answer: str) -> str:
        return answer


class DeskReference:
    """See `tradebus.brokers.reference.ReferenceData`: the master, and nothing else."""

    def __init__(self, calls: DeskCalls) -> None:
        self._calls = calls

    async def instruments(self) -> Sequence[ListedInstrument]:
        exchange = self._calls.exchange
        return await self._calls.read("master", lambda: tuple(listed(one) for one in exchange.instruments))

    async def history(
        self, instrument: ListedInstrument, *, timeframe_seconds: int, from_ns: int, to_ns: int
    ) -> Records:
        raise InvalidInput("the drill's broker keeps no history")

    async def quotes(self, instruments: Sequence[ListedInstrument]) -> Records:
        raise InvalidInput("the drill's broker gives no prices")

    async def price_bands(self, instruments: Sequence[ListedInstrument]) -> Mapping[int, PriceBand]:
        return {}

    async def expiries(self, underlying: ListedInstrument) -> Sequence[date]:
        raise InvalidInput("the drill's broker has no chains")

    async def option_chain(self, underlying: ListedInstrument, expiry: date) -> OptionChain:
        raise InvalidInput("the drill's broker has no chains")


class DeskDoor:
    """An `OpenBroker` of one process."""

    def __init__(self, networks: Mapping[str, BrokerNetwork], process: SimulatedProcess) -> None:
        self._networks, self._process = networks, process

    def __call__(
        self, name: str, credential: Credential, *, url: str, timers: Timers, log: ExchangeLog,
        refresh: Refresh | None = None,
        clock: Clock | None = None,
    ) -> Broker:  # fmt: skip
        del credential, url, log, refresh
        return ExchangeDesk(DeskCalls(self._networks[name], timers=timers), clock=clock or timers)
