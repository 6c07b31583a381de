"""One login's calls under the policy of every adapter (`tradebus.brokers.calls`): reads are repeated, orders never."""

from collections.abc import Callable
from typing import TypeVar

from services.cli.drill.exchange.network import BrokerNetwork
from services.sandbox.exchange import SandboxExchange
from tradebus.brokers.calls import ATTEMPTS
from tradebus.brokers.errors import NoAnswer, Throttled
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.rng import jittered
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

T = TypeVar("T")
_FIRST_SECONDS, _LAST_SECONDS = 0.5, 8.0


class DeskCalls:
    """Of one process. `timers` are the process's."""

    def __init__(self, network: BrokerNetwork, *, timers: Timers) -> None:
        self.network, self.timers, self.redactor = network, timers, Redactor(())

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def account(self) -> str:
        return self.network.account

    @property
    def exchange(self) -> SandboxExchange:
        return self.network.exchange

    async def read(self, what: str, act: Callable[[], T]) -> T:
        """Raises BrokerError after the last attempt, or at once where repeating cannot help."""
        seconds = _FIRST_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self.network.ask(what, act, timers=self.timers, reads=True)
            except (Throttled, NoAnswer):
                if attempt == ATTEMPTS:
                    raise
            await sleep(self.timers, jittered(seconds, attempt, seed=0))
            seconds = min(2 * seconds, _LAST_SECONDS)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def once(self, what: str, act: Callable[[], T]) -> T:
        """Raises BrokerError."""
        return await self.network.ask(what, act, timers=self.timers, reads=False)
