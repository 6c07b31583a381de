"""The supervisor over real processes: small servers of this file's own, ended and killed in every way."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.cli.stack.children import Child, ServiceSpec, free_port
from services.cli.stack.rundir import ServiceState, is_alive
from services.cli.stack.supervisor import Supervisor
from tradebus.kernel.errors import InvalidInput, Unavailable

ROOT = Path(__file__).parents[3]
SERVICE = """
import http.server, os, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
print("up", os.environ["NAME"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["TRADEBUS_HEALTH_PORT"])), Ready).serve_forever()
"""
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('told', flush=True))\n" + SERVICE
OWNER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, "tests/integration/cli")
from test_cli_supervisor import SERVICE, service
from services.cli.stack.supervisor import Supervisor
async def main():
    folder = Path(sys.argv[1])
    supervisor = Supervisor([service("a"), service("b")], run_dir=folder, changed=lambda _: None, say=print)
    await supervisor.start(("a", "b"))
    print(*(one.pid for one in supervisor.services().values()), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def service(name: str, program: str = SERVICE) -> ServiceSpec:
    port = free_port()
    return ServiceSpec(name, [sys.executable, "-c", program], port, {"NAME": name, "TRADEBUS_HEALTH_PORT": str(port)})


class Watched:
    """A supervisor and what it reported."""

    def __init__(self, folder: Path, *specs: ServiceSpec) -> None:
        self.reports: list[dict[str, ServiceState]] = []
        self.said: list[str] = []
        self.supervisor = Supervisor(specs, run_dir=folder, changed=self.reports.append, say=self.said.append)

    def pid(self, name: str) -> int:
        return self.supervisor.services()[name].pid

    async def pid_after_restart(self, name: str, *, restarts: int) -> int:
        async with asyncio.timeout(30):
            while (state := self.supervisor.services()[name]).restarts < restarts or not state.pid:
                await asyncio.sleep(0.01)
        return state.pid


@asynccontextmanager
async def running(folder: Path, *specs: ServiceSpec) -> AsyncIterator[Watched]:
    watched = Watched(folder, *specs)
    try:
        await watched.supervisor.start(("a", "b"))
        yield watched
    finally:
        await watched.supervisor.stop()


async def test_services_are_up_when_start_returns_and_gone_when_stop_does(tmp_path: Path) -> None:
    async with running(tmp_path, service("a"), service("b")) as watched:
        pids = [watched.pid("a"), watched.pid("b")]
        assert all(is_alive(pid) for pid in pids)
        assert (tmp_path / "a.log").read_text() == "up a\n"
    assert not any(is_alive(pid) for pid in pids)


async def test_a_killed_service_is_started_again_and_counted(tmp_path: Path) -> None:
    async with running(tmp_path, service("a"), service("b")) as watched:
        first, other = watched.pid("a"), watched.pid("b")
        for restarts in (1, 2):
            os.kill(watched.pid("a"), signal.SIGKILL)
            assert await watched.pid_after_restart("a", restarts=restarts) != first
        assert watched.pid("b") == other
        assert "killed by signal 9" in watched.said[0]
        assert watched.reports[-1]["a"].restarts == 2


async def test_a_service_that_keeps_dying_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    program = "import sys\nprint('the disk is full')\nsys.exit(1)\n"
    async with running(tmp_path, service("a")) as watched:
        watched.supervisor._children[0].spec = ServiceSpec("a", [sys.executable, "-c", program], 0)
        os.kill(watched.pid("a"), signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"a died 5 times in 60 s .*the disk is full"):
            await watched.supervisor.while_healthy(asyncio.sleep(600))


async def test_what_forgets_everything_with_its_process_is_not_started_again(tmp_path: Path) -> None:
    async with running(tmp_path, replace(service("a"), restartable=False), service("b")) as watched:
        os.kill(watched.pid("a"), signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"a died, and all it knew with it \(was killed by signal 9\)"):
            await watched.supervisor.while_healthy(asyncio.sleep(600))
        assert watched.supervisor.services()["a"].restarts == 0


async def test_a_users_mistake_is_not_tried_again(tmp_path: Path) -> None:
    program = "import sys\nprint('history: row 7 is bad')\nsys.exit(2)\n"
    async with running(tmp_path, service("a")) as watched:
        watched.supervisor._children[0].spec = ServiceSpec("a", [sys.executable, "-c", program], 0)
        os.kill(watched.pid("a"), signal.SIGKILL)
        with pytest.raises(InvalidInput, match="row 7 is bad"):
            await watched.supervisor.while_healthy(asyncio.sleep(600))
        assert watched.supervisor.services()["a"].restarts == 1


async def test_a_service_that_does_not_come_up_says_why_and_the_others_end(tmp_path: Path) -> None:
    broken = service("b", "import sys\nprint('no Redis here')\nsys.exit(3)\n")
    watched = Watched(tmp_path, service("a"), broken)
    with pytest.raises(Unavailable, match=r"b did not come up .*no Redis here"):
        await watched.supervisor.start(("a", "b"))
    pid = watched.pid("a")
    await watched.supervisor.stop()
    assert not is_alive(pid)


async def test_a_service_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    child = Child(service("a", STUBBORN), log=tmp_path / "a.log", stop_seconds=0.2)
    await child.start()
    await child.ready()
    pid = child.pid
    await child.stop()
    assert not is_alive(pid)
    assert (tmp_path / "a.log").read_text() == "up a\ntold\n"


async def test_work_goes_on_while_services_are_healthy(tmp_path: Path) -> None:
    async with running(tmp_path, service("a")) as watched:
        assert await watched.supervisor.while_healthy(asyncio.sleep(0, "done")) == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the service shell watches its parent")
def test_services_end_with_their_supervisor_when_it_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT)
    assert owner.stdout is not None
    pids = [int(part) for part in owner.stdout.readline().split()]
    assert len(pids) == 2
    assert all(is_alive(pid) for pid in pids)
    owner.kill()
    owner.wait()
    owner.stdout.close()

    async def gone() -> None:
        async with asyncio.timeout(30):
            while any(is_alive(pid) for pid in pids):
                await asyncio.sleep(0.01)

    asyncio.run(gone())
