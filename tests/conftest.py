"""Real servers for the tests: DATABASE_URL and REDIS_URL where set, embedded ones otherwise, once per run.

Every test has a namespace of its own in them, so tests may run at once and leave nothing behind.
"""

import gc
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import redis
import structlog
from hypothesis import HealthCheck, settings
from testkit.waiting import WALL_TIMERS

from tradebus.bus.port import Bus
from tradebus.kernel.ids import RandomIds
from tradebus.runtime.embedded import ServerUrls, servers_from_environment
from tradebus.store.migrate import drop_namespace, migrate
from tradebus.store.store import Store

# Helpers of the tests are imported as `testkit`.
sys.path.insert(0, str(Path(__file__).parent))

# Derandomized: a run says the same about a commit every time. HYPOTHESIS_PROFILE=thorough searches further.
settings.register_profile("ci", derandomize=True, max_examples=100, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
settings.register_profile("thorough", derandomize=False, max_examples=2000, deadline=None,
                          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_xdist_auto_num_workers() -> int | None:
    """Two more than there are processors: a good part of a run is waiting for processes, servers and clocks."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Nothing that is collected becomes garbage: looking for it, now and in every test, takes long."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# Where tests run processes and wait for them.
_LONG = tuple(f"tests/{name}/" for name in (
    "e2e", "integration/cli", "integration/engine", "integration/execution", "integration/strategy",
    "integration/embedded",
))  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long begins first, file by file at every worker: each is given a run of neighbours, and a long test
    that is among the last holds up the end."""
    workers = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    long = [file for name, file in files.items() if name.startswith(_LONG)]
    short = [item for name, file in files.items() if not name.startswith(_LONG) for item in file]
    share = -(-len(short) // workers)
    items[:] = [
        item
        for worker in range(workers)
        for item in (*(one for file in long[worker::workers] for one in file), *short[worker * share :][:share])
    ]


@pytest.fixture(autouse=True)
def _logs_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test sets for the logs ends with it: no logger keeps the level and the format of its first use."""
    before, configure = structlog.get_config(), structlog.configure
    monkeypatch.setattr(structlog, "configure", lambda **of: configure(**of | {"cache_logger_on_first_use": False}))
    yield
    configure(**before)


@pytest.fixture(scope="session")
def _state_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def _no_state_of_the_users(monkeypatch: pytest.MonkeyPatch, _state_of_the_tests: Path) -> None:
    """A run that a test makes is not recorded among those of whoever runs the tests."""
    monkeypatch.setenv("TRADEBUS_STATE_DIR", os.environ.get("TRADEBUS_STATE_DIR") or str(_state_of_the_tests))


_number = count(1)
_run = RandomIds().new_id()[-8:]


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A temporary folder that other users may pass through: where we are root, Postgres runs as one of them.

    Not pytest's own: that one is closed to others again whenever another pytest starts on the machine.
    """
    with tempfile.TemporaryDirectory(prefix="tradebus-tests-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerUrls]:
    with _open_folder() as folder, servers_from_environment(folder / "state") as urls:
        yield urls


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """Where a test may run embedded servers of its own. It does not exist yet."""
    with _open_folder() as folder:
        yield folder / "state"


@pytest.fixture
def database_url(servers: ServerUrls) -> str:
    return servers.database_url


@pytest.fixture
def redis_url(servers: ServerUrls) -> str:
    return servers.redis_url


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """A name nothing else uses. What was made under it in the servers the test asked for is deleted at the end."""
    name = f"test_{_run}_{next(_number)}"
    wants_postgres, wants_redis = (wanted in request.fixturenames for wanted in ("database_url", "redis_url"))
    urls: ServerUrls | None = request.getfixturevalue("servers") if wants_postgres or wants_redis else None
    yield name
    if urls is None:
        return
    if wants_postgres:
        drop_namespace(urls.database_url, namespace=name)
    if wants_redis:
        with redis.Redis.from_url(urls.redis_url) as client:
            keys = list(client.scan_iter(f"{name}:*", count=1000))
            if keys:
                client.delete(*keys)


@pytest.fixture
def migrated(database_url: str, namespace: str) -> str:
    """The test's namespace, with its schema made."""
    migrate(database_url, namespace=namespace)
    return namespace


@pytest.fixture
async def store(database_url: str, migrated: str) -> AsyncIterator[Store]:
    connected = await Store.connect(database_url, namespace=migrated, producer="test-1", timers=WALL_TIMERS)
    yield connected
    await connected.close()


@pytest.fixture
async def bus(redis_url: str, namespace: str) -> AsyncIterator[Bus]:
    from tradebus.bus.redis.bus import RedisBus

    connected = await RedisBus.connect(redis_url, namespace=namespace, timers=WALL_TIMERS)
    yield connected
    await connected.close()
