"""Where commands come in besides HTTP: the pub/sub channel and the durable inbox. KILL has a way of its own in both.

    trading:commands ────► KILL? ─► at once
                              └──► the user's turn: one user's commands in order, different users' side by side
    trading.commands.v1 ─┬─ group "gateway"       everything but KILL, in order ─► carried out ─► erased
                         └─ group "gateway-kill"  KILL only ─► at once

A body is never copied to a dead-letter stream, and leaves the inbox once it is taken: it may hold an access token. What
cannot be carried out is reported instead.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import structlog

from services.gateway.domain.body import CommandAction, ExternalCommand, RefusedCommand, read_command
from services.gateway.handlers import CommandHandler
from tradebus.bus.port import ChannelListener, Entry, Outgoing, Subscription
from tradebus.contracts.streams import COMMAND_INBOX
from tradebus.kernel.timers import Timers
from tradebus.runtime.consumer import DONE, Answer
from tradebus.runtime.patience import patiently

_log = structlog.get_logger()
_WAITING_MAX = 10_000
Read = ExternalCommand | RefusedCommand


def is_kill(command: Read) -> bool:
    return command.action == CommandAction.KILL


class ChannelDoor:
    """`trading:commands` on pub/sub. `listener` must be ready before senders are told that the gateway is."""

    def __init__(self, listener: ChannelListener, handler: CommandHandler, *, timers: Timers) -> None:
        self._listener, self._handler, self._timers = listener, handler, timers
        self._waiting: dict[str, deque[Read]] = {}  # by user; whose deque is here is being worked off
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    async def run(self, stop: asyncio.Event) -> None:
        stopper = asyncio.create_task(self._close_on(stop))
        try:
            async for body in self._listener:
                self._take(read_command(body), stop)
        finally:
            stopper.cancel()
            await self._listener.aclose()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _close_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await self._listener.aclose()

    def _take(self, command: Read, stop: asyncio.Event) -> None:
        if is_kill(command):
            self._start(self._carry_out(command, stop))
        elif self._count >= _WAITING_MAX:
            # Who needs to know what became of a command writes to the inbox or asks over HTTP.
            _log.error("command dropped: too many wait", action=command.action, waiting=self._count)
        else:
            self._count += 1
            user = command.user_id or ""
            if user in self._waiting:
                self._waiting[user].append(command)
            else:
                self._waiting[user] = deque([command])
                self._start(self._work_off(user, stop))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work_off(self, user: str, stop: asyncio.Event) -> None:
        commands = self._waiting[user]
        try:
            while commands:
                self._count -= 1
                await self._carry_out(commands.popleft(), stop)
        finally:
            self._count -= len(commands)
            del self._waiting[user]

    async def _carry_out(self, command: Read, stop: asyncio.Event) -> None:
        try:
            await patiently(partial(self._handler.carry_out, command), stop, timers=self._timers, what="a command")
        except Exception as error:  # noqa: BLE001 - whatever one command does, the others are carried out
            _log.error("command failed", action=command.action, user_id=command.user_id, exc_info=error)
            report = partial(self._handler.put_aside, command, type(error).__name__)
            try:
                await patiently(report, stop, timers=self._timers, what="reporting a command")
            except Exception as again:  # noqa: BLE001 - said in the log at least
                _log.error("command failed, and so did its report", exc_info=again)


class InboxHandler:
    """Carries out what waits in the inbox, KILL alone or everything else."""

    def __init__(self, handler: CommandHandler, *, kill: bool) -> None:
        self._handler, self._kill = handler, kill

    async def handle(self, entry: Entry) -> Answer:
        command = read_command(entry.body)
        if is_kill(command) == self._kill:
            # Two streams may hold entries of one id.
            where = "inbox" if entry.stream == COMMAND_INBOX.name else f"inbox:{entry.stream}"
            await self._handler.carry_out(command, delivery_id=f"{where}:{entry.entry_id}")
        return DONE

    async def recover(self) -> None:
        """Nothing is kept here."""

    async def commit(self) -> bool:
        return True

    async def put_aside(self, subscription: Subscription, entry: Entry, reason: str) -> None:
        """Tells who sent the command, without a word of what it held, and erases it. One group alone answers it."""
        command = read_command(entry.body)
        if is_kill(command) == self._kill:
            await self._handler.put_aside(command, reason.partition(":")[0])
            await subscription.erase([entry])
        else:  # the other group's, who may not have read it
            await subscription.ack([entry])


class ErasingSubscription:
    """A subscription to the inbox whose entries are gone from it once they are done with. A KILL stays for the group
    that hears it alone (and is trimmed like anything else): nothing in it is secret."""

    def __init__(self, inner: Subscription) -> None:
        self._inner = inner

    async def read(self, *, block_ms: int, count: int = 16) -> list[Entry]:
        return await self._inner.read(block_ms=block_ms, count=min(count, 16))

    async def ack(self, entries: Sequence[Entry]) -> None:
        kills = [entry for entry in entries if is_kill(read_command(entry.body))]
        await self._inner.ack(kills)
        await self._inner.erase([entry for entry in entries if entry not in kills])

    async def publish_and_ack(self, outgoing: Sequence[Outgoing], entries: Sequence[Entry]) -> None:
        await self._inner.publish_and_ack(outgoing, [])
        await self.ack(entries)

    async def claim_idle(self, *, min_idle_ms: int, count: int = 64) -> list[Entry]:
        return await self._inner.claim_idle(min_idle_ms=min_idle_ms, count=count)

    async def dead_letter(self, entry: Entry, *, reason: str) -> None:
        raise RuntimeError("a command is never copied to the dead letters")

    async def take_in_hand(self, entry: Entry) -> int:
        return await self._inner.take_in_hand(entry)

    async def erase(self, entries: Sequence[Entry]) -> None:
        await self._inner.erase(entries)

    async def lag(self) -> dict[str, int]:
        return await self._inner.lag()

    async def close(self) -> None:
        await self._inner.close()
