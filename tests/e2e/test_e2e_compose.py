"""The production shape, for real: `docker compose up`, commands on trading:commands, events on trading:events.

Runs where a Docker engine answers, beside whatever else it runs: a project, image, ports and secrets of its own, all
but the image taken down at the end. TRADEBUS_TEST_COMPOSE=0 leaves it out.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from testkit.waiting import eventually

from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.ids import RandomIds

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
BUILD_SECONDS, UP_SECONDS, EVENT_SECONDS = 600, 300, 180
SERVICES = ("market_data", "market_data_api", "strategy", "risk", "execution", "gateway")
COMMANDS, EVENTS = "trading:commands", "trading:events"
Event = dict[str, Any]
# Forty generated days: no test comes to the end of the market. Ten minutes of it in a second: a position stays open
# long enough for a command to find it so.
FEED = {
    "TRADEBUS_FEED": "generated", "TRADEBUS_FROM": "2025-01-01", "TRADEBUS_TO": "2025-02-28", "TRADEBUS_SEED": "7",
    "TRADEBUS_SYMBOLS": "NIFTY,BANKNIFTY", "TRADEBUS_SPEED": "600", "TRADEBUS_PACED": "true",
}  # fmt: skip
START = {
    "mode": "paper", "symbols": ["NIFTY", "BANKNIFTY"], "strategies": [{"name": "orb", "parameters": {}}],
    "capital": 2_000_000,
    "limits": {"cooldown_seconds": 0, "consecutive_losses_limit": None, "daily_max_loss_pct": None,
               "max_trades_per_symbol_per_day": 50},
}  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """A compose project that is up. `folder` holds its secrets."""

    project: str
    environment: dict[str, str]
    folder: Path

    def compose(self, *arguments: str, seconds: float = 120) -> str:
        """Raises AssertionError with what docker said."""
        run = subprocess.run(
            ["docker", "compose", "-p", self.project, *arguments], cwd=ROOT, env=self.environment,
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert run.returncode == 0, f"docker compose {' '.join(arguments)}:\n{run.stdout[-3000:]}{run.stderr[-6000:]}"
        return run.stdout

    def inspect(self, service: str, template: str, *, all_states: bool = False) -> str:
        container = self.compose("ps", *(["-a"] if all_states else []), "-q", service).strip()
        run = subprocess.run(
            ["docker", "inspect", "--format", template, container], capture_output=True, text=True, check=True
        )
        return run.stdout.strip()

    def is_healthy(self, service: str) -> bool:
        return self.inspect(service, "{{.State.Health.Status}}") == "healthy"

    def secret(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def redis(self, *, user: str, secret: str) -> redis.Redis:
        return redis.Redis(
            port=int(self.environment["TRADEBUS_REDIS_PORT"]), username=user, password=self.secret(secret)
        )

    def http(self, token: str | None) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.environment['TRADEBUS_HTTP_PORT']}",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            trust_env=False,
        )


@dataclass
class Application:
    """An external application: it knows Redis and user `app`'s password, and nothing else."""

    client: redis.Redis
    heard: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._channel = self.client.pubsub(ignore_subscribe_messages=True)
        self._channel.subscribe(EVENTS)
        self._channel.get_message(ignore_subscribe_messages=False, timeout=10)

    def send(self, action: str, user_id: str, data: dict[str, Any] | None = None) -> None:
        listeners = self.client.publish(
            COMMANDS, json.dumps({"action": action, "user_id": user_id, "data": data or {}})
        )
        assert listeners == 1, "the gateway does not listen"

    def until(self, wanted: Callable[[Event], bool], *, what: str) -> Event:
        """The first event from now on that is wanted. Everything heard on the way is kept."""
        deadline_ns = monotonic_ns() + int(EVENT_SECONDS * 1e9)
        while monotonic_ns() < deadline_ns:
            message = self._channel.get_message(timeout=1)
            if message is not None:
                event: Event = json.loads(message["data"])
                self.heard.append(event)
                if wanted(event):
                    return event
        raise AssertionError(f"no {what}; heard {[one['type'] for one in self.heard[-50:]]}")

    def of(self, user_id: str, kind: str) -> list[Event]:
        return [event for event in self.heard if event["user_id"] == user_id and event["type"] == kind]

    def until_kind(self, user_id: str, *kinds: str) -> Event:
        return self.until(
            lambda event: event["user_id"] == user_id and event["type"] in kinds, what=f"{kinds} for {user_id}"
        )

    def close(self) -> None:
        self._channel.close()
        self.client.close()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def engine() -> None:
    if os.environ.get("TRADEBUS_TEST_COMPOSE") == "0":
        pytest.skip("TRADEBUS_TEST_COMPOSE=0")
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"no Docker engine answers: {error}")
        if run.returncode:
            pytest.skip(f"{' '.join(command)}: {(run.stderr.strip().splitlines() or ['failed'])[-1]}")


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    environment = {
        **os.environ, **FEED, "TRADEBUS_SECRETS_DIR": str(folder), "TRADEBUS_IMAGE": "tradebus:e2e",
        "TRADEBUS_REDIS_PORT": free_port(), "TRADEBUS_HTTP_PORT": free_port(), "TRADEBUS_MDS_PORT": free_port(),
    }  # fmt: skip
    subprocess.run([ROOT / "deploy" / "make-secrets"], env=environment, check=True, capture_output=True)
    made = Stack(f"tradebus-e2e-{RandomIds().new_id()[-8:]}", environment, folder)
    made.compose("build", "migrate", seconds=BUILD_SECONDS)
    try:
        made.compose("up", "-d", "--no-build", seconds=UP_SECONDS)
        for service in SERVICES:
            eventually(lambda name=service: made.is_healthy(name), seconds=UP_SECONDS)
        yield made
        print(made.compose("logs", "--no-color", "--tail", "12"))  # shown by pytest where a test failed
    except AssertionError:
        print(made.compose("logs", "--no-color", "--tail", "12"))
        raise
    finally:
        made.compose("down", "--volumes", "--remove-orphans", "--timeout", "20", seconds=UP_SECONDS)


