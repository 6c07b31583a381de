"""The supervisor over real processes: small servers of this file's own, ended and killed in every way."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from testkit.child_services import STUBBORN, Watched, running, service

from services.cli.stack.children import Child
from services.cli.stack.restarts import RestartPolicy
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.runtime.embedded.local import is_alive

ROOT = Path(__file__).parents[3]
OWNER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, "tests")
from testkit.child_services import running, service
async def main():
    async with running(Path(sys.argv[1]), service("a"), service("b")) as watched:
        print(watched.pid("a"), watched.pid("b"), flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
STANDING = RestartPolicy(delay_seconds_max=0.1)


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


async def test_a_run_gives_a_service_that_keeps_dying_up_with_its_last_words(tmp_path: Path) -> None:
    dying = tmp_path / "dying"
    async with running(tmp_path, service("a", dying=dying)) as watched:
        dying.write_text("1 the disk is full")
        os.kill(watched.pid("a"), signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"a died 5 times in a row .*the disk is full"):
            await watched.supervisor.while_healthy(asyncio.Event().wait())


@pytest.mark.parametrize("status", [1, 2, -signal.SIGSEGV], ids=["error", "users mistake", "segfault"])
async def test_a_standing_stack_outlives_a_service_that_keeps_dying_and_names_it(tmp_path: Path, status: int) -> None:
    dying = tmp_path / "dying"
    keeps_dying = replace(service("a", dying=dying), policy=STANDING)
    async with running(tmp_path, keeps_dying, replace(service("b"), policy=STANDING)) as watched:
        other, goes_on = watched.pid("b"), asyncio.create_task(watched.supervisor.while_healthy(asyncio.Event().wait()))
        dying.write_text(f"{int(status)} strategy mine.py: bad")
        os.kill(watched.pid("a"), signal.SIGKILL)
        await watched.after_restart("a", restarts=8)
        assert not goes_on.done()
        assert watched.pid("b") == other
        assert "strategy mine.py: bad" in watched.state("a").failing
        ended = f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
        loud = [line for line in watched.said if "a keeps dying" in line]
        assert ended in loud[-1]
        assert "strategy mine.py: bad" in loud[-1]
        dying.unlink()
        restarts = watched.state("a").restarts
        assert is_alive(await watched.pid_after_restart("a", restarts=restarts))
        goes_on.cancel()


async def test_a_standing_stack_starts_without_what_does_not_come_up_yet_and_takes_it_when_it_does(
    tmp_path: Path,
) -> None:
    dying = tmp_path / "dying"
    dying.write_text("3 Redis does not answer")
    late = replace(service("b", dying=dying), policy=STANDING)
    async with running(tmp_path, service("a"), late, required=("a",)) as watched:
        assert "b did not come up" in watched.said[0]
        assert "Redis does not answer" in watched.said[0]
        dying.unlink()
        assert is_alive(await watched.pid_after_restart("b", restarts=1))


async def test_a_users_mistake_ends_a_start_whosever_it_is(tmp_path: Path) -> None:
    dying = tmp_path / "dying"
    dying.write_text("2 TRADEBUS_SPEED: not a number")
    watched = Watched(tmp_path, service("a"), service("b", dying=dying))
    with pytest.raises(InvalidInput, match="TRADEBUS_SPEED: not a number"):
        await watched.supervisor.start(("a", "b"), required=("a",))
    await watched.supervisor.stop()


async def test_what_forgets_everything_with_its_process_is_not_started_again(tmp_path: Path) -> None:
    async with running(tmp_path, replace(service("a"), restartable=False), service("b")) as watched:
        os.kill(watched.pid("a"), signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"a died, and all it knew with it \(was killed by signal 9\)"):
            await watched.supervisor.while_healthy(asyncio.Event().wait())
        assert watched.supervisor.services()["a"].restarts == 0


async def test_a_run_does_not_try_a_users_mistake_again(tmp_path: Path) -> None:
    dying = tmp_path / "dying"
    async with running(tmp_path, service("a", dying=dying)) as watched:
        dying.write_text("2 history: row 7 is bad")
        os.kill(watched.pid("a"), signal.SIGKILL)
        with pytest.raises(InvalidInput, match="row 7 is bad"):
            await watched.supervisor.while_healthy(asyncio.Event().wait())
        assert watched.state("a").restarts == 1


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
