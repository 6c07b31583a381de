"""A person at the broker's own terminal: cancels a stop of ours, or makes it larger."""

from services.cli.drill.running.lives import DrillWorld
from services.cli.drill.running.plan import PlannedEvent
from services.sandbox.exchange import SandboxExchange
from services.sandbox.ports import ChangedOrder, Refusal, SandboxOrder, SandboxStatus


class TerminalHands:
    """Does nothing where no stop rests."""

    def __init__(self, world: DrillWorld, exchange: SandboxExchange) -> None:
        self._world, self._exchange = world, exchange

    async def cancel_stop(self, event: PlannedEvent) -> None:
        stop = self._resting_stop(event.number)
        if stop is not None:
            self._world.story.tell(f"somebody cancels order {stop.order_id} at the broker's terminal")
            self._exchange.cancel(stop.account, stop.order_id)

    async def raise_stop(self, event: PlannedEvent) -> None:
        stop = self._resting_stop(event.number)
        if stop is None:
            return
        self._world.story.tell(f"somebody doubles order {stop.order_id} at the broker's terminal")
        try:
            self._exchange.modify(stop.account, stop.order_id, ChangedOrder(quantity=2 * stop.request.quantity))
        except Refusal as refusal:
            self._world.story.tell(f"the exchange refuses it: {refusal.text}")

    def _resting_stop(self, number: int) -> SandboxOrder | None:
        accounts = [network.account for network in self._world.networks.values()]
        orders = [order for account in accounts for order in self._exchange.orders(account)]
        found = [order for order in orders if order.status is SandboxStatus.TRIGGER_PENDING]
        return found[number % len(found)] if found else None