@pytest.fixture
def application(stack: Stack) -> Iterator[Application]:
    made = Application(stack.redis(user="app", secret="redis_password_app"))
    yield made
    made.close()


def test_a_bad_command_is_rejected_and_every_bad_field_is_named(application: Application):
    application.send("START_TRADING", "bad", {**START, "symbols": ["BANKNIFTI"], "capital": "lots"})
    rejected = application.until_kind("bad", "COMMAND_REJECTED")
    assert {error["field"] for error in rejected["errors"]} == {"data.symbols[0]", "data.capital"}
    assert "BANKNIFTY" in rejected["errors"][0]["problem"] + rejected["errors"][1]["problem"]
    application.send("STOP_TRADING", "bad")
    application.until_kind("bad", "COMMAND_REJECTED")
    assert not application.of("bad", "SESSION_STARTED")


def test_a_session_trades_to_position_closed_and_stop_ends_it_flat(application: Application, stack: Stack):
    user = "123"
    application.send("START_TRADING", user, START)
    session_id = application.until_kind(user, "SESSION_STARTED")["session_id"]
    closed = application.until_kind(user, "POSITION_CLOSED")
    told = {event["type"] for event in application.heard if event["pos_id"] == closed["pos_id"]}
    assert told >= {"ORDER_PLACED", "ORDER_FILLED", "STOP_PLACED", "POSITION_OPENED", "POSITION_CLOSED"}
    assert application.of(user, "ENTRY_SIGNAL")
    assert closed["gross_pnl_paise"] - closed["charges_paise"] == closed["net_pnl_paise"]

    closings = stop_and_check(application, user)
    with stack.http(stack.secret("api_token")) as http:
        asked = {"session_id": session_id}
        (portfolio,) = http.get("/api/portfolio", params=asked).raise_for_status().json()["portfolio"]
        assert (portfolio["status"], portfolio["positions"]) == ("STOPPED", [])
        trades = http.get("/api/trades", params=asked).raise_for_status().json()["trades"]
        assert {one["pos_id"] for one in trades if one["state"] == "CLOSED"} == {one["pos_id"] for one in closings}
    with stack.http(None) as stranger:
        assert stranger.get("/api/portfolio").status_code == 401


