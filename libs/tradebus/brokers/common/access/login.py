"""What the client of every broker is made of: one login's token, its calls, and how it comes to a new token."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol
from weakref import WeakSet

import structlog

from tradebus.brokers.account import Refresh
from tradebus.brokers.audit.log import ExchangeLog
from tradebus.brokers.audit.wire import AuditedWire
from tradebus.brokers.calls import CONNECT_SECONDS, Classify, SdkCalls
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.timers import Timers

_WORKERS = 8
_ORDER_WORKERS = 16  # exits leave while as many other requests hang as an account lets out
_log = structlog.get_logger()


class Renewable(Protocol):
    """What was opened with a token and must be opened again with another."""

    def renew(self) -> None: ...


class LoginClient(ABC):
    """Everything of one login shares it: `token` as it is now, `calls`, `redactor`, `timers` (all that it waits by, and
    its clock where a part is given no other), `timeout` (seconds to connect, seconds between two bytes: those are the
    sockets', in the machine's time), `wire` (every request leaves through it). The adapter adds its SDK, made and
    changed under `making`."""

    def __init__(
        self,
        broker: str,
        *,
        token: str,
        secrets: Iterable[str],
        classify: Classify,
        timers: Timers,
        refresh: Refresh | None,
        request_seconds: float,
        first_delay_seconds: float,
        seed: int,
        log: ExchangeLog,
    ) -> None:
        self._broker, self._refresh = broker, refresh
        self.timers = timers
        self.token, self.redactor = token, Redactor(secrets)
        self.wire = AuditedWire(log, self.redactor, timers=timers)
        self.timeout = (min(CONNECT_SECONDS, request_seconds), request_seconds)
        self.making = threading.Lock()
        self._followers: WeakSet[Renewable] = WeakSet()
        self.calls = SdkCalls(
            broker, classify=classify, redactor=self.redactor, timers=timers,
            refresh=None if refresh is None else self.renew, workers=_WORKERS, order_workers=_ORDER_WORKERS,
            request_seconds=request_seconds,
            first_delay_seconds=first_delay_seconds, seed=seed,
        )  # fmt: skip
        # A login is tried while everything else is halted for want of one, and its refusal halts nothing.
        self.login_calls = SdkCalls(
            broker,
            classify=classify,
            redactor=self.redactor,
            timers=timers,
            workers=1,
            request_seconds=request_seconds,
        )

    def use_token(self, token: str) -> None:
        """A new login: calls go on with it, what follows the token is opened again with it, and other sockets connect
        with it from their next connection on."""
        self.redactor.learn(token)
        with self.making:
            before, self.token = self.token, token
            self.tell_sdk(token)
        self.calls.renewed()
        if token != before:
            for follower in list(self._followers):
                follower.renew()

    def follow_token(self, follower: Renewable) -> None:
        """Has it opened again with every new token, as long as it lives."""
        self._followers.add(follower)

    @abstractmethod
    def tell_sdk(self, token: str) -> None:
        """Puts a new token into the SDK, where there is one already. Called under `making`."""

    async def renew(self) -> bool:
        """A new token from the settings' `refresh`. False where there is none to be had."""
        if self._refresh is None:
            return False
        try:
            token = await self._refresh()
            if token:
                self.use_token(token)
        except Exception as error:  # noqa: BLE001 - somebody else's code; without a token the caller's error stands
            _log.error(f"{self._broker}: no new token", reason=self.redactor.text(error))
            return False
        return bool(token)

    def close(self) -> None:
        """Takes no more calls."""
        self.calls.close()
        self.login_calls.close()
