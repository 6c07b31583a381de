"""`tradebus login --callback-port`: the browser comes back to a page on this machine, and to nobody else's."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from testkit.sandbox import Box, sandbox

from services.cli.brokers.callback import LoginCallback
from services.cli.brokers.logging_in import LoginRequest, run_login
from services.cli.stack.children import free_port
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.kernel.errors import InvalidInput, Unavailable

SECRETS = {"kite": "sandbox-secret", "dhan": "key:secret", "upstox": "secret"}
ACCOUNTS = {"kite": "AB7777", "dhan": "1100000777", "upstox": "UP7777"}


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with sandbox(seed=3, speed=1.0, limit_scale=0, instruments=60) as running:
        yield running


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path))
    return tmp_path


async def browse(broker: str, address: str, callback: str) -> int:
    """A person's browser: the broker's login page, and back to where the app's address points."""
    account = {
        "kite": {"user_id": ACCOUNTS["kite"], "redirect_url": callback},
        "upstox": {"user_id": ACCOUNTS["upstox"]},
    }
    async with httpx.AsyncClient(trust_env=False) as browser:
        more = urlencode(account.get(broker, {}))
        sent = await browser.get(f"{address}&{more}" if more else address)
        assert sent.status_code == 302, sent.text
        target = sent.headers["location"]
        if broker == "dhan":  # its app's address is known to Dhan alone
            target = f"{callback}?{urlsplit(target).query}"
        return (await browser.get(target)).status_code


@pytest.mark.parametrize("broker", ["kite", "dhan", "upstox"])
async def test_a_login_in_a_browser_comes_back_by_itself(
    box: Box, state: Path, capsys: pytest.CaptureFixture[str], broker: str
) -> None:
    Credentials(state).put(broker, Credential(broker, ACCOUNTS[broker], SECRETS[broker]))
    port = free_port()
    request = LoginRequest(
        broker=broker, url=getattr(box, f"{broker}_url"), name=None, client_id=None, secret_file=None, answer_file=None,
        token_file=None, sandbox=None, account="", callback_port=port, callback_seconds=30,
    )  # fmt: skip
    login = asyncio.create_task(run_login(request, json=False))
    said = ""
    async with asyncio.timeout(30):
        while "log in" not in said:
            await asyncio.sleep(0.05)
            assert not login.done(), login.exception()
            said += capsys.readouterr().err
    address = said.splitlines()[-1].strip()
    assert await browse(broker, address, f"http://127.0.0.1:{port}/callback") == 200
    await login
    stored = Credentials(state).get(broker)
    assert stored.access_token
    told = said + "".join(capsys.readouterr())
    assert stored.access_token not in told


Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def page():
    async with LoginCallback("kite", port=0, state="the-state") as running:
        yield running


async def got(page: LoginCallback, path: str = "/callback", *, method: str = "GET", host: str = "", **query) -> int:
    parts = urlsplit(page.url)
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = {"host": host} if host else {}
        url = f"{parts.scheme}://{parts.netloc}{path}"
        return (await client.request(method, url, params=query, headers=headers)).status_code


async def test_whatever_is_not_the_answer_changes_nothing(page: LoginCallback) -> None:
    good = {"request_token": "abc123", "state": "the-state"}
    assert await got(page, "/", **good) == 404
    assert await got(page, method="POST", **good) == 404
    assert await got(page, host="evil.example", **good) == 403
    assert await got(page, **{**good, "state": "another"}) == 403
    assert await got(page, request_token="abc123") == 403
    assert await got(page, state="the-state", status="error") == 400
    with pytest.raises(InvalidInput, match="no browser came back to"):
        await page.answer(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(page.url).port)
    writer.write(b"GET /callback?x=" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n")
    assert await reader.read() == b""
    writer.close()


async def test_the_answer_is_taken_once(page: LoginCallback) -> None:
    good = {"request_token": "abc123", "state": "the-state"}
    assert await got(page, **good) == 200
    assert await got(page, **{**good, "request_token": "another"}) == 409
    assert parse_qs(urlsplit(await page.answer(1)).query)["request_token"] == ["abc123"]


async def test_a_port_that_somebody_has_is_named(page: LoginCallback) -> None:
    port = urlsplit(page.url).port
    assert port is not None
    with pytest.raises(Unavailable, match=f"--callback-port {port}: cannot listen"):
        async with LoginCallback("kite", port=port, state="x"):
            pass
