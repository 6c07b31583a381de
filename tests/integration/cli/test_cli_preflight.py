"""`tradebus preflight` against each face of a running sandbox: what the broker itself is asked for."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from testkit.execution_brokers import TEN
from testkit.gates import ADDRESS
from testkit.sandbox import Box, sandbox
from testkit.scripted_server import Reply, ScriptedServer
from typer.testing import CliRunner, Result

from services.cli.main import app
from tradebus.brokers.credentials import Credentials
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.preflight.build import build_name
from tradebus.preflight.drill_record import RUNS_MIN, DrillRecord, write_drill
from tradebus.preflight.preflight import PreflightFailed
from tradebus.preflight.registry import GATES

BROKERS = ("kite", "dhan", "upstox")
ACCOUNT = "CLI001"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with sandbox(seed=3, speed=1.0, limit_scale=0, instruments=60) as running:
        yield running


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine where all is so, but for the login and the market's rules."""
    write_drill(tmp_path, DrillRecord(build_name(), RUNS_MIN, 1, True, "2026-11-25T08:00:00+05:30"))
    with ScriptedServer(lambda _: Reply(ADDRESS.encode(), content_type="text/plain")) as echo:
        for name, value in {
            "TRADEBUS_STATE_DIR": str(tmp_path), "TRADEBUS_STATIC_IP": ADDRESS, "TRADEBUS_ADDRESS_ECHO_URL": echo.url,
            "DAILY_MAX_LOSS_R": "3", "TRADEBUS_MARKET_CLOCK": f"{TEN}@{WallClock().now_ns()}x1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield tmp_path


def run(*arguments: str) -> Result:
    found = CliRunner().invoke(app, arguments)
    if found.exception is not None and not isinstance(found.exception, SystemExit | TradebusError):
        raise found.exception
    return found


def closed(found: Result, account: str) -> dict[str, str]:
    """Said and remedy by gate."""
    told = json.loads(found.stdout.splitlines()[-1])
    gates = told["accounts"][account]
    assert [one["gate"] for one in gates] == list(GATES)
    assert told["passed"] is all(one["passed"] for one in gates)
    return {one["gate"]: f"{one['said']}; {one['remedy']}" for one in gates if not one["passed"]}


def log_in(box: Box, broker: str, *more: str) -> Result:
    url = getattr(box, f"{broker}_url")
    return run("login", "--broker", broker, "--sandbox", box.admin_url, "--account", ACCOUNT, "--url", url, *more)


@pytest.mark.parametrize("broker", BROKERS)
def test_gates_close_one_by_one_until_live_trading_may_begin(
    box: Box, state: Path, monkeypatch: pytest.MonkeyPatch, broker: str
) -> None:
    url, account = getattr(box, f"{broker}_url"), f"{broker}:{broker}"
    monkeypatch.setenv(f"TRADEBUS_{broker.upper()}_URL", url)
    assert log_in(box, broker).exit_code == 0
    token = Credentials(state).get(broker).access_token
    first = run("preflight", "--account", broker, "--json")
    assert isinstance(first.exception, PreflightFailed)
    expected = {"market_rules", "static_ip"} if broker == "dhan" else {"market_rules"}
    assert set(closed(first, account)) == expected
    if broker == "dhan":
        assert "dhan has none registered" in closed(first, account)["static_ip"]
        said = httpx.post(
            f"{url}/v2/ip/setIP", headers={"access-token": token}, json={"ip": ADDRESS, "ipFlag": "PRIMARY"}
        )
        assert said.status_code == 200
    found = run("preflight", "--account", account, "--accept-market-rules", "--json")
    assert (found.exit_code, closed(found, account)) == (0, {})
    assert "accepted: " in found.stdout
    assert token not in found.output
    box.on_loop(box.exchange.log_out, token)
    assert set(closed(run("preflight", "--json"), account)) >= {"fresh_token"}


@pytest.mark.parametrize("broker", BROKERS)
def test_a_login_keeps_the_name_of_its_account(box: Box, state: Path, tmp_path: Path, broker: str) -> None:
    token_file, url = tmp_path / "token", getattr(box, f"{broker}_url")
    token_file.write_text(box.token(broker, ACCOUNT))
    client_id = ("--client-id", ACCOUNT, "--token-file", str(token_file), "--url", url)
    assert run("login", "--broker", broker, *client_id).exit_code == 0
    assert Credentials(state).get(broker).account == ACCOUNT
    token_file.write_text(box.token(broker, "CLI002"))
    refused = run("login", "--broker", broker, *client_id[:1], "CLI002", *client_id[2:])
    assert isinstance(refused.exception, InvalidInput)
    assert f"is stored for account {ACCOUNT}, and this login is of CLI002" in str(refused.exception)
    assert Credentials(state).get(broker).account == ACCOUNT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--account", "nobody"), "no such login is stored"), (("--account", "dhan:kite"), "kite is a login at kite")],
)
def test_an_account_that_is_not_stored_is_named(box: Box, state: Path, arguments, said: str) -> None:
    assert "no login is stored here" in str(run("preflight").exception)
    assert log_in(box, "kite").exit_code == 0
    assert said in str(run("preflight", *arguments).exception)
