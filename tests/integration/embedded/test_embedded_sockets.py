"""The socket files of the embedded servers."""

import asyncio
import os
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from testkit.waiting import WALL_TIMERS

from tradebus.bus.redis.bus import RedisBus
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded import EmbeddedServers, running_servers
from tradebus.runtime.embedded.sockets import require_own_port, socket_folder
from tradebus.store.migrate import migrate
from tradebus.store.store import Store


async def _services_reach(database_url: str, redis_url: str) -> tuple[int, float]:
    store = await Store.connect(database_url, namespace="sockets", producer="test-1", timers=WALL_TIMERS)
    bus = await RedisBus.connect(redis_url, namespace="sockets", timers=WALL_TIMERS)
    try:
        return await store.pool.fetchval("SELECT 1"), len(await bus.tail("nothing", count=1))
    finally:
        await bus.close()
        await store.close()


def test_services_beside_the_servers_reach_them_by_files_nobody_else_may_use(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as urls:
        near = urls.for_services
        assert "127.0.0.1" not in near.database_url + near.redis_url
        folder = socket_folder(state_dir, "redis")
        assert folder is not None
        for server in ("postgres", "redis"):
            assert stat.S_IMODE((folder.parent / server).stat().st_mode) == 0o700
        migrate(near.database_url, namespace="sockets")
        assert asyncio.run(_services_reach(near.database_url, near.redis_url)) == (1, 0)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(near.database_url.replace(urlsplit(near.database_url).password or "", "guess"))
        near_redis = redis.Redis(unix_socket_path=str(folder / "redis.sock"))
        with near_redis as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_files_of_servers_that_were_killed_are_in_nobodys_way(state_dir: Path) -> None:
    for name in ("redis/redis.sock", "postgres/.s.PGSQL.20000", "postgres/.s.PGSQL.20000.lock", "redis.sock"):
        (state_dir / "sockets" / name).parent.mkdir(parents=True, exist_ok=True)
        (state_dir / "sockets" / name).write_text("1\n")
    with EmbeddedServers(state_dir) as urls:
        with psycopg.connect(urls.for_services.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        left = {str(path.relative_to(state_dir / "sockets")) for path in (state_dir / "sockets").rglob("*.*")}
        assert "redis.sock" not in left
        assert "postgres/.s.PGSQL.20000.lock" not in left or ":20000/" in urls.database_url


@pytest.mark.skipif(os.geteuid() != 0, reason="only for root is Postgres another user")
def test_where_root_runs_them_the_user_of_postgres_can_put_nothing_where_redis_listens(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as urls:
        postgres = (state_dir / "postgres").stat().st_uid
        assert postgres != 0
        for folder in (state_dir, state_dir / "sockets", state_dir / "sockets" / "redis"):
            told = folder.stat()
            assert (told.st_uid, told.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) == (0, 0), folder
        assert urlsplit(urls.redis_socket_url).path == str(state_dir / "sockets" / "redis" / "redis.sock")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file somebody else's")
@pytest.mark.parametrize("whose", ["folder", "socket"])
def test_a_false_socket_is_named_before_a_password_is_said(state_dir: Path, whose: str) -> None:
    with EmbeddedServers(state_dir, postgres=False):
        assert running_servers(state_dir) is not None
        folder = state_dir / "sockets" / "redis"
        (folder / "redis.sock").unlink()
        with socket.socket(socket.AF_UNIX) as false_server:
            false_server.bind(str(folder / "redis.sock"))
            false_server.listen()
            os.chown(folder if whose == "folder" else folder / "redis.sock", 65534, 65534)
            with pytest.raises(Unavailable, match=r"sockets/redis.*a false server could answer there"):
                running_servers(state_dir)


def test_a_folder_too_deep_for_socket_files_uses_ports(state_dir: Path) -> None:
    deep = state_dir / ("a" * 60) / ("b" * 60)
    assert socket_folder(deep, "redis") is None
    with EmbeddedServers(deep) as urls:
        assert urls.for_services.database_url == urls.database_url
        assert urls.for_services.redis_url == urls.redis_url
        assert running_servers(deep) == urls
        with psycopg.connect(urls.database_url) as connection:
            assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux says who listens")
def test_a_false_server_at_the_port_is_named_before_a_password_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        require_own_port(port, owner_uid=os.geteuid())
        with pytest.raises(Unavailable, match=rf"127.0.0.1:{port}: .* listens there"):
            require_own_port(port, owner_uid=os.geteuid() + 1)
    require_own_port(port, owner_uid=os.geteuid() + 1)  # nobody: connecting says so
