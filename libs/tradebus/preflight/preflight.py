"""All gates, asked at once of one login.

    login ─► broker opened ─► every gate of the registry, each within its time ─► findings, in the registry's order

Invariant (tested): a gate that cannot find out is closed, with the reason; none is left out; nothing but reads leaves.
"""

import asyncio

from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.registry import Broker, OpenBroker
from tradebus.config.brokers import BrokerSettings
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.kernel.timers import Timers
from tradebus.preflight.build import build_name
from tradebus.preflight.gate import Facts, Finding, PreflightGate
from tradebus.preflight.registry import GATES
from tradebus.store.books import KillSwitchBook
from tradebus.waiting.timers import deadline

GATE_SECONDS = 20.0
_TRY_AGAIN = "mend that, and try again"


class PreflightFailed(TradebusError):
    """Gates are closed; nothing was started."""


class Preflight:
    """`clock` is the machine's; the market's follows from the settings. `switch` is None where no book of record is at
    hand."""

    def __init__(
        self, settings: BrokerSettings, *, open_broker: OpenBroker, log_of: LogOf, switch: KillSwitchBook | None,
        clock: Clock, timers: Timers,
    ) -> None:  # fmt: skip
        self._switch = switch
        self._settings, self._open_broker, self._log_of, self._timers = settings, open_broker, log_of, timers
        self._clock, _ = settings.clock_of_market(clock)
        self._credentials = Credentials(settings.state_dir, key=settings.credentials_key)

    async def ask(self, *, broker: str, credential_name: str, daily_max_loss_r: float | None) -> list[Finding]:
        """Never raises for what a gate is there to find out."""
        try:
            credential = await asyncio.to_thread(self._credentials.get, credential_name)
            if credential.broker != broker:
                raise InvalidInput(f"credential {credential_name!r} is a login at {credential.broker}, not at {broker}")
            opened = await asyncio.to_thread(self._opened, broker, credential_name, credential)
        except TradebusError as error:
            return [Finding(name, str(error), f"`tradebus login --broker {broker}`") for name in GATES]
        facts = Facts(
            broker, credential_name, credential, opened, self._settings, self._clock, self._timers,
            build_name(), daily_max_loss_r, self._switch,
        )  # fmt: skip
        try:
            return list(await asyncio.gather(*(self._asked(name, gate, facts) for name, gate in GATES.items())))
        finally:
            opened.close()

    async def _asked(self, name: str, gate: PreflightGate, facts: Facts) -> Finding:
        try:
            async with deadline(self._timers, GATE_SECONDS):
                verdict = await gate(facts)
        except TimeoutError:
            return Finding(name, f"no answer in {GATE_SECONDS:g} s", _TRY_AGAIN)
        except (TradebusError, OSError) as error:
            return Finding(name, str(error) or type(error).__name__, _TRY_AGAIN)
        except Exception as error:  # noqa: BLE001 - whatever a gate trips over, it is closed
            return Finding(name, f"{type(error).__name__}: {error}", _TRY_AGAIN)
        return Finding(name, verdict.said, verdict.remedy)

    def _opened(self, name: str, credential_name: str, credential: Credential) -> Broker:
        return self._open_broker(
            name, credential, url=self._settings.broker_urls[name], timers=self._timers,
            log=self._log_of(f"{name}:{credential_name}"), clock=self._clock,
        )  # fmt: skip
