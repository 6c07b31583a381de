"""`tradebus login`, `instruments` and `quote` against a running sandbox, each broker's face in turn."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.sandbox import Box, sandbox
from typer.testing import CliRunner, Result

from services.cli.main import app
from tradebus.brokers.credentials import Credentials
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.time import utc_iso

BROKERS = ("kite", "dhan", "upstox")
FUTURE = "NFO:NIFTY:2026-12-29:FUT"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with sandbox(seed=3, speed=1.0, limit_scale=0, instruments=300) as running:
        yield running


@pytest.fixture(scope="module")
def still() -> Iterator[Box]:
    """An exchange whose market stands."""
    with sandbox(seed=3, start="2026-11-25T10:00:00", speed=0, limit_scale=0) as running:
        running.advance(60)
        yield running


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path))
    for broker in BROKERS:
        monkeypatch.delenv(f"TRADEBUS_{broker.upper()}_URL", raising=False)
    return tmp_path


def run(*arguments: str, stdin: str = "") -> Result:
    found = CliRunner().invoke(app, arguments, input=stdin)
    if found.exception is not None and not isinstance(found.exception, SystemExit | TradebusError):
        raise found.exception
    return found


def told(*arguments: str, stdin: str = "") -> dict:
    found = run(*arguments, "--json", stdin=stdin)
    assert found.exit_code == 0, (found.output, found.exception)
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.parametrize("broker", BROKERS)
def test_a_sandbox_login_is_stored_encrypted_and_quotes_with_it(box: Box, state: Path, broker: str) -> None:
    url = getattr(box, f"{broker}_url")
    reply = told("login", "--broker", broker, "--sandbox", box.admin_url, "--account", "CLI001", "--url", url)
    assert reply == {"command": "login", "broker": broker, "credential": broker, "session": "VALID"}
    stored = Credentials(state).get(broker)
    assert (stored.broker, stored.account) == (broker, "CLI001")
    assert stored.access_token not in (state / "credentials" / broker).read_text()
    quotes = told("quote", "NIFTY", "RELIANCE", "--broker", broker, "--url", url)["quotes"]
    assert [one["key"] for one in quotes] == [FUTURE, "NSE:RELIANCE"]
    assert all(one["price_paise"] > 0 for one in quotes)
    assert stored.access_token not in run("quote", "NIFTY", "--broker", broker, "--url", url).output


def test_at_dhan_a_kept_pin_and_seed_log_in_and_a_token_is_made_anew(box: Box, state: Path) -> None:
    kept, seed = state / "numbers", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    kept.write_text(f"123456\n{seed}\n")
    where = ("login", "--broker", "dhan", "--url", box.dhan_url)
    none = run(*where, "--client-id", "CLI009", "--totp")
    assert "--totp-file" in str(none.exception)
    assert told(*where, "--client-id", "CLI009", "--totp-file", str(kept))["session"] == "VALID"
    kept.unlink()
    sealed = (state / "credentials" / "dhan").read_text()
    assert seed not in sealed
    assert seed not in repr(Credentials(state).get("dhan"))
    first = Credentials(state).get("dhan").access_token
    assert told(*where, "--renew")["session"] == "VALID"
    second = Credentials(state).get("dhan").access_token
    assert told(*where, "--totp")["session"] == "VALID"
    assert second not in ("", first)
    other = run(*where, "--client-id", "CLI010", "--totp")
    assert "no PIN and seed are stored" in str(other.exception), "another client's numbers are not tried"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--broker", "kite", "--totp"), "kite wants a person at its page"),
        (("--broker", "upstox", "--renew"), "upstox wants a person at its page"),
        (("--broker", "dhan", "--totp", "--renew"), "leave the other ways away"),
        (("--broker", "dhan", "--totp", "--token-file", "-"), "leave the other ways away"),
        (("--broker", "dhan", "--renew"), "no token is stored"),
    ],
)
def test_a_login_without_a_browser_that_is_none_is_refused(state: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in str(run("login", *arguments, "--client-id", "CLI009").exception)


def test_a_file_of_numbers_that_is_none_is_named_and_not_repeated(state: Path) -> None:
    for content in ("hunter2", "123456", "123456\nnotaseed!", "12\nGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"):
        (state / "numbers").write_text(content)
        found = run("login", "--broker", "dhan", "--client-id", "C1", "--totp-file", str(state / "numbers"))
        assert found.exit_code != 0
        assert not any(word in str(found.exception) for word in content.split())


@pytest.mark.parametrize("broker", BROKERS)
def test_contracts_are_told_apart_by_their_keys_and_prices_are_as_old_as_their_trades(
    still: Box, state: Path, broker: str
) -> None:
    url = getattr(still, f"{broker}_url")
    told("login", "--broker", broker, "--sandbox", still.admin_url, "--account", "CLI001", "--url", url)
    listed = still.exchange.instruments
    first = next(one for one in listed if one.key.is_option and one.key.name == "NIFTY")
    alike = [one for one in listed if one.dhan_symbol == first.dhan_symbol][:3]
    keys = [str(one.key) for one in alike]
    assert len(set(keys)) == 3
    quotes = told("quote", *keys, "--broker", broker, "--url", url)["quotes"]
    assert [one["key"] for one in quotes] == keys
    for one, quote in zip(alike, quotes, strict=True):
        there = still.exchange.quotes[one.index]
        assert quote["price_paise"] == there["price_paise"]
        assert quote["time_utc"][:19] == utc_iso(int(there["ts_last_trade_ns"]))[:19]
    if broker == "dhan":
        refused = run("quote", first.dhan_symbol, "--broker", broker, "--url", url)
        assert refused.exit_code != 0
        assert "means" in str(refused.exception)
        assert keys[0] in str(refused.exception)


@pytest.mark.parametrize("broker", BROKERS)
def test_a_login_as_another_account_takes_another_name(box: Box, state: Path, broker: str) -> None:
    url = getattr(box, f"{broker}_url")
    first = ("login", "--broker", broker, "--sandbox", box.admin_url, "--url", url)
    assert told(*first, "--account", "CLI001")["session"] == "VALID"
    refused = run(*first, "--account", "CLI009")
    assert "is stored for account CLI001, and this login is of CLI009" in str(refused.exception)
    assert Credentials(state).get(broker).account == "CLI001"
    assert told(*first, "--account", "CLI009", "--credential", "another")["session"] == "VALID"
    assert Credentials(state).get("another").account == "CLI009"


@pytest.mark.parametrize("broker", BROKERS)
def test_instruments_are_found_by_part_of_their_key(box: Box, state: Path, broker: str) -> None:
    url = getattr(box, f"{broker}_url")
    told("login", "--broker", broker, "--sandbox", box.admin_url, "--account", "CLI001", "--url", url)
    found = told("instruments", "--broker", broker, "--url", url, "--query", FUTURE)
    assert [one["key"] for one in found["instruments"]] == [FUTURE]
    assert found["instruments"][0]["lot_size"] == 65
    assert found["listed"] >= 300


@pytest.mark.parametrize("broker", ["dhan", "upstox"])
def test_a_public_master_needs_no_login(box: Box, state: Path, broker: str) -> None:
    url = getattr(box, f"{broker}_url")
    assert told("instruments", "--broker", broker, "--url", url, "-q", "RELIANCE")["matching"] >= 1
    assert not (state / "credentials").exists()


def test_a_token_made_elsewhere_comes_from_a_file_or_stdin(box: Box, state: Path) -> None:
    token = box.token("upstox", "CLI002")
    common = ("login", "--broker", "upstox", "--client-id", "app", "--url", box.upstox_url)
    assert told(*common, "--credential", "second", "--token-file", "-", stdin=token)["session"] == "VALID"
    assert Credentials(state).get("second").access_token == token


def test_a_token_the_broker_does_not_take_is_not_stored(box: Box, state: Path) -> None:
    (state / "token").write_text("made-up-token")
    found = run(
        "login", "--broker", "kite", "--client-id", "key", "--url", box.kite_url, "--token-file", str(state / "token")
    )
    assert found.exit_code == 1
    assert "the token is not accepted; nothing was stored" in str(found.exception)
    assert "made-up-token" not in str(found.exception) + found.output
    assert not (state / "credentials").exists()


def test_a_browsers_answer_completes_the_login(box: Box, state: Path) -> None:
    """The sandbox's login page sends the browser back with a request token, as Kite's does."""
    import httpx

    page = httpx.get(
        f"{box.kite_url}/connect/login", params={"v": "3", "api_key": "key", "account": "CLI003"},
        follow_redirects=False, trust_env=False,
    )  # fmt: skip
    assert "request_token" in page.headers.get("location", "")
    (state / "secret").write_text("sandbox-secret")
    (state / "answer").write_text(page.headers["location"])
    reply = told(
        "login", "--broker", "kite", "--client-id", "key", "--secret-file", str(state / "secret"), "--answer-file",
        str(state / "answer"), "--url", box.kite_url,
    )  # fmt: skip
    assert reply["session"] == "VALID"
