"""A login whose token ends soon is given another one, where its broker lets a program do that (Dhan).

    each minute: less than three hours left ─┬─ made today: it is made anew ──────┬─ stored: every process takes it
                                             ├─ else, or refused: PIN and seed ───┘  when the old one is refused
                                             └─ neither: a person is told

A token of an earlier day is not made anew: a login a day is what the rules ask for, and PIN and seed are one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from services.execution.recovery.listening import TRANSIENT
from tradebus.brokers.common.access.token_end import ends_ns, made_ns
from tradebus.brokers.common.access.totp import totp_of
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.registry import Broker
from tradebus.contracts.orders import Difference
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_datetime
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

_EARLY_NS = 3 * 3600 * NANOSECONDS_PER_SECOND
_LOOK_SECONDS, _AGAIN_SECONDS = 60.0, 300.0
_log = structlog.get_logger()


class LoginRenewal:
    """Of one account. `settled` is told of what went well; `warn` of what a person must do, and says whether anybody
    heard it: it blocks nothing, for the token still lives."""

    def __init__(
        self, broker: Broker, login: str, credentials: Credentials, *, settled: Callable[[Sequence[Difference]], None],
        warn: Callable[[Sequence[Difference]], Awaitable[bool]], timers: Timers,
    ) -> None:  # fmt: skip
        self._broker, self._login, self._credentials, self._timers = broker, login, credentials, timers
        self._settled, self._warn = settled, warn
        self._renew: Callable[[], Awaitable[str]] | None = getattr(broker.session, "renew", None)
        self._warned = False

    async def run(self) -> None:
        """For ever; ends at once where the broker wants a person at its page."""
        while self._renew is not None:
            try:
                again_seconds = _LOOK_SECONDS if await self.look() else _AGAIN_SECONDS
            except TRANSIENT as error:
                _log.error("the login cannot be looked at", login=self._login, error=str(error))
                again_seconds = _AGAIN_SECONDS
            await sleep(self._timers, again_seconds)

    async def look(self) -> bool:
        """Renews a token that ends soon; whether the login is good for a while. Raises what the store of logins, and
        whoever is told, raise."""
        stored = await asyncio.to_thread(self._credentials.get, self._login)
        last_ns = ends_ns(stored.access_token)
        if last_ns is None or last_ns - self._timers.now_ns() > _EARLY_NS:
            if self._warned:
                self._warned = False
                self._settled([self._difference(last_ns, "another is stored", action="none")])
            return True
        try:
            token = await self._renewed(stored)
            await asyncio.to_thread(self._keep, stored, token)
        except TradebusError as error:
            _log.error("the login is not renewed", broker=self._broker.name, login=self._login, error=str(error))
            await self._tell(last_ns, str(error))
            return False
        self._warned = False
        until_ns = ends_ns(token)
        until = "" if until_ns is None else f" until {_at(until_ns)}"
        _log.info("login renewed", broker=self._broker.name, login=self._login, until=until)
        self._settled([self._difference(last_ns, f"renewed{until}", action="none: it goes on by itself")])
        return True

    async def _renewed(self, stored: Credential) -> str:
        """Raises BrokerError, InvalidInput."""
        assert self._renew is not None
        made, has_numbers = made_ns(stored.access_token), bool(stored.pin and stored.totp_seed)
        now_ns = self._timers.now_ns()
        if made is not None and ist_date(made) == ist_date(now_ns):
            try:
                return str(await self._renew())
            except BrokerError as error:
                if not has_numbers:
                    raise
                _log.warning("a token is not made anew: by PIN and seed", login=self._login, error=str(error))
        if not has_numbers:
            raise InvalidInput("it is of an earlier day, and no PIN and seed are stored")
        return await self._broker.session.complete_login(f"{stored.pin}:{totp_of(stored.totp_seed, at_ns=now_ns)}")

    def _keep(self, before: Credential, token: str) -> None:
        """What a person has stored meanwhile stays."""
        now = self._credentials.get(self._login)
        if now == before:
            self._credentials.put(self._login, replace(before, access_token=token))

    async def _tell(self, last_ns: int, reason: str) -> None:
        if self._warned:
            return
        name = self._broker.name
        ways = f"`tradebus login --broker {name} --credential {self._login}`"
        action = f"{ways} before then; after it no position is opened, and what is open keeps its stop at the broker"
        self._warned = await self._warn([self._difference(last_ns, f"not renewed: {reason}", action=action)])

    def _difference(self, last_ns: int | None, brokers: str, *, action: str) -> Difference:
        ours = "needed" if last_ns is None else f"ends at {_at(last_ns)}"
        return Difference(what=f"login {self._login}", ours=ours, brokers=brokers, action=action)


def _at(ts_ns: int) -> str:
    return f"{ist_datetime(ts_ns):%d.%m. %H:%M} IST"