def test_stop_closes_the_position_that_is_open(application: Application):
    # The market goes on while the command travels: now and then the position is closed before it arrives.
    for attempt in range(10):
        user = f"stopped-{attempt}"
        application.send("START_TRADING", user, START)
        application.until_kind(user, "POSITION_OPENED")
        if "stop_trading" in {event["reason"] for event in stop_and_check(application, user)}:
            return
    raise AssertionError("no position was closed by STOP_TRADING in ten sessions")


def stop_and_check(application: Application, user: str) -> list[Event]:
    """Stops a user's session and holds what it told to its last word; returns its POSITION_CLOSED events."""
    application.send("STOP_TRADING", user)
    stopped = application.until_kind(user, "SESSION_STOPPED")
    # Sessions and orders are two streams: their events keep an order each, not one together.
    while len(application.of(user, "POSITION_CLOSED")) < stopped["trades"]:
        application.until_kind(user, "POSITION_CLOSED")
    closings = application.of(user, "POSITION_CLOSED")
    opened = {event["pos_id"] for event in application.of(user, "POSITION_OPENED")}
    assert opened == {event["pos_id"] for event in closings}
    assert stopped["trades"] == len(closings)
    assert stopped["net_pnl_paise"] == sum(event["net_pnl_paise"] for event in closings)
    return closings


def test_a_service_that_dies_is_started_again_and_trading_goes_on(application: Application, stack: Stack):
    user = "restarted"
    application.send("START_TRADING", user, START)
    application.until_kind(user, "SESSION_STARTED")
    verdicts = ("ENTRY_APPROVED", "ENTRY_REDUCED", "ENTRY_BLOCKED")
    application.until_kind(user, *verdicts)
    for service in ("risk", "market_data"):
        before = int(stack.inspect(service, "{{.RestartCount}}"))
        # Not `docker kill`: what a person ends stays ended. -1 spares only the container's init.
        subprocess.run(
            ["docker", "exec", stack.compose("ps", "-q", service).strip(), "sh", "-c", "kill -9 -1"],
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        eventually(lambda name=service, old=before: int(stack.inspect(name, "{{.RestartCount}}")) > old, seconds=60)
        eventually(lambda name=service: stack.is_healthy(name), seconds=120)
    application.until_kind(user, *verdicts)
    application.send("STOP_TRADING", user)
    application.until_kind(user, "SESSION_STOPPED")


def test_each_user_of_redis_is_kept_to_its_own(stack: Stack):
    app = stack.redis(user="app", secret="redis_password_app")
    risk = stack.redis(user="risk", secret="redis_password_risk")
    forbidden: list[Callable[[], object]] = [
        lambda: app.xadd("orders.v1", {"k": "x"}),
        # Who may add may empty: the stream of commands that others share is not the application's.
        lambda: app.xadd("trading.commands.v1", {"k": "x"}, maxlen=0),
        lambda: app.xtrim("trading.commands.v1.app", maxlen=0),
        lambda: app.delete("trading.commands.v1.app"),
        lambda: app.xrange("intents.v1.{0}"),
        lambda: app.publish(EVENTS, "{}"),
        lambda: app.flushall(),
        lambda: risk.xadd("orders.v1", {"k": "x"}),
        lambda: risk.publish(COMMANDS, "{}"),
    ]
    for attempt in forbidden:
        with pytest.raises(redis.exceptions.NoPermissionError):
            attempt()
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=int(stack.environment["TRADEBUS_REDIS_PORT"])).ping()
    assert app.xinfo_stream("trading.events.v1")["length"] > 0


def test_a_command_on_the_applications_own_stream_is_carried_out(application: Application):
    application.client.xadd("trading.commands.v1.app", {"command": json.dumps({"action": "NONSENSE", "user_id": "d"})})
    application.until_kind("d", "COMMAND_REJECTED")


def test_what_a_strategy_runs_can_neither_write_orders_nor_run_commands_where_postgres_is(stack: Stack):
    program = """
import os, psycopg
password = open(os.environ["DATABASE_PASSWORD_FILE"]).read().strip()
for statement in ("COPY (SELECT 1) TO PROGRAM 'id'", "UPDATE tradebus.kill_switch SET engaged = false",
                  "DELETE FROM tradebus.orders", "CREATE ROLE mine SUPERUSER", "SELECT pg_read_file('/etc/passwd')"):
    with psycopg.connect(os.environ["DATABASE_URL"], password=password) as connection:
        try:
            connection.execute(statement)
            print("done:", statement)
        except psycopg.errors.InsufficientPrivilege:
            print("refused")
        connection.rollback()
"""
    assert stack.compose("exec", "-T", "strategy", "python", "-c", program).split("\n")[:-1] == ["refused"] * 5


