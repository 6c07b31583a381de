"""Logins of the week: each user's own at his broker. Tokens end overnight; the new one is stored beside the services,
which come to it as with every broker: by the store, once a call was refused for the old one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from services.cli.drill.exchange.desk import ExchangeDesk
from services.cli.drill.exchange.desk_calls import DeskCalls
from services.cli.drill.exchange.network import BrokerNetwork
from services.cli.drill.week.plan import WeekUser
from tradebus.brokers.account import Refresh
from tradebus.brokers.audit.log import ExchangeLog
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.errors import TokenExpired
from tradebus.brokers.registry import Broker
from tradebus.kernel.clock import Clock
from tradebus.kernel.timers import Timers

T = TypeVar("T")


class WeekLogins:
    """`networks` by user. `tokens` are those that the brokers take now."""

    def __init__(self, users: Mapping[str, WeekUser], networks: Mapping[str, BrokerNetwork], state_dir: Path) -> None:
        self.networks, self._users, self._store = networks, users, Credentials(state_dir)
        self.tokens: dict[str, str] = {}

    def end_all(self) -> None:
        """Every token ends: what is asked with one is refused, order streams break."""
        self.tokens.clear()
        for network in self.networks.values():
            network.is_logged_in = False
            network.cut_streams()

    def log_in(self, name: str, *, number: int) -> None:
        """What `tradebus login` does for a user. Raises InvalidInput where it cannot be stored."""
        token = self.tokens[name] = f"token-{name}-{number}"
        user = self._users[name]
        self._store.put(name, Credential(user.broker, name, access_token=token, account=user.account))
        self.networks[name].is_logged_in = True


class LoginCalls(DeskCalls):
    """The calls of one life with one token."""

    def __init__(self, logins: WeekLogins, user: str, *, token: str, refresh: Refresh | None, timers: Timers) -> None:
        super().__init__(logins.networks[user], timers=timers)
        self._logins, self._user, self._token, self._refresh = logins, user, token, refresh

    async def read(self, what: str, act: Callable[[], T]) -> T:
        try:
            return await super().read(what, self._with_token(what, act))
        except TokenExpired:
            if not await self._renewed():
                raise
            return await super().read(what, self._with_token(what, act))

    async def once(self, what: str, act: Callable[[], T]) -> T:
        """What was refused for its token has done nothing: with a new one it is sent again."""
        try:
            return await super().once(what, self._with_token(what, act))
        except TokenExpired:
            if not await self._renewed():
                raise
            return await super().once(what, self._with_token(what, act))

    def _with_token(self, what: str, act: Callable[[], T]) -> Callable[[], Any]:
        token = self._token

        def asked() -> T | TokenExpired:
            if token != self._logins.tokens.get(self._user):
                return TokenExpired(self.name, f"{what}: the login has ended")
            return act()

        return asked

    async def _renewed(self) -> bool:
        before = self._token
        if self._refresh is not None:
            self._token = await self._refresh()
        return self._token != before


class LoginDoor:
    """An `OpenBroker`."""

    def __init__(self, logins: WeekLogins) -> None:
        self._logins = logins

    def __call__(
        self, name: str, credential: Credential, *, url: str, timers: Timers, log: ExchangeLog,
        refresh: Refresh | None = None,
        clock: Clock | None = None,
    ) -> Broker:  # fmt: skip
        del name, url, log
        calls = LoginCalls(
            self._logins, credential.client_id, token=credential.access_token, refresh=refresh, timers=timers
        )
        return ExchangeDesk(calls, clock=clock or timers)
