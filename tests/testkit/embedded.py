"""Processes that hold embedded servers, what runs in a folder, and what is kept there."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import redis

from tradebus.runtime.embedded import ServerUrls

HOLDER = Path(__file__).with_name("embedded_holder.py")


def working_in(state_dir: Path) -> list[psutil.Process]:
    """The server processes of a folder: each works inside it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if Path(process.cwd()).is_relative_to(state_dir):
                found.append(process)
    return found


class Holder:
    """Another process that holds the servers of a folder."""

    def __init__(self, state_dir: Path, *arguments: str, stderr: int | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HOLDER), str(state_dir), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the holder did not start"
        self.urls = ServerUrls(**json.loads(line))
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def servers(self) -> list[psutil.Process]:
        return [child for child in self.children if child.name() in ("postgres", "valkey-server")]

    def keeper(self) -> psutil.Process:
        return next(child for child in self.children if any("keeper.py" in part for part in child.cmdline()))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Whatever a test has left of it."""
        self.kill()
        for child in self.children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue


def write(urls: ServerUrls, value: str) -> None:
    with psycopg.connect(urls.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])
    with redis.Redis.from_url(urls.redis_url) as client:
        client.rpush("kept", value)


def read(urls: ServerUrls) -> tuple[list[str], list[str]]:
    with psycopg.connect(urls.database_url) as connection:
        rows = [value for (value,) in connection.execute("SELECT value FROM kept").fetchall()]
    with redis.Redis.from_url(urls.redis_url) as client:
        return rows, [value.decode() for value in client.lrange("kept", 0, -1)]


def answers(urls: ServerUrls, *, kept: list[str]) -> bool:
    """Whether both answer, with what was committed."""
    try:
        return read(urls) == (kept, kept)
    except (psycopg.OperationalError, redis.ConnectionError):
        return False


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
