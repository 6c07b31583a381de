"""The channel: one user's commands in order, another's beside them, a failure that stops nobody."""

import asyncio
import json
from typing import Any, cast

from testkit.waiting import WALL_TIMERS

from services.gateway.domain.body import ExternalCommand, RefusedCommand
from services.gateway.doors import ChannelDoor, InboxHandler
from services.gateway.handlers import CommandHandler
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Outgoing
from tradebus.contracts.streams import COMMAND_CHANNEL, COMMAND_INBOX


class Hands:
    """Stands where the handler does: carries nothing out, and hangs or fails for whom a test says."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.reported: list[str] = []
        self.free = asyncio.Event()

    async def carry_out(self, command: ExternalCommand | RefusedCommand, *, delivery_id: str | None = None) -> None:
        if command.user_id == "hangs":
            await self.free.wait()
        if command.user_id == "poison":
            raise ZeroDivisionError
        self.done.append(f"{command.user_id} {command.action}")

    async def put_aside(self, command: ExternalCommand | RefusedCommand, what: str) -> None:
        self.reported.append(f"{command.user_id} {command.action}: {what}")
        raise RuntimeError("the report fails as well")


async def test_no_user_waits_for_another_and_kill_for_nobody() -> None:
    bus, hands, stop = MemoryBus(timers=WALL_TIMERS), Hands(), asyncio.Event()
    listener = bus.listen(COMMAND_CHANNEL)
    await listener.ready()
    door = ChannelDoor(listener, cast(CommandHandler, hands), timers=WALL_TIMERS)
    running = asyncio.create_task(door.run(stop))

    async def send(action: str, user_id: str | None = None) -> None:
        body: dict[str, Any] = {"action": action, "data": {}}
        await bus.broadcast(COMMAND_CHANNEL, json.dumps(body | ({"user_id": user_id} if user_id else {})).encode())

    for action in ("PAUSE_TRADING", "RESUME_TRADING", "STOP_TRADING"):
        for user_id in ("hangs", "poison", "other"):
            await send(action, user_id)
    await send("KILL")
    async with asyncio.timeout(10):
        while len(hands.done) < 4 or len(hands.reported) < 3:
            await asyncio.sleep(0)
    assert "None KILL" in hands.done
    assert [one for one in hands.done if one != "None KILL"] == [
        "other PAUSE_TRADING",
        "other RESUME_TRADING",
        "other STOP_TRADING",
    ]
    hands.free.set()
    async with asyncio.timeout(10):
        while len(hands.done) < 7:
            await asyncio.sleep(0)
    assert hands.done[4:] == ["hangs PAUSE_TRADING", "hangs RESUME_TRADING", "hangs STOP_TRADING"]
    await send("STOP_TRADING", "poison")
    async with asyncio.timeout(10):
        while len(hands.reported) < 4:
            await asyncio.sleep(0)
    assert hands.reported[-1] == "poison STOP_TRADING: ZeroDivisionError"
    stop.set()
    await running


class Inbox(Hands):
    """Its reports do not fail."""

    async def put_aside(self, command: ExternalCommand | RefusedCommand, what: str) -> None:
        self.reported.append(f"{command.user_id} {command.command_id} {command.action}: {what}")


async def test_what_the_inbox_puts_aside_is_answered_to_its_sender_by_the_group_that_carries_it_out() -> None:
    bus, hands = MemoryBus(timers=WALL_TIMERS), Inbox()
    bodies: list[dict[str, Any]] = [
        {"action": "STOP_TRADING", "user_id": "123", "command_id": "c1", "data": {}},
        {"action": "KILL", "command_id": "c2", "data": {}},
    ]
    await bus.publish([Outgoing(COMMAND_INBOX.name, "command", json.dumps(one).encode()) for one in bodies])
    for group, kill in (("kills", True), ("others", False)):
        handler = InboxHandler(cast(CommandHandler, hands), kill=kill)
        subscription = await bus.subscribe([COMMAND_INBOX.name], group=group, consumer="1")
        for entry in await subscription.read(block_ms=0):
            await handler.put_aside(subscription, entry, "ZeroDivisionError: a secret")
        assert await subscription.lag() == {COMMAND_INBOX.name: 0}
    assert hands.reported == ["None c2 KILL: ZeroDivisionError", "123 c1 STOP_TRADING: ZeroDivisionError"]
    assert await bus.tail(COMMAND_INBOX.name, count=10) == []
