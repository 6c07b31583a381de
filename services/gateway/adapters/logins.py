"""Stored logins at brokers, as START_TRADING names them; a token it carries is stored here and goes no further."""

from dataclasses import replace
from typing import Any

from services.gateway.domain.brokers import LIVE_BROKERS, Reach
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.config.brokers import BrokerSettings
from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.errors import InvalidInput


class StoredLogins:
    """`tradebus login` keeps a broker's application (client id and secret) under the broker's own name."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._credentials = Credentials(settings.state_dir, key=settings.credentials_key)
        self._sandboxed = settings.sandboxed

    def reach(self, feed: str | None) -> Reach:
        """What a session may ask for, with `feed` in force."""
        names = self._credentials.names()
        return Reach(
            feed=feed or "",
            sandboxed=self._sandboxed,
            applications=frozenset(name for name in names if name in LIVE_BROKERS),
            credential_broker=lambda name: self._credentials.get(name).broker,
        )

    def keep_token(self, spec: SessionSpec, data: dict[str, Any]) -> None:
        """Stores the access token of `data` under the name that `spec` gives it; does nothing where it carries none.

        Raises InvalidInput where it cannot be stored.
        """
        token = data.get("access_token")
        if not isinstance(token, str) or spec.credential is None:
            return
        application = self._application(spec.broker)
        # Whose it is nobody has asked the broker yet; the numbers of a person are of one login alone.
        kept = replace(application, access_token=token, account="", pin="", totp_seed="")
        client_id = data.get("client_id")
        self._credentials.put(spec.credential, replace(kept, client_id=client_id) if client_id else kept)

    def _application(self, broker: str) -> Credential:
        try:
            return self._credentials.get(broker)
        except InvalidInput:
            return Credential(broker)
