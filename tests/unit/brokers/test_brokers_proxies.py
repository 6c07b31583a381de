"""What is of this machine is asked directly: a proxy of the environment would get the token, and send the order on."""

import asyncio
from collections.abc import Iterator

import pytest
from testkit.scripted_server import Reply, ScriptedServer
from testkit.waiting import WALL_TIMERS
from websockets.asyncio.server import ServerConnection, serve

from tradebus.brokers.audit.log import UNRECORDED
from tradebus.brokers.credentials import Credential
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.feed import FeedEvent
from tradebus.brokers.redaction import Redactor
from tradebus.brokers.registry import CLIENT_ID, open_broker
from tradebus.brokers.sockets import ReconnectingSocket, Send, SocketAddress

VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "ws_proxy")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ScriptedServer(lambda asked: Reply({"status": "error"}, 502)) as server:
        for name in VARIABLES:
            monkeypatch.setenv(name, server.url)
        yield server


@pytest.mark.parametrize("name", CLIENT_ID)
async def test_a_sandbox_on_this_machine_is_asked_without_the_proxy(proxy: ScriptedServer, name: str) -> None:
    with ScriptedServer(lambda asked: Reply({"status": "error"}, 400)) as sandbox:
        broker = open_broker(
            name, Credential(name, "client", access_token="token-0123"), url=sandbox.url, timers=WALL_TIMERS,
            log=UNRECORDED,
        )  # fmt: skip
        with pytest.raises(BrokerError):
            await broker.account.positions()
        broker.close()
        assert (len(proxy.asked), bool(sandbox.asked)) == (0, True)


async def test_a_socket_of_this_machine_is_opened_without_the_proxy(proxy: ScriptedServer) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("hello")
        await connection.wait_closed()

    async def opened(send: Send) -> None:
        return None

    async with serve(handler, "127.0.0.1", 0) as running:
        port = next(iter(running.sockets)).getsockname()[1]

        async def address() -> SocketAddress:
            return SocketAddress(f"ws://127.0.0.1:{port}/?token=token-0123")

        socket = ReconnectingSocket(
            "feed", address=address, opened=opened, redactor=Redactor(["token-0123"]), timers=WALL_TIMERS
        )
        async with asyncio.timeout(10):
            async for item in socket.frames():
                if not isinstance(item, FeedEvent):
                    assert item == ["hello"]
                    await socket.close()
    assert proxy.asked == []
