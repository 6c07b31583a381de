"""The command over whole stacks: `up` with everything a person does to it, `demo`, `migrate`."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import expect
from testkit.browser import chromium, overflow_pixels
from testkit.command import Shell, Standing, standing
from testkit.waiting import eventually

from services.cli.stack.children import free_port
from services.cli.stack.rundir import RunState, read_run, runs_folder, write_run
from tradebus.config.settings import without_password
from tradebus.contracts.streams import STREAMS
from tradebus.runtime.embedded import ServerUrls
from tradebus.store.migrate import drop_namespace, list_namespaces


@pytest.fixture
def shell(servers: ServerUrls, tmp_path: Path) -> Shell:
    return Shell.at(tmp_path / "state", DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url)


@pytest.fixture(scope="module")
def stack(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """`tradebus up` for all tests that need one; the default namespace is emptied before, since a kill of other tests
    may have reached it, and afterwards."""
    folder = tmp_path_factory.mktemp("stack") / "state"
    shell = Shell.at(folder, DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url)
    empty_default_namespace(servers)
    with standing(shell) as up:
        yield up
    empty_default_namespace(servers)


def empty_default_namespace(servers: ServerUrls) -> None:
    drop_namespace(servers.database_url, namespace="")
    with redis.Redis.from_url(servers.redis_url) as client:
        for stream in STREAMS:
            client.delete(*client.scan_iter(f"{stream.name}*"), "nothing")


def tailed(shell: Shell, kind: str) -> Callable[[], dict[str, Any] | None]:
    """The newest public event of a type."""

    def newest() -> dict[str, Any] | None:
        entries = shell.json("tail", "events", "-n", "200")["entries"]
        found = [entry["message"] for entry in entries if entry["kind"] == kind]
        return found[-1] if found else None

    return newest


def test_a_person_starts_watches_pauses_and_stops_a_session(stack: Standing) -> None:
    shell = stack.shell
    started = shell.json("start", "123", "--strategy", "orb", "--symbol", "BANKNIFTY", "--capital", "5000000")
    assert (started["status"], started["session_status"]) == ("accepted", "RUNNING")
    again = shell.json("start", "123", "--strategy", "orb", "--symbol", "BANKNIFTY", "--capital", "5000000")
    assert (again["status"], again["session_id"]) == ("repeated", started["session_id"])
    refused = shell("start", "123", "--strategy", "orb", "--symbol", "NIFTY", code=2)
    assert started["session_id"] in refused.stderr
    assert (
        "did you mean 'BANKNIFTY'" in shell("start", "9", "--strategy", "orb", "--symbol", "BANKNIFTI", code=2).stderr
    )

    status = shell.json("status")
    assert {service["pid"] > 0 for service in status["stacks"][0]["services"].values()} == {True}
    assert [session["status"] for session in status["sessions"]] == ["RUNNING"]
    shown = shell("status").stdout
    assert "RUNNING" in shown
    assert "paper" in shown
    assert shell.json("pause", "123")["session_status"] == "PAUSED"
    assert shell.json("resume", "123")["session_status"] == "RUNNING"
    assert shell.json("flatten", "123")["status"] == "accepted"
    assert shell("stop", "123", "--reason", "enough").stdout.startswith("STOP_TRADING accepted")
    event = eventually(tailed(shell, "SESSION_STOPPED"))
    assert event is not None
    assert (event["user_id"], event["reason"]) == ("123", "enough")
    assert shell.json("stop", "123")["status"] == "repeated"
    assert "it runs already" in shell("up", code=3).stderr


def test_streams_are_readable_and_a_killed_service_comes_back(stack: Standing) -> None:
    shell = stack.shell
    candles = eventually(lambda: shell.json("tail", "candles", "-n", "3")["entries"])
    assert {"open_paise", "instrument"} <= set(candles[-1]["records"][0])
    assert "volume" in shell("tail", "ticks", "-n", "1").stdout
    os.kill(stack.run.services["risk"].pid, signal.SIGKILL)

    def restarted() -> bool:
        risk = stack.run.services["risk"]
        return risk.restarts == 1 and risk.pid > 0

    eventually(restarted)
    assert shell.json("start", "5", "--strategy", "ema_20_50", "--symbol", "NIFTY")["session_status"] == "RUNNING"


def test_the_kill_switch_works_with_the_gateway_dead_and_is_released_by_a_person(stack: Standing) -> None:
    shell = stack.shell
    shell("start", "8", "--strategy", "orb", "--symbol", "NIFTY")
    os.kill(stack.run.services["gateway"].pid, signal.SIGSTOP)
    reached = shell.json("kill", "--reason", "feed is wrong")["stacks"]
    assert [(one["stack"], one["file"], one["postgres"], one["redis"]) for one in reached] == [
        ("default",) + ("done",) * 3
    ]
    os.kill(stack.run.services["gateway"].pid, signal.SIGCONT)
    event = eventually(tailed(shell, "KILL_SWITCH"))
    assert event is not None
    assert event["reason"] == "feed is wrong"
    assert "kill switch" in shell("start", "7", "--strategy", "orb", "--symbol", "NIFTY", code=2).stderr
    assert "KILL SWITCH ENGAGED" in shell("status").stdout
    assert "kill switch" in shell("resume", "8", code=2).stderr
    shell("kill", "--reset")
    assert "KILL SWITCH ENGAGED" not in shell("status").stdout
    assert "RUNNING" not in {one["status"] for one in shell.json("status")["sessions"]}
    assert shell.json("resume", "8")["session_status"] == "RUNNING"
    assert shell.json("start", "7", "--strategy", "orb", "--symbol", "NIFTY")["session_status"] == "RUNNING"


def test_the_dashboard_in_a_browser(stack: Standing) -> None:
    """Log in, watch a session live, find its events after a load, stop it; a gateway that goes and comes back."""
    shell, run = stack.shell, stack.run
    with chromium() as browser, browser.new_context(viewport={"width": 390, "height": 800}) as context:
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(run.gateway_url)
        page.get_by_label("API token").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#refused")).to_contain_text("This is not the token")
        page.get_by_label("API token").fill(Path(run.token_file).read_text().strip())
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#state")).to_have_text("live")
        assert overflow_pixels(page) == 0, "on a phone nothing is scrolled sideways but tables in their place"

        started = shell.json("start", "eyes", "--strategy", "orb", "--symbol", "BANKNIFTY", "--capital", "5000000")
        session = page.locator("#sessions tr", has_text=started["session_id"][-12:])
        expect(session).to_contain_text("RUNNING")
        page.reload()
        events = page.locator("#events tr", has_text="eyes")
        expect(events.filter(has_text="SESSION_STARTED")).to_have_count(1)
        expect(events.filter(has_text="SESSION_STARTED")).to_contain_text(" IST")
        session.get_by_role("button", name="stop").click()
        expect(session).to_contain_text("STOPPED")
        expect(events.filter(has_text="SESSION_STOPPED")).to_have_count(1)

        context.set_offline(True)
        page.clock.install()
        os.kill(stack.run.services["gateway"].pid, signal.SIGKILL)
        expect(page.locator("#state")).to_contain_text("reconnecting")
        for _ in range(60):
            page.clock.run_for(1000)
            if page.locator("#again").is_visible():
                break
        expect(page.locator("#state")).to_contain_text("does not answer any more")
        context.set_offline(False)
        assert shell.json("stop", "eyes")["status"] == "repeated", "the gateway is there again"
        page.get_by_role("button", name="try again").click()
        expect(page.locator("#state")).to_have_text("live")
    assert problems == []


def test_a_demo_ends_by_itself_with_figures_and_leaves_files(shell: Shell, servers: ServerUrls) -> None:
    figures = shell.json("--silent", "demo", "--speed", "max", "--day", "2026-11-19", "--port", "0")
    assert figures["decisions"] > 500
    assert figures["trades"] > 0
    assert figures["net_pnl_paise"] == figures["gross_pnl_paise"] - figures["charges_paise"]
    assert [session["user_id"] for session in figures["sessions"]] == ["asha", "ravi"]
    assert {session["status"] for session in figures["sessions"]} == {"STOPPED"}
    assert figures["open_trades"] == 0
    folder = Path(figures["run_dir"])
    assert json.loads((folder / "report.json").read_text()) == figures
    assert len((folder / "trades.csv").read_text().splitlines()) == figures["trades"] + 1
    assert figures["run"] not in list_namespaces(servers.database_url)


@pytest.mark.parametrize(
    ("given", "options", "namespace"),
    [
        ({"TRADEBUS_FEED": "kite"}, (), "live"),
        ({"TRADEBUS_NAMESPACE": "mine"}, ("--feed", "kite"), "mine"),
    ],
)
def test_up_follows_the_feed_it_is_told_in_a_namespace_of_that_feed(
    shell: Shell, servers: ServerUrls, given: dict[str, str], options: tuple[str, ...], namespace: str
) -> None:
    """No login is stored, which only a broker's feed minds."""
    shell.environment.update(given)
    refused = shell("up", "--port", str(free_port()), "--api-port", str(free_port()), *options, code=2)
    assert "'kite' is not stored here" in refused.stderr
    run = read_run(runs_folder(shell.state) / "default")
    assert run is not None
    assert run.namespace == namespace
    drop_namespace(servers.database_url, namespace=namespace)


