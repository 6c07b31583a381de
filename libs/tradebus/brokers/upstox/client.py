"""One login at Upstox: the official SDK behind the common policy for calls. Everything of one login shares it.

Closed traps of the SDK: its Configuration hands out copies of the first one ever made, sandbox flag and order host
included (here both hosts are set, and looked at again before every call); each ApiClient starts a thread pool (ended at
once); the transport under it (`transport`); its reading of replies cuts 65.5 to 65, takes "false" for true, a text for
a list, and loses fields (`use` asks for the bytes, tradebus reads them itself: `replies`).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tradebus.brokers.audit.log import UNRECORDED, ExchangeLog
from tradebus.brokers.calls import REQUEST_SECONDS, Pacer
from tradebus.brokers.common.access.login import LoginClient
from tradebus.brokers.common.access.pace import WindowPace
from tradebus.brokers.errors import Malformed
from tradebus.brokers.upstox.failures import classify, failure_of, said_in
from tradebus.brokers.upstox.pace import READ_WINDOWS
from tradebus.brokers.upstox.settings import BROKER, UpstoxSettings
from tradebus.brokers.upstox.transport import GuardedPool
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers

T = TypeVar("T")
API_VERSION = "2.0"
# Given the SDK and the arguments every call of it gets; returns what the SDK returns for them, the raw response.
Use = Callable[["UpstoxSdk", Mapping[str, Any]], Any]


class UpstoxSdk:
    """The generated client of one login. Attributes make its parts: `sdk.api("OrderApiV3")`."""

    def __init__(self, settings: UpstoxSettings, pool: GuardedPool, token: str) -> None:
        """Blocks while the package is imported."""
        import upstox_client  # type: ignore[import-untyped]

        self._module = upstox_client
        self.configuration = upstox_client.Configuration()  # a copy of the process's first one
        self.configuration.sandbox = False
        self.configuration.host = settings.endpoints.rest
        self.configuration.order_host = settings.endpoints.orders
        self.configuration.verify_ssl = True
        self.configuration.access_token = token
        for logger in self.configuration.logger.values():  # it prints to stderr past everybody's log settings
            logger.removeHandler(self.configuration.logger_stream_handler)
        self.client = upstox_client.ApiClient(self.configuration)
        self.client.pool.terminate()
        self.client.pool.join()
        self.client.rest_client.pool_manager = pool
        self._parts: dict[str, Any] = {}

    def api(self, name: str) -> Any:
        """One of the SDK's API classes over this login."""
        if name not in self._parts:
            self._parts[name] = getattr(self._module, name)(self.client)
        return self._parts[name]

    def model(self, name: str, **fields: Any) -> Any:
        """One of the SDK's request models."""
        return getattr(self._module, name)(**fields)

    def check(self, settings: UpstoxSettings) -> None:
        """Raises InvalidInput where the SDK does not point where the settings point any more."""
        now = self.configuration
        if self.client.configuration is not now or now.sandbox or not now.verify_ssl or now.debug:
            # `debug` prints every header, the token among them.
            raise InvalidInput("upstox: the SDK's configuration was exchanged or altered; nothing is sent")
        if (now.host, now.order_host) != (settings.endpoints.rest, settings.endpoints.orders):
            raise InvalidInput(f"upstox: the SDK points at {now.host} and {now.order_host} for orders; nothing is sent")


class UpstoxClient(LoginClient):
    """The SDK object, its calls, its token. Read limits of BROKERS 6 (50 a second, 500 a minute): `pacer`."""

    def __init__(
        self,
        settings: UpstoxSettings,
        *,
        timers: Timers,
        request_seconds: float = REQUEST_SECONDS,
        first_delay_seconds: float = 0.5,
        seed: int = 0,
        log: ExchangeLog = UNRECORDED,
    ) -> None:
        """Raises InvalidInput for an address that must not get a token."""
        settings.endpoints.check()
        super().__init__(
            BROKER, token=settings.access_token, secrets=[settings.api_secret, settings.access_token],
            classify=classify, timers=timers, refresh=settings.refresh, request_seconds=request_seconds,
            first_delay_seconds=first_delay_seconds, seed=seed, log=log,
        )  # fmt: skip
        self.settings = settings
        self.pacer: Pacer = WindowPace(READ_WINDOWS, timers=timers)
        self.pool = GuardedPool(
            settings.endpoints, wire=self.wire, connect_seconds=self.timeout[0], request_seconds=self.timeout[1]
        )
        self._arguments = {"_preload_content": False, "_request_timeout": self.timeout}
        self._sdk: UpstoxSdk | None = None

    async def read(self, what: str, use: Use) -> Any:
        """The `data` of a reply that is safe to ask for again. Raises BrokerError."""
        return await self.calls.read(what, lambda: self._data(use), pacer=self.pacer)

    async def read_as(self, what: str, use: Use, interpret: Callable[[Any], T]) -> T:
        """What `interpret` makes of it, on a thread; what it raises, Unreadable as a rule, is Malformed."""
        return await self.calls.read(what, lambda: interpret(self._data(use)), pacer=self.pacer)

    async def once(self, what: str, use: Use) -> Any:
        """The `data` of a reply to what is asked one time. Raises BrokerError."""
        return await self.calls.once(what, lambda: self._data(use))

    async def login(self, what: str, use: Use, interpret: Callable[[bytes, int], T]) -> T:
        """What `interpret` makes of the body and status of a reply; tried also while other calls are halted. Raises
        BrokerError."""

        def asked() -> T:
            response = self._called(use)
            return interpret(response.data or b"", response.status)

        self.login_calls.renewed()
        return await self.login_calls.once(what, asked)

    async def fetch(self, what: str, url: str, interpret: Callable[[bytes], T]) -> T:
        """What `interpret` makes, on a thread, of a public file. Raises BrokerError."""

        def fetched() -> T:
            response = self.pool.request("GET", url)
            if response.status != 200:
                raise failure_of(response.status, response.data)
            return interpret(response.data or b"")

        return await self.calls.read(what, fetched, pacer=self.pacer)

    def sdk(self) -> UpstoxSdk:
        """The SDK, pointing where the settings point. Raises InvalidInput where it does not any more."""
        with self.making:
            if self._sdk is None:
                self._sdk = UpstoxSdk(self.settings, self.pool, self.token)
            self._sdk.check(self.settings)
            return self._sdk

    def tell_sdk(self, token: str) -> None:
        if self._sdk is not None:
            self._sdk.configuration.access_token = token

    def close(self) -> None:
        super().close()
        self.pool.clear()

    def _data(self, use: Use) -> Any:
        response = self._called(use)
        return data_in(response.data or b"", response.status)

    def _called(self, use: Use) -> Any:
        return use(self.sdk(), self._arguments)


def data_in(body: bytes, status: int) -> Any:
    """The `data` of a success. Raises BrokerError for anything else that came with a 2xx."""
    said = said_in(body)
    if not isinstance(said, dict):
        raise Malformed(BROKER, f"an answer that is no JSON object ({len(body)} bytes)")
    if said.get("status") == "error":
        raise failure_of(status, body)
    if said.get("status") != "success" or "data" not in said:
        raise Malformed(BROKER, f"an answer with the status {str(said.get('status'))[:40]!r}")
    return said["data"]