def test_no_container_that_knows_a_secret_has_a_way_out(stack: Stack):
    networks = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
    for service in (*SERVICES, "redis", "postgres"):
        assert stack.inspect(service, networks).split() == [f"{stack.project}_bus"], service
    inside = ["docker", "network", "inspect", "--format", "{{.Internal}}", f"{stack.project}_bus"]
    assert subprocess.run(inside, capture_output=True, text=True, check=True).stdout.strip() == "true"


def test_every_container_has_a_share_of_memory_and_processors(stack: Stack):
    for service in (*SERVICES, "redis", "postgres", "door"):
        memory, processors = stack.inspect(service, "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}").split()
        assert 0 < int(memory) <= 4 * 2**30, service
        assert int(processors) > 0, service


def test_the_sandbox_of_the_image_is_reached_as_documented(stack: Stack):
    name = f"{stack.project}_sandbox"
    (documented,) = re.findall(r"^docker compose (run .* sandbox)$", (ROOT / "docs/operations.md").read_text(), re.M)
    command = documented.replace("run", f"run --detach --name {name}", 1).split()
    try:
        stack.compose(*command)
        with httpx.Client(base_url="http://127.0.0.1:8100", trust_env=False) as client:

            def answers() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/clock").status_code == 200
                return False

            eventually(answers, seconds=120)
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False, timeout=60)


def test_containers_run_without_root_on_a_root_they_cannot_write(stack: Stack):
    for service in (*SERVICES, "redis", "postgres"):
        shown = stack.compose("exec", "-T", service, "sh", "-c", "id -u; touch /etc/written 2>&1 || echo refused")
        assert shown.split()[0] != "0", service
        assert shown.split()[-1] == "refused", service


def kill(stack: Stack, *options: str) -> dict[str, str]:
    """What `tradebus kill` says of the one stack there is."""
    run = subprocess.run(
        ["docker", "compose", "-p", stack.project, "run", "--rm", "cli", "kill", "--json", *options],
        cwd=ROOT, env=stack.environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    (told,) = json.loads(run.stdout.strip().splitlines()[-1])["stacks"]
    return dict(told)


def test_the_kill_switch_works_with_the_gateway_and_execution_down(stack: Stack):
    stack.compose("stop", "gateway", "execution")
    told = kill(stack)
    assert (told["file"], told["postgres"], told["redis"]) == ("done", "done", "done")
    stack.compose("start", "gateway", "execution")
    for service in ("gateway", "execution"):
        eventually(lambda name=service: stack.is_healthy(name), seconds=120)
    application = Application(stack.redis(user="app", secret="redis_password_app"))
    try:
        application.send("START_TRADING", "killed", START)
        rejected = application.until_kind("killed", "COMMAND_REJECTED", "SESSION_STARTED")
        assert rejected["type"] == "COMMAND_REJECTED"
        assert "kill" in json.dumps(rejected["errors"])
        kill(stack, "--reset")
        application.send("START_TRADING", "killed", START)
        application.until_kind("killed", "SESSION_STARTED")
        application.send("STOP_TRADING", "killed")
        application.until_kind("killed", "SESSION_STOPPED")
    finally:
        application.close()


def test_a_stop_ends_services_before_what_they_stand_on_and_nobody_complains(stack: Stack):
    """The last test of the file: afterwards the stack is down."""
    stack.compose("stop", seconds=UP_SECONDS)
    ended = {
        service: (
            stack.inspect(service, "{{.State.ExitCode}}", all_states=True),
            stack.inspect(service, "{{.State.FinishedAt}}", all_states=True),
        )
        for service in (*SERVICES, "postgres", "redis")
    }
    assert {service: code for service, (code, _) in ended.items() if code != "0"} == {}
    for service in SERVICES:
        said = stack.compose("logs", "--no-color", "--tail", "200", service)
        assert "Traceback" not in said, said[-3000:]
        for server in ("postgres", "redis"):
            assert ended[service][1] < ended[server][1], f"{service} ended after {server}"
