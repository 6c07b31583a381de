"""No command holds up another, and none ends the gateway: hostile strategy files, floods, poison in the inbox, KILL."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit.gateway import START, Gateway, eventually

from services.gateway.settings import GatewaySettings
from tradebus.bus.port import Outgoing
from tradebus.contracts.streams import COMMAND_CHANNEL, COMMAND_INBOX, EVENTS

GOOD = """
from tradebus.strategies.protocol import Strategy, StrategyParameters

class Own(Strategy[StrategyParameters]):
    NAME = "own"
    PARAMETERS = StrategyParameters

    def on_candle(self, candle, context):
        return None
"""
TOKEN = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW"


def file_of(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def start_of(path: Path, *, user_id: str = "123") -> dict[str, Any]:
    data = {**START["data"], "strategies": [{"name": "own", "path": str(path)}]}
    return {**START, "user_id": user_id, "data": data}


async def to_inbox(gateway: Gateway, command: dict[str, Any]) -> None:
    await gateway.bus.publish([Outgoing(COMMAND_INBOX.name, "COMMAND", json.dumps(command).encode())])


async def inbox_is_empty(gateway: Gateway) -> None:
    async def empty() -> bool:
        return not await gateway.bus.tail(COMMAND_INBOX.name, count=9)

    await eventually(empty, seconds=60)


async def kills(gateway: Gateway) -> int:
    return [entry.kind for entry in await gateway.commands()].count("KILL")


def hostile(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that no program should wait for or die of, and what is said of each."""
    os.mkfifo(folder / "pipe.py")
    (folder / "huge.py").write_bytes(b"#" * 5_000_000)
    (folder / "folder.py").mkdir()
    (folder / "device.py").symlink_to("/dev/zero")
    return {
        "pipe": (folder / "pipe.py", "a pipe"),
        "device": (folder / "device.py", "a device"),
        "folder": (folder / "folder.py", "cannot be read"),
        "huge": (folder / "huge.py", "is larger than"),
        "exits": (file_of(folder, "exits", "import os\nos._exit(3)"), "exit code 3"),
        "crashes": (
            file_of(folder, "crashes", "import ctypes\nctypes.string_at(0)"),
            "SIGSEGV",
        ),
        "kills": (file_of(folder, "kills", "import os\nos.kill(0, 9)"), "SIGKILL"),
        "eats": (file_of(folder, "eats", "x = bytearray(64 << 30)"), "MemoryError"),
        "prints": (file_of(folder, "prints", "print('[]')\nimport os\nos._exit(0)"), "the process that loads the file"),
    }


async def test_no_strategy_file_is_waited_for_or_died_of_and_a_good_one_starts(
    gateway: Gateway, tmp_path: Path
) -> None:
    for path, problem in hostile(tmp_path).values():
        reply = await gateway.command(**start_of(path))
        assert reply["status"] == "rejected"
        (error,) = reply["errors"]
        assert error["field"] == "data.strategies[0].path"
        assert problem in error["problem"], path
        assert str(path) not in json.dumps(reply["errors"])
    reply = await gateway.command(**start_of(file_of(tmp_path, "own", GOOD)))
    assert reply["status"] == "accepted", reply


@pytest.fixture
async def hasty(launch: Callable[[GatewaySettings], Any], gateway_settings: GatewaySettings) -> Gateway:
    """A gateway that does not wait for long."""
    found: Gateway = await launch(gateway_settings.model_copy(update={"strategy_check_seconds": 1.0}))
    return found


async def test_a_file_that_hangs_is_given_up(hasty: Gateway, tmp_path: Path) -> None:
    reply = await hasty.command(**start_of(file_of(tmp_path, "hangs", "while True: pass")))
    (error,) = reply["errors"]
    assert error == {"field": "data.strategies[0].path", "problem": error["problem"]}
    assert "did not answer within 1 s" in error["problem"]


async def test_a_poisonous_start_in_the_inbox_is_refused_once_and_the_next_command_is_carried_out(
    gateway: Gateway, tmp_path: Path
) -> None:
    poison = file_of(tmp_path, "crashes", "import ctypes\nctypes.string_at(0)")
    await to_inbox(gateway, start_of(poison, user_id="poison"))
    await to_inbox(gateway, {**START, "user_id": "after", "command_id": "next"})
    await gateway.event("COMMAND_REJECTED", user_id="poison")

    async def started() -> bool:
        return bool(await gateway.store.pool.fetchval("SELECT count(*) FROM sessions WHERE user_id = 'after'"))

    await eventually(started, seconds=60)
    await inbox_is_empty(gateway)


async def test_a_command_with_a_token_leaves_the_inbox_and_the_token_is_told_to_nobody(gateway: Gateway) -> None:
    data = {**START["data"], "acces_token": TOKEN, "symbols": [TOKEN], "limits": {TOKEN: TOKEN}}
    await to_inbox(gateway, {**START, "data": data})
    await to_inbox(gateway, {**START, "action": TOKEN})
    await to_inbox(gateway, {**START, TOKEN: 1})

    async def told() -> bool:
        events = await gateway.events()
        return [one["type"] for one in events].count("COMMAND_REJECTED") == 3

    await eventually(told, seconds=60)
    await inbox_is_empty(gateway)
    public = b"".join(entry.body for entry in await gateway.bus.tail(EVENTS.name, count=100))
    book = await gateway.store.pool.fetch("SELECT body::text AS body FROM events")
    rows = await gateway.store.pool.fetch("SELECT message_id FROM inbox")
    assert TOKEN not in public.decode()
    assert TOKEN not in str([row["body"] for row in book])
    assert TOKEN not in str([row["message_id"] for row in rows])


@pytest.mark.parametrize("door", ["http", "channel", "inbox"])
async def test_kill_is_out_while_forty_starts_hang(hasty: Gateway, tmp_path: Path, door: str) -> None:
    gateway = hasty
    path = file_of(tmp_path, "hangs", "import time\ntime.sleep(1000)")
    starts = [start_of(path, user_id=f"u{number}") for number in range(40)]
    hanging = [asyncio.create_task(gateway.command(**one)) for one in starts]
    for one in starts[:5]:
        await gateway.bus.broadcast(COMMAND_CHANNEL, json.dumps({**one, "user_id": f"c-{one['user_id']}"}).encode())
    await to_inbox(gateway, {**starts[0], "user_id": "i"})
    await asyncio.wait(hanging, return_when=asyncio.FIRST_COMPLETED)  # the gateway has taken them in
    kill = {"action": "KILL", "data": {"reason": "enough"}}
    if door == "http":
        assert (await gateway.command(**kill))["status"] == "accepted"
    elif door == "channel":
        await gateway.bus.broadcast(COMMAND_CHANNEL, json.dumps(kill).encode())
    else:
        await to_inbox(gateway, kill)

    async def out() -> bool:
        return await kills(gateway) > 0

    await eventually(out)
    assert any(not one.done() for one in hanging), "it overtook those that hang"
    (await gateway.http.get("/healthz")).raise_for_status()
    for one in hanging:
        one.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_flood_on_the_channel_holds_up_no_kill_behind_it(gateway: Gateway) -> None:
    for number in range(500):
        body = json.dumps({"action": "STOP_TRADING", "user_id": f"u{number % 7}", "data": {}}).encode()
        await gateway.bus.broadcast(COMMAND_CHANNEL, body)
    await gateway.bus.broadcast(COMMAND_CHANNEL, b'{"action": "KILL"}')

    async def out() -> bool:
        return await kills(gateway) > 0

    await eventually(out)
