"""What befalls everybody in a run, besides what strikes one process at a point."""

from services.cli.drill.running.lives import DrillWorld
from services.cli.drill.running.plan import DrillPlan, PlannedEvent
from services.sandbox.exchange import SandboxExchange
from tradebus.waiting.timers import sleep


class Happenings:
    """Of one run."""

    def __init__(self, plan: DrillPlan, world: DrillWorld, exchange: SandboxExchange) -> None:
        self._plan, self._world, self._exchange = plan, world, exchange

    async def happen(self, event: PlannedEvent) -> None:
        """In its time, from its beginning to its end."""
        await sleep(self._world.loop.world.timers, event.at_seconds)
        await getattr(self, event.kind)(event)

    async def shock(self, event: PlannedEvent) -> None:
        """Prices jump, the options' with them."""
        self._world.story.tell(f"the market moves by {event.share:+.1%}")
        for one in self._exchange.instruments:
            if not one.key.is_derivative:
                self._exchange.shock(one.index, event.share)
