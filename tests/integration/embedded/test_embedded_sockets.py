"""The socket files of the embedded servers."""

import asyncio
import stat
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tradebus.bus.redis_bus import RedisBus
from tradebus.runtime.embedded import EmbeddedServers
from tradebus.runtime.embedded.sockets import socket_folder
from tradebus.store.migrate import migrate
from tradebus.store.store import Store


async def _services_reach(database_url: str, redis_url: str) -> tuple[int, float]:
    store = await Store.connect(database_url, namespace="sockets", producer="test-1")
    bus = await RedisBus.connect(redis_url, namespace="sockets")
    try:
        return await store.pool.fetchval("SELECT 1"), len(await bus.tail("nothing", count=1))
    finally:
        await bus.close()
        await store.close()


def test_services_beside_the_servers_reach_them_by_files_nobody_else_may_use(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as urls:
        near = urls.for_services
        assert "127.0.0.1" not in near.database_url + near.redis_url
        folder = socket_folder(state_dir)
        assert folder is not None
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        migrate(near.database_url, namespace="sockets")
        assert asyncio.run(_services_reach(near.database_url, near.redis_url)) == (1, 0)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(near.database_url.replace(urlsplit(near.database_url).password or "", "guess"))
        near_redis = redis.Redis(unix_socket_path=str(folder / "redis.sock"))
        with near_redis as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_files_of_servers_that_were_killed_are_in_nobodys_way(state_dir: Path) -> None:
    folder = socket_folder(state_dir)
    assert folder is not None
    folder.mkdir(parents=True)
    for name in ("redis.sock", ".s.PGSQL.20000", ".s.PGSQL.20000.lock"):
        (folder / name).write_text("1\n")
    with EmbeddedServers(state_dir) as urls:
        with psycopg.connect(urls.for_services.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert not (folder / ".s.PGSQL.20000.lock").exists() or ":20000/" in urls.database_url


def test_a_folder_too_deep_for_socket_files_uses_ports(state_dir: Path) -> None:
    deep = state_dir / ("a" * 60) / ("b" * 60)
    assert socket_folder(deep) is None
    with EmbeddedServers(deep) as urls:
        assert urls.for_services.database_url == urls.database_url
        assert urls.for_services.redis_url == urls.redis_url
        with psycopg.connect(urls.database_url) as connection:
            assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
