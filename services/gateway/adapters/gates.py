"""The gates of preflight, as START_TRADING meets them."""

from services.gateway.domain.brokers import PAPER, needs_preflight
from services.gateway.domain.problems import Problems
from services.gateway.settings import GatewaySettings
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.registry import OpenBroker
from tradebus.contracts.sessions import Mode, SessionSpec
from tradebus.kernel.clock import Clock
from tradebus.kernel.timers import Timers
from tradebus.preflight.preflight import Preflight
from tradebus.store.books import KillSwitchBook


class StartGates:
    """Called with the session that is asked for: adds a problem per closed gate, which says what to do, and returns the
    session as it may be started. No order of a dry run may leave: it has neither broker nor login any more."""

    def __init__(
        self, settings: GatewaySettings, *, open_broker: OpenBroker, log_of: LogOf, switch: KillSwitchBook,
        clock: Clock, timers: Timers,
    ) -> None:  # fmt: skip
        self._sandboxed = settings.sandboxed
        self._preflight = Preflight(
            settings, open_broker=open_broker, log_of=log_of, switch=switch, clock=clock, timers=timers
        )  # fmt: skip

    async def __call__(self, spec: SessionSpec, problems: Problems) -> SessionSpec:
        if spec.credential is None or not needs_preflight(spec.mode, spec.broker, sandboxed=self._sandboxed):
            return spec
        findings = await self._preflight.ask(
            broker=spec.broker, credential_name=spec.credential, daily_max_loss_r=spec.limits.daily_max_loss_r
        )
        for finding in findings:
            if not finding.passed:
                problems.add("data.mode", f"nothing was started, preflight: {finding}")
        if spec.mode is not Mode.DRY_RUN:
            return spec
        return spec.model_copy(update={"broker": PAPER, "credential": None, "rehearsed_broker": spec.broker})
