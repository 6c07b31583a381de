"""One login at Kite: the official SDK behind the common policy for calls. Everything of one login shares it.

Closed traps of the SDK: importing it starts on a Twisted reactor (so it is loaded when first needed, off the loop); it
follows redirects; it forgets the HTTP status of what it cannot parse (`failures.inspect`); one odd row makes it lose a
whole reply, and it turns Indian times into naive ones (`get` returns replies as they are, tradebus reads them itself).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tradebus.brokers.audit.log import UNRECORDED, ExchangeLog
from tradebus.brokers.audit.session import record_session
from tradebus.brokers.calls import REQUEST_SECONDS, Pacer
from tradebus.brokers.common.access.addresses import is_here
from tradebus.brokers.common.access.login import LoginClient
from tradebus.brokers.kite.failures import classify, inspect
from tradebus.brokers.kite.settings import BROKER, KiteSettings
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers

T = TypeVar("T")


class KiteClient(LoginClient):
    """The SDK object, its calls, its token. Read limits of BROKERS 6 with a little room, since Kite counts by its own
    seconds: `quotes_pacer`, `history_pacer`, `other_pacer`."""

    def __init__(
        self,
        settings: KiteSettings,
        *,
        timers: Timers,
        request_seconds: float = REQUEST_SECONDS,
        first_delay_seconds: float = 0.5,
        seed: int = 0,
        log: ExchangeLog = UNRECORDED,
    ) -> None:
        """Raises InvalidInput for an address that must not get a token."""
        settings.endpoints.check()
        if not settings.api_key:
            raise InvalidInput("kite api_key: is missing; Kite shows it on the page of your app")
        super().__init__(
            BROKER, token=settings.access_token,
            secrets=[settings.api_key, settings.api_secret, settings.access_token], classify=classify, timers=timers,
            refresh=settings.refresh, request_seconds=request_seconds, first_delay_seconds=first_delay_seconds,
            seed=seed, log=log,
        )  # fmt: skip
        self.settings = settings
        self.quotes_pacer, self.history_pacer, self.other_pacer = (
            Pacer(0.95, timers=timers),
            Pacer(2.8, timers=timers),
            Pacer(9.5, timers=timers),
        )
        self._sdk: Any = None

    async def read(self, what: str, use: Callable[[Any], T], *, pacer: Pacer | None = None) -> T:
        """`use` is given the SDK, on a thread, and may be called again. Raises BrokerError."""
        return await self.calls.read(what, lambda: use(self.sdk()), pacer=pacer or self.other_pacer)

    async def once(self, what: str, use: Callable[[Any], T]) -> T:
        """For orders: `use` is called once. Raises BrokerError."""
        return await self.calls.once(what, lambda: use(self.sdk()))

    def new_sdk(self) -> Any:
        """An SDK object of its own. Blocks while the package is imported."""
        from kiteconnect import KiteConnect  # type: ignore[import-untyped]

        sdk = KiteConnect(
            self.settings.api_key, access_token=self.token or None, root=self.settings.endpoints.rest,
            timeout=self.timeout,
        )  # fmt: skip
        sdk.reqsession.max_redirects = 0
        sdk.reqsession.trust_env = not is_here(self.settings.endpoints.rest)
        sdk.reqsession.hooks["response"].append(inspect)
        record_session(sdk.reqsession, self.wire)
        return sdk

    def sdk(self) -> Any:
        """The SDK, pointing where the settings point. Raises InvalidInput where it does not any more."""
        with self.making:
            if self._sdk is None:
                self._sdk = self.new_sdk()
            if self._sdk.root != self.settings.endpoints.rest or self._sdk.disable_ssl:
                raise InvalidInput("kite rest: the SDK points elsewhere, or does not verify TLS; nothing is sent")
            return self._sdk

    def tell_sdk(self, token: str) -> None:
        if self._sdk is not None:
            self._sdk.set_access_token(token)


def get(
    sdk: Any, route: str, *, url_args: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
) -> Any:
    """The `data` of a reply as Kite sent it, through the SDK's own request and route, without its reformatting."""
    return sdk._get(route, url_args=url_args, params=params)