def test_migrate_applies_once(shell: Shell, servers: ServerUrls, namespace: str) -> None:
    first = shell.json("migrate", "--namespace", namespace)
    assert first["applied"]
    assert shell.json("migrate", "--namespace", namespace)["applied"] == []
    assert "nothing to do" in shell("migrate", "--namespace", namespace).stdout
    drop_namespace(servers.database_url, namespace=namespace)


def test_servers_that_do_not_answer_are_one_line_without_a_password_whatever_a_killed_run_left(shell: Shell) -> None:
    """Each waits for its server for some seconds: at once, that is a third as long."""
    database_url = without_password(shell.environment["DATABASE_URL"])
    killed = RunState("run_x", "trade", "run_x", 2**22 + 1, "", "", database_url, "", "", "", leaves_namespace=True)
    folder = runs_folder(shell.state) / killed.name
    folder.mkdir(parents=True)
    write_run(folder, killed)
    history = shell.state / "bars.csv"
    history.write_text("ts,open,high,low,close\n2024-01-02 09:15:00,100,101,99,100\n")
    no_database = replace(
        shell, environment={**shell.environment, "DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:1/x"}
    )
    no_redis = replace(shell, environment={**shell.environment, "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"})
    trade = ("--silent", "trade", "--history", str(history), "--symbol", "NIFTY", "--strategy", "orb")
    with ThreadPoolExecutor() as pool:
        asked = [(no_database, ("migrate",)), (no_database, trade), (no_redis, trade)]
        answers = [one.result() for one in [pool.submit(shell, *words, code=3) for shell, words in asked]]
    (migrating,), (trading,), (without_redis,) = (one.stderr.splitlines() for one in answers)
    for said in (migrating, trading):
        assert said.startswith("tradebus: ")
        assert "127.0.0.1:1" in said
    assert without_redis.startswith("tradebus: Redis at 127.0.0.1:1 does not answer")
    assert not any("hunter2" in one.stderr + one.stdout for one in answers)
