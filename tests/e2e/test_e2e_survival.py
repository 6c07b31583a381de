"""`tradebus up` on its own servers, while everything around execution is killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from testkit.command import Shell, Standing, standing
from testkit.waiting import eventually

from tradebus.runtime.embedded.local import is_alive

SERVERS = ("postgres", "valkey-server")


@pytest.fixture(scope="module")
def up() -> Iterator[Standing]:
    with TemporaryDirectory(prefix="tradebus-tests-") as folder, standing(Shell.at(Path(folder))) as found:
        yield found


def servers_of(up: Standing) -> list[psutil.Process]:
    """The embedded servers' first processes, and the keeper they come from."""
    found = []
    for one in psutil.Process(up.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            first = one.name() in SERVERS and one.parent().name() not in SERVERS
            if first or any("keeper.py" in part for part in one.cmdline()):
                found.append(one)
    return found


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in pids))


def trades(up: Standing) -> bool:
    """Whether a session can be started and stopped, with everything up."""
    assert up.process.poll() is None, "".join(up.said)
    run = up.run
    if not all(service.pid and is_alive(service.pid) for service in run.services.values()):
        return False
    status = up.shell.json("status")
    return status["gateway"] == "ready" and status["health"]["healthy"]


def test_a_service_that_is_killed_again_and_again_ends_nothing_else(up: Standing) -> None:
    execution = up.run.services["execution"].pid
    killed = ("market_data_api", "strategy")
    for restarts in range(1, 6):
        kill([eventually(lambda: up.run.services[name].pid) for name in killed])  # noqa: B023 (asked at once)
        eventually(lambda: min(up.run.services[name].restarts for name in killed) >= restarts, seconds=60)  # noqa: B023
    assert any("market_data_api keeps dying (5 times in a row)" in line for line in up.said)
    assert "killed by signal 9" in up.shell("status").stdout
    eventually(lambda: trades(up), seconds=90)
    assert up.run.services["execution"].pid == execution
    assert up.shell.json("start", "1", "--strategy", "orb", "--symbol", "NIFTY")["session_status"] == "RUNNING"


def test_servers_and_their_keeper_that_are_killed_come_back_and_sessions_go_on(up: Standing) -> None:
    started = up.shell.json("start", "2", "--strategy", "orb", "--symbol", "NIFTY")
    for victims in (SERVERS, ("keeper",), SERVERS):
        found = servers_of(up)
        assert len(found) == 3
        kill([one.pid for one in found if (one.name() in SERVERS) == (victims is SERVERS)])
        eventually(lambda: len(servers_of(up)) == 3, seconds=60)
    eventually(lambda: trades(up), seconds=120)
    found = {session["session_id"]: session["status"] for session in up.shell.json("status")["sessions"]}
    assert found[started["session_id"]] == "RUNNING"
    assert up.shell.json("stop", "2")["status"] == "accepted"
