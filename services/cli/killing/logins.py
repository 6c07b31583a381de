"""Which broker accounts there are: the logins stored in a state folder whose broker is where orders may go."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tradebus.brokers.credentials import Credential, Credentials
from tradebus.config.brokers import BROKER_VARIABLES, BrokerSettings
from tradebus.config.settings import load
from tradebus.kernel.errors import InvalidInput
from tradebus.preflight.live_accounts import LiveAccounts


@dataclass(frozen=True, slots=True)
class BrokerLogin:
    """One account at a broker. `names` are the stored logins that lead to it, the first is the one that is used."""

    broker: str
    names: tuple[str, ...]
    credential: Credential
    url: str
    state_dir: Path

    @property
    def account(self) -> str:
        """As sessions name it."""
        return f"{self.broker}:{self.names[0]}"


def where_brokers_are(said: Mapping[str, str]) -> BrokerSettings:
    """From the environment and, for what is not there, from what a stack has `said` of its own. Raises InvalidInput."""
    missing: dict[str, Any] = {
        name: value for name, value in said.items() if name in BROKER_VARIABLES and name not in os.environ
    }
    return load(lambda: BrokerSettings(DATABASE_URL=SecretStr("-"), REDIS_URL=SecretStr("-"), **missing))


def logins_in(
    credentials: Credentials, settings: BrokerSettings, *, folder: Path
) -> tuple[list[BrokerLogin], dict[str, str]]:
    """One per account, however many stored logins lead to it: two that close one account out would sell it twice.
    Orders go to a sandbox on this machine, or to the accounts that passed preflight: nothing of ours is anywhere else.
    Beside them, by name, why a login
    cannot be opened."""
    found: dict[tuple[str, str], dict[str, Credential]] = {}
    problems: dict[str, str] = {}
    live = LiveAccounts(folder)
    for name in credentials.names():
        try:
            credential = credentials.get(name)
        except InvalidInput as error:
            if settings.sandboxed or live.has_login(name):
                problems[name] = str(error)
            continue
        if credential.broker in settings.sandboxed or f"{credential.broker}:{name}" in live:
            whose = credential.account or credential.client_id
            found.setdefault((credential.broker, whose), {})[name] = credential
    logins = []
    for (broker, _), opened in found.items():
        names = tuple(sorted(opened, key=lambda name: (name != broker, name)))
        logins.append(BrokerLogin(broker, names, opened[names[0]], settings.broker_urls[broker], folder))
    return logins, problems
