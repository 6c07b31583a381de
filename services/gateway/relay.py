"""Everything the services say, told to the outside.

    signals, intents, risk, orders, sessions, gaps ─► public form ─► trading:events (pub/sub) ─► trading.events.v1, ack

Invariants (tested on real servers): an event of any of these streams reaches the durable stream, also when the
gateway is killed on the way; one stream's events keep their order; a bare watermark is acknowledged and not told.
Told twice after a crash, an event has the same id.
"""

import asyncio

import structlog

from services.gateway.announce import public_entry
from tradebus.bus.port import Bus, Entry, Outgoing, Subscription
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import EVENT_CHANNEL, INTENTS, MD_GAPS, ORDERS, RISK, SESSIONS, SIGNALS

_log = structlog.get_logger()
STREAMS = (SIGNALS.name, INTENTS.shard(0), RISK.name, ORDERS.name, SESSIONS.name, MD_GAPS.name)
GROUP = "gateway"
WATERMARK = "watermark"
_BLOCK_MS = 250
# A paced run sends thousands of bare watermarks: reading them in handfuls leaves the processor to those who need it.
_IDLE_PAUSE_SECONDS = 0.02
_CLAIM_EVERY_READS = 100
_CLAIM_IDLE_MS = 30_000


class Relay:
    def __init__(self, bus: Bus, subscription: Subscription) -> None:
        self._bus, self._subscription = bus, subscription

    async def run(self, stop: asyncio.Event) -> None:
        reads = 0
        while not stop.is_set():
            entries = await self._subscription.read(block_ms=_BLOCK_MS)
            reads += 1
            if reads % _CLAIM_EVERY_READS == 0:
                entries += await self._subscription.claim_idle(min_idle_ms=_CLAIM_IDLE_MS)
            if not await self.forward(entries):
                await asyncio.sleep(_IDLE_PAUSE_SECONDS)

    async def forward(self, entries: list[Entry]) -> int:
        """Tells what these entries say and acknowledges them; how many events that were."""
        told: list[Outgoing] = []
        done: list[Entry] = []
        for entry in entries:
            if entry.kind != WATERMARK:
                try:
                    told.append(public_entry(parse(entry.body)))
                except ValueError as error:
                    _log.error(
                        "unreadable event", stream=entry.stream, entry_id=entry.entry_id, problem=str(error)[:200]
                    )
                    await self._subscription.dead_letter(entry, reason=f"gateway cannot read it: {str(error)[:200]}")
                    continue
            done.append(entry)
        for event in told:
            await self._bus.broadcast(EVENT_CHANNEL, event.body)
        if done:
            await self._subscription.publish_and_ack(told, done)
        return len(told)
