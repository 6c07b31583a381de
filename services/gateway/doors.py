"""Where commands come in besides HTTP: the pub/sub channel and the durable stream. Every body goes to the handler."""

import asyncio
from functools import partial

import structlog

from services.gateway.handlers import CommandHandler
from services.gateway.patience import patiently
from tradebus.bus.port import Bus, Entry, Listener, Subscription
from tradebus.contracts.streams import COMMAND_INBOX

_log = structlog.get_logger()
_BLOCK_MS = 250
_CLAIM_EVERY_READS = 40
_CLAIM_IDLE_MS = 30_000


class ChannelDoor:
    """`trading:commands` on pub/sub. `listener` must be ready before senders are told that the gateway is."""

    def __init__(self, listener: Listener, handler: CommandHandler) -> None:
        self._listener = listener
        self._handler = handler

    async def run(self, stop: asyncio.Event) -> None:
        stopper = asyncio.create_task(self._close_on(stop))
        try:
            async for body in self._listener:
                await patiently(partial(self._handler.handle, body), stop)
        finally:
            stopper.cancel()
            await self._listener.aclose()

    async def _close_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await self._listener.aclose()


class InboxDoor:
    """`trading.commands.v1`, and each application's own stream beside it: a command waits here while the gateway is
    away. Acknowledged once it is carried out.

    A body is never copied to a dead-letter stream: it may hold an access token. What is bad in it is reported instead.
    """

    def __init__(self, bus: Bus, subscription: Subscription, handler: CommandHandler) -> None:
        self._bus, self._subscription, self._handler = bus, subscription, handler

    async def run(self, stop: asyncio.Event) -> None:
        reads = 0
        while not stop.is_set():
            entries = await self._subscription.read(block_ms=_BLOCK_MS, count=16)
            reads += 1
            if reads % _CLAIM_EVERY_READS == 0:
                entries += await self._subscription.claim_idle(min_idle_ms=_CLAIM_IDLE_MS)
            for entry in entries:
                await self._handle(entry, stop)

    async def _handle(self, entry: Entry, stop: asyncio.Event) -> None:
        # Two streams may hold entries of one id.
        where = "inbox" if entry.stream == COMMAND_INBOX.name else f"inbox:{entry.stream}"
        carry_out = partial(self._handler.handle, entry.body, delivery_id=f"{where}:{entry.entry_id}")
        if await patiently(carry_out, stop) is not None:
            await self._subscription.ack([entry])
