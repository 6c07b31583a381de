"""Servers that are not there, not ours, not ready, or gone in the middle."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from testkit.simulated import PatientTimers, through
from testkit.waiting import WALL_TIMERS

from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.runtime.embedded import EmbeddedServers
from tradebus.runtime.patience import PASSING
from tradebus.store.migrate import migrate
from tradebus.store.store import Store

PASSWORD = "not-to-be-shown"


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


async def test_no_server_is_one_line_with_host_port_and_database(deaf_port: int) -> None:
    url = f"postgresql://user:{PASSWORD}@127.0.0.1:{deaf_port}/book"
    timers = PatientTimers()
    with pytest.raises(Unavailable) as told:
        await through(timers, Store.connect(url, namespace="", producer="test-1", retry_seconds=60, timers=timers))
    assert one_line(told.value).startswith(f"Postgres at 127.0.0.1:{deaf_port}, database 'book' does not answer")
    assert 60 <= timers.now_ns() / 1e9 < 63, "given up when the time was up, not earlier and not much later"


async def test_a_server_that_comes_late_is_waited_for(state_dir: Path) -> None:
    servers = EmbeddedServers(state_dir, redis=False)
    with servers as urls:
        migrate(urls.database_url, namespace="")
    connecting = asyncio.create_task(
        Store.connect(urls.database_url, namespace="", producer="test-1", retry_seconds=60, timers=WALL_TIMERS)
    )
    await asyncio.sleep(0.2)  # some attempts: fewer would prove less, never fail
    assert not connecting.done()
    with servers as again:
        assert again == urls, "a folder keeps its address"
        store = await connecting
        assert await store.pool.fetchval("SELECT count(*) FROM outbox") == 0
        await store.close()


async def test_a_wrong_password_is_told_at_once(database_url: str, migrated: str) -> None:
    parts = urlsplit(database_url)
    url = f"postgresql://{parts.username}:{PASSWORD}@{parts.hostname}:{parts.port}{parts.path}"
    with pytest.raises(Unavailable) as told:
        await Store.connect(url, namespace=migrated, producer="test-1", retry_seconds=3600, timers=WALL_TIMERS)
    assert "password authentication failed" in one_line(told.value)


async def test_a_database_that_does_not_exist_is_named(database_url: str, migrated: str) -> None:
    url = urlsplit(database_url)._replace(path="/no_such_book").geturl()
    with pytest.raises(Unavailable, match="no_such_book"):
        await Store.connect(url, namespace=migrated, producer="test-1", retry_seconds=3600, timers=WALL_TIMERS)
    with pytest.raises(Unavailable, match="no_such_book"):
        migrate(url, namespace=migrated)


async def test_a_namespace_never_migrated_says_which_command_to_run(database_url: str, namespace: str) -> None:
    with pytest.raises(Unavailable, match=f"TRADEBUS_NAMESPACE={namespace} tradebus migrate"):
        await Store.connect(database_url, namespace=namespace, producer="test-1", timers=WALL_TIMERS)


@pytest.mark.parametrize("url", ["postgresql://u@h/d?no_such_option=1", "redis://h", "postgresql://u@h:x/d"])
async def test_a_malformed_address_is_told_at_once(url: str) -> None:
    with pytest.raises((InvalidInput, Unavailable)):
        await Store.connect(url, namespace="", producer="test-1", retry_seconds=0.1, timers=WALL_TIMERS)
    with pytest.raises(InvalidInput):
        migrate(url, namespace="")


async def test_a_server_killed_in_between_is_back_for_the_next_transaction(state_dir: Path) -> None:
    with EmbeddedServers(state_dir, redis=False) as urls:
        migrate(urls.database_url, namespace="")
        store = await Store.connect(
            urls.database_url, namespace="", producer="test-1", retry_seconds=60, timers=WALL_TIMERS
        )
        try:
            async with store.begin() as transaction:
                await transaction.first_time("c", "before")
            os.kill(int((state_dir / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            # The connections learn of it one by one; a statement on one that has not fails, for the caller to repeat.
            async with asyncio.timeout(60):
                while True:
                    try:
                        async with store.begin() as transaction:
                            assert not await transaction.first_time("c", "before"), "what was committed is there"
                            await transaction.first_time("c", "after")
                        break
                    except PASSING:
                        await asyncio.sleep(0.05)
        finally:
            await store.close()
