"""Several processes on one set of servers: whoever is left keeps them, whoever started them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from testkit.embedded import HOLDER, Holder, answers, gone, read, working_in, write
from testkit.waiting import eventually

from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded import EmbeddedServers, running_servers

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")


@pytest.fixture
def join(state_dir: Path) -> Iterator[Callable[[], Holder]]:
    """More processes that hold the same servers."""
    joined: list[Holder] = []

    def one() -> Holder:
        joined.append(Holder(state_dir, stderr=subprocess.PIPE))
        return joined[-1]

    yield one
    for other in joined:
        other.end()
    for process in working_in(state_dir):
        process.kill()


def leave(holder: Holder) -> None:
    """It needs them no more, and says so."""
    holder.process.communicate("", timeout=60)
    assert holder.process.returncode == 0


@pytest.mark.parametrize("ends", [leave, Holder.kill])
def test_servers_outlive_who_started_them_while_another_holds_them_and_end_with_the_last(
    holder: Holder, state_dir: Path, join: Callable[[], Holder], ends: Callable[[Holder], None]
) -> None:
    write(holder.urls, "committed")
    second = join()
    assert second.urls == holder.urls
    assert second.urls.starter_pid == holder.process.pid
    ends(holder)
    third = join()
    assert third.urls == holder.urls
    assert not gone([holder.keeper(), *holder.servers()]), "the same servers go on"
    ends(second)
    assert answers(third.urls, kept=["committed"])
    ends(third)
    eventually(lambda: gone(holder.children) and running_servers(state_dir) is None)
    with EmbeddedServers(state_dir) as urls:
        assert urls == holder.urls
        assert read(urls) == (["committed"], ["committed"])


@only_linux
def test_a_server_that_dies_after_its_starter_is_started_again_for_who_is_left(
    holder: Holder, join: Callable[[], Holder]
) -> None:
    write(holder.urls, "committed")
    second = join()
    holder.kill()
    for name in ("postgres", "valkey-server"):
        first = next(one for one in holder.keeper().children() if one.name() == name)
        first.kill()
        eventually(lambda: gone([first]))  # noqa: B023 (asked before the next turn)
        eventually(lambda: answers(second.urls, kept=["committed"]))


@only_linux
def test_who_is_left_starts_servers_again_that_are_gone_altogether_at_the_same_addresses(
    holder: Holder, state_dir: Path, join: Callable[[], Holder]
) -> None:
    write(holder.urls, "committed")
    second, third = join(), join()
    holder.kill()
    holder.keeper().kill()
    eventually(lambda: gone(holder.children))
    eventually(lambda: answers(second.urls, kept=["committed"]), seconds=60)
    found = running_servers(state_dir)
    assert found == holder.urls
    assert found is not None
    assert found.starter_pid in (second.process.pid, third.process.pid)
    heir, other = (second, third) if found.starter_pid == second.process.pid else (third, second)
    # Who has taken them over is their starter now, to the end.
    leave(heir)
    assert answers(other.urls, kept=["committed"])
    started = working_in(state_dir)
    leave(other)
    eventually(lambda: gone(started))


@only_linux
def test_an_address_that_somebody_else_has_meanwhile_is_waited_for(holder: Holder, join: Callable[[], Holder]) -> None:
    write(holder.urls, "committed")
    second = join()
    os.kill(second.process.pid, signal.SIGSTOP)  # it sees nothing while somebody takes the port
    holder.kill()
    holder.keeper().kill()
    eventually(lambda: gone(holder.children))
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", urlsplit(holder.urls.redis_url).port or 0))
        taken.listen()
        os.kill(second.process.pid, signal.SIGCONT)
        assert second.process.stderr is not None
        assert "gone with who ran them" in second.process.stderr.readline()
        assert "somebody else listens there now; end that" in second.process.stderr.readline()
        assert not answers(second.urls, kept=["committed"])
    eventually(lambda: answers(second.urls, kept=["committed"]), seconds=60)


def test_who_joins_and_goes_again_is_not_noticed(holder: Holder, state_dir: Path, join: Callable[[], Holder]) -> None:
    for ends in (leave, Holder.kill):
        ends(join())
    with EmbeddedServers(state_dir) as urls, EmbeddedServers(state_dir) as again:
        assert urls == again == holder.urls
    write(holder.urls, "undisturbed")
    leave(holder)
    assert gone(holder.children), "who started them and is the last to go sees them end"


def test_servers_that_run_without_what_is_wanted_are_refused_in_one_line_that_names_the_process(
    state_dir: Path,
) -> None:
    with EmbeddedServers(state_dir, postgres=False):
        with pytest.raises(Unavailable) as told:
            EmbeddedServers(state_dir).start()
        assert f"process {os.getpid()} already runs its servers here, without Postgres" in str(told.value)
        assert "TRADEBUS_STATE_DIR" in str(told.value)
        assert "\n" not in str(told.value)
        with EmbeddedServers(state_dir, postgres=False):
            pass


def test_many_starts_at_once_end_with_one_set_of_servers_for_all(state_dir: Path) -> None:
    starters = [
        subprocess.Popen([sys.executable, str(HOLDER), str(state_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip
    try:
        lines = {starter.stdout.readline() for starter in starters if starter.stdout}
        assert len(lines) == 1
        assert "postgresql://" in lines.pop()
        assert len([one for one in working_in(state_dir) if one.name() == "valkey-server"]) == 1
    finally:
        for starter in starters:
            assert starter.communicate("") == ("", "")
    eventually(lambda: working_in(state_dir) == [])
