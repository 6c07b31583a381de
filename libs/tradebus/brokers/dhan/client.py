"""One login at Dhan: the official SDK behind the common policy for calls. Everything of one login shares it.

Closed traps of the SDK: it raises nothing and forgets HTTP statuses (`failures`); it waits 60 s, follows redirects and
takes its address from a class attribute; it writes every refusal to the root logger just as it came; its login calls
have no timeout, open a browser and print; its instrument list goes through a file in the working directory. What it
cannot do goes through its own HTTP session.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from tradebus.brokers.audit.log import UNRECORDED, ExchangeLog
from tradebus.brokers.audit.session import record_session
from tradebus.brokers.calls import REQUEST_SECONDS, Pacer, SdkCalls
from tradebus.brokers.common.access.addresses import is_here
from tradebus.brokers.common.access.login import LoginClient
from tradebus.brokers.dhan.failures import before_call, classify, inspect, unwrapped
from tradebus.brokers.dhan.settings import DhanSettings, check_header
from tradebus.brokers.dhan.words import BROKER
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers

T = TypeVar("T")
_quiet = logging.getLogger("tradebus.brokers.dhan.sdk")
_quiet.setLevel(logging.CRITICAL)
_MASTER_SECONDS = 120.0  # some 50 MB


class DhanClient(LoginClient):
    """The SDK object, its calls, its token. Read limits of BROKERS 6 with a little room, since Dhan counts by its own
    seconds: `quotes_pacer`, `history_pacer`, `chain_pacer`, `other_pacer`."""

    def __init__(
        self,
        settings: DhanSettings,
        *,
        timers: Timers,
        request_seconds: float = REQUEST_SECONDS,
        first_delay_seconds: float = 0.5,
        seed: int = 0,
        log: ExchangeLog = UNRECORDED,
    ) -> None:
        """Raises InvalidInput for an address that must not get a token, or a login that cannot be one."""
        settings.check()
        super().__init__(
            BROKER, token=settings.access_token,
            secrets=[settings.access_token, settings.api_key, settings.api_secret, *settings.api_secret.split(":")],
            classify=classify, timers=timers, refresh=settings.refresh, request_seconds=request_seconds,
            first_delay_seconds=first_delay_seconds, seed=seed, log=log,
        )  # fmt: skip
        self.settings = settings
        self.quotes_pacer, self.history_pacer = Pacer(0.95, timers=timers), Pacer(4.5, timers=timers)
        self.chain_pacer, self.other_pacer = Pacer(0.32, timers=timers), Pacer(18.0, timers=timers)
        self._sdk: Any = None
        # Not halted for want of a login either: it needs none.
        self.download_calls = SdkCalls(
            BROKER, classify=classify, redactor=self.redactor, timers=timers, workers=1,
            request_seconds=_MASTER_SECONDS, first_delay_seconds=first_delay_seconds, seed=seed,
        )  # fmt: skip

    async def read(self, what: str, use: Callable[[Any], Any], *, pacer: Pacer | None = None) -> Any:
        """The JSON body of what `use` asks of the SDK, on a thread; may ask again. Raises BrokerError."""
        return await self.calls.read(what, lambda: self._asked(use), pacer=pacer or self.other_pacer)

    async def once(self, what: str, use: Callable[[Any], Any]) -> Any:
        """For orders: `use` is called once. Raises BrokerError."""
        return await self.calls.once(what, lambda: self._asked(use))

    async def download(self, what: str, url: str, parse: Callable[[bytes], T]) -> T:
        """A public file, without the token, and what `parse` makes of it on the thread. Raises BrokerError."""
        return await self.download_calls.read(what, lambda: parse(self._fetched(url)))

    def sdk(self) -> Any:
        """The SDK, pointing where the settings point. Raises InvalidInput where it does not any more."""
        with self.making:
            if self._sdk is None:
                self._sdk = self._new_sdk()
            http = self._sdk.dhan_http
            if http.base_url != self.settings.endpoints.rest or http.session.verify is not True:
                raise InvalidInput(
                    "dhan rest: the SDK was pointed elsewhere, or told not to verify TLS; nothing is sent"
                )
            return self._sdk

    def session_of(self, limit_seconds: float | None = None) -> Any:
        """The SDK's HTTP session for one call on this thread, which it then judges as it does the SDK's own."""
        session = self.sdk().dhan_http.session
        before_call(limit_seconds or self.timeout[1])
        return session

    def use_token(self, token: str) -> None:
        """As of every client. Raises InvalidInput for what cannot be a token."""
        check_header("access_token", token)
        super().use_token(token)

    def tell_sdk(self, token: str) -> None:
        if self._sdk is not None:
            self._sdk.dhan_http.access_token = token
            self._sdk.dhan_http.header = self._sdk.dhan_http.header | {"access-token": token}

    def close(self) -> None:
        super().close()
        self.download_calls.close()

    def _asked(self, use: Callable[[Any], Any]) -> Any:
        sdk = self.sdk()
        before_call(self.timeout[1])
        return unwrapped(use(sdk))

    def _fetched(self, url: str) -> bytes:
        session = self.session_of(_MASTER_SECONDS)
        body: bytes = session.get(url, timeout=self.timeout, stream=True).content
        return body

    def _new_sdk(self) -> Any:
        """An SDK object of its own. Blocks while the package is imported."""
        from dhanhq import DhanContext, dhan_http, dhanhq  # type: ignore[import-untyped]

        dhan_http.logging = _quiet
        context = DhanContext(self.settings.client_id, self.token)
        http = context.get_dhan_http()
        http.base_url, http.timeout = self.settings.endpoints.rest, self.timeout
        http.session.max_redirects = 0
        http.session.trust_env = not is_here(self.settings.endpoints.rest)
        http.session.hooks["response"].append(inspect)
        record_session(http.session, self.wire)
        return dhanhq(context)
