"""The HTTP side: who is let in, what is shown, and that nothing a caller sends is answered with a 500."""

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from testkit.filled_book import put_close, put_signals, put_trade, put_verdicts
from testkit.gateway import START, TOKEN, Gateway
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.gateway.http.auth import OPEN_PATHS, SIGNED_PATHS
from services.gateway.http.server import create_app
from services.gateway.http.views import VIEWS
from services.gateway.settings import api_token
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.runtime.http.server import bind
from tradebus.store.books import instruments_book

VIEW_PATHS = [f"/api/{name}" for name in (*VIEWS, "portfolio")]
SYSTEM_PATHS = ["/", "/metrics", "/api/metrics", "/api/health", "/api/killswitch", "/api/config"]


def routes() -> list[tuple[str, str]]:
    """Every route of the application, as (method, path). Its parts are not used before a request arrives."""
    nothing: Any = None
    app = create_app(
        nothing,
        token=SecretStr(TOKEN),
        bus=nothing,
        views=nothing,
        switch=nothing,
        clock=nothing,
        handler=nothing,
        hooks=nothing,
        hub=nothing,
        registry=nothing,
    )
    found = [route for one in app.routes for route in getattr(one, "effective_route_contexts", lambda one=one: [one])()]
    return [(method, route.path) for route in found for method in sorted(getattr(route, "methods", None) or ())]


@pytest.fixture
async def stranger(gateway: Gateway) -> Any:
    async with httpx.AsyncClient(base_url=str(gateway.http.base_url), trust_env=False) as client:
        yield client


async def test_without_a_token_every_route_but_the_open_ones_is_401(stranger: httpx.AsyncClient) -> None:
    known = routes()
    assert len(known) > 12
    for method, path in [*known, ("GET", "/api/nothing"), ("DELETE", "/api/commands"), ("GET", "/docs")]:
        answer = await stranger.request(method, path)
        assert (answer.status_code == 401) == (path not in OPEN_PATHS), (method, path, answer.status_code)
        if path not in OPEN_PATHS:
            signed = method == "POST" and path.startswith(SIGNED_PATHS)
            assert answer.headers["www-authenticate"] == ("Tradebus-Signature" if signed else "Bearer")


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xff"],
)
async def test_a_wrong_token_is_401(stranger: httpx.AsyncClient, header: str) -> None:
    answer = await stranger.get("/api/sessions", headers={"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401


async def test_the_token_in_a_query_opens_nothing_but_the_websocket(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/api/sessions", params={"token": TOKEN})).status_code == 401


async def test_a_browser_that_logs_in_is_let_in_without_keeping_the_token(stranger: httpx.AsyncClient) -> None:
    assert "API token" in (await stranger.get("/")).text
    assert (await stranger.post("/api/login", json={"token": "wrong"})).status_code == 401
    assert (await stranger.post("/api/login", json={"token": TOKEN})).status_code == 200
    cookie = stranger.cookies["tradebus_login"]
    assert TOKEN not in cookie
    assert (await stranger.get("/")).status_code == 200
    assert (await stranger.get("/api/sessions")).status_code == 200
    stranger.cookies.clear()
    for bad in ("x", cookie[:-1], '"', "é".encode().decode("latin-1")):
        answer = await stranger.get("/api/sessions", headers={"Cookie": f"tradebus_login={bad}".encode("latin-1")})  # type: ignore[dict-item]
        assert answer.status_code == 401


async def test_a_malformed_login_is_422_and_repeats_nothing(stranger: httpx.AsyncClient) -> None:
    for body in (b"", b"{", b"[]", b'{"token":5}', b'{"tokn":"very-secret"}', b"\xff"):
        answer = await stranger.post("/api/login", content=body)
        assert answer.status_code == 422
        assert "very-secret" not in answer.text


async def test_health_needs_no_token(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/healthz")).status_code == 200
    assert (await stranger.get("/readyz")).status_code == 200


async def test_every_view_answers_before_anything_happened(gateway: Gateway) -> None:
    for path in (*VIEW_PATHS, *SYSTEM_PATHS):
        answer = await gateway.http.get(path)
        assert answer.status_code == 200, (path, answer.text)


BAD_QUERIES = [
    "limit=0", "limit=-1", "limit=x", "limit=99999999999", "session_id=", "session_id=%00", "user_id=a%20b",
    "user_id=" + "x" * 200, "session_id=%ff%fe", "user_id='%3B--",
]  # fmt: skip


async def test_a_bad_query_is_422(gateway: Gateway) -> None:
    for path in VIEW_PATHS:
        for query in BAD_QUERIES:
            answer = await gateway.http.get(f"{path}?{query}")
            assert answer.status_code == 422, (path, query, answer.text)
            assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


async def test_views_show_what_the_book_has_in_rupees(gateway: Gateway) -> None:
    session_id = await gateway.started()
    other = await gateway.started(user_id="other")
    await fill_book(gateway, session_id)

    async def rows(name: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await gateway.http.get(f"/api/{name}", params=query)).json()[name]
        return found

    assert {one["session_id"] for one in await rows("sessions")} == {session_id, other}
    assert [one["session_id"] for one in await rows("sessions", user_id="other")] == [other]
    assert len(await rows("sessions", limit="1")) == 1
    closed, opened = sorted(await rows("trades"), key=lambda one: one["state"])
    assert (closed["state"], closed["net_pnl"], closed["charges"], closed["entry_price"]) == (
        "CLOSED",
        -250.5,
        50.5,
        50000,
    )
    assert opened["exit_price"] is None
    assert await rows("trades", user_id="other") == []
    (order,) = [one for one in await rows("orders") if one["pos_id"] == closed["pos_id"]]
    assert (order["price"], order["average_price"], order["symbol"]) == (50000.05, 50000, "BANKNIFTY")
    _, signal = await rows("signals")
    assert (signal["price"], signal["reason"], signal["user_id"]) == (50000.0, "breakout", "123")
    *_, decision = await rows("decisions")
    assert (decision["action"], decision["reason"]) == ("HOLD", "no setup")
    _, verdict = await rows("risk")
    assert (verdict["verdict"], verdict["rule"]) == ("BLOCK", "cooldown")
    (performance,) = await rows("performance")
    assert (performance["trades"], performance["losers"], performance["net_pnl"]) == (1, 1, -250.5)
    (mine,) = await rows("portfolio", session_id=session_id)
    assert (mine["capital"], mine["realised_net_pnl"], mine["unrealised_pnl"]) == (500000, -250.5, 300)
    (position,) = mine["positions"]
    assert (position["quantity"], position["last_price"], position["unrealised_pnl"]) == (30, 50010, 300)


async def test_a_lost_book_is_said_in_one_sentence_and_the_views_come_back_with_it(gateway: Gateway) -> None:
    gateway.database.go_away()
    for path in (*VIEW_PATHS, "/api/health"):
        answer = await gateway.http.get(path)
        assert (answer.status_code, answer.json()["detail"][:25]) == (503, "the book does not answer:"), path
    assert (await gateway.http.get("/healthz")).status_code == 200
    gateway.database.come_back()
    assert (await gateway.http.get("/api/sessions")).json() == {"sessions": []}


async def test_config_shows_no_secret(gateway: Gateway) -> None:
    text = (await gateway.http.get("/api/config")).text
    for secret in (TOKEN, "secret-of-postgres", "secret-of-redis"):
        assert secret not in text
    assert json.loads(text)["config"]["api_token"] == "***"


async def test_health_names_a_service_that_does_not_answer(launch: Any, gateway_settings: Any) -> None:
    gateway = await launch(gateway_settings.model_copy(update={"service_urls": {"risk": "http://127.0.0.1:1"}}))
    health = (await gateway.http.get("/api/health")).json()
    assert health["healthy"] is False
    assert "does not answer" in health["services"]["risk"]
    assert health["postgres"].startswith("ready")
    assert health["market_rules"]["file"] is None
    assert all(one["kind"] and one["text"] for one in health["market_rules"]["remarks"])


async def test_metrics_are_prometheus_text(gateway: Gateway) -> None:
    assert "# HELP" in (await gateway.http.get("/metrics")).text


async def test_events_arrive_live_over_the_websocket(gateway: Gateway) -> None:
    address = str(gateway.http.base_url).replace("http", "ws") + "/api/events"
    async with (
        connect(address, additional_headers={"Authorization": f"Bearer {TOKEN}"}, proxy=None) as first,
        connect(f"{address}?token={TOKEN}", proxy=None) as second,
    ):
        await gateway.command(**START)
        reply = await gateway.command(action="NONSENSE")
        assert reply["status"] == "rejected"
        for socket in (first, second):
            event = json.loads(await socket.recv())
            assert event["type"] == "COMMAND_REJECTED"


@pytest.mark.parametrize("query", ["", "?token=wrong", f"?token={TOKEN}&token={TOKEN}", "?token=%ff"])
async def test_the_websocket_refuses_strangers(gateway: Gateway, query: str) -> None:
    address = str(gateway.http.base_url).replace("http", "ws") + "/api/events" + query
    with pytest.raises(InvalidStatus) as refused:
        await connect(address, proxy=None)
    assert refused.value.response.status_code in (401, 403)


def test_a_taken_port_is_one_clear_line() -> None:
    first = bind("127.0.0.1", 0, setting="TRADEBUS_GATEWAY_PORT")
    with pytest.raises(Unavailable, match=r"cannot listen on 127.0.0.1.*TRADEBUS_GATEWAY_PORT"):
        bind("127.0.0.1", first.getsockname()[1], setting="TRADEBUS_GATEWAY_PORT")
    first.close()


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    made = api_token(tmp_path / "state", None)
    assert api_token(tmp_path / "state", None) == made
    assert len(made.get_secret_value()) >= 40
    assert stat.S_IMODE((tmp_path / "state" / "api_token").stat().st_mode) == 0o600


def test_a_short_token_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 16"):
        api_token(Path("/nowhere"), SecretStr("short"))


async def fill_book(gateway: Gateway, session_id: str) -> None:
    """One closed trade with an order, one open one, a candle to mark it at, and what led there."""
    (index,) = [one for one in await instruments_book(gateway.book).load() if one.symbol == "BANKNIFTY"]
    await put_trade(
        gateway.book, 1, session_id=session_id, instrument=index, exited=30, net_pnl_paise=-25_050, r_multiple=-0.5
    )
    await put_trade(gateway.book, 2, session_id=session_id, instrument=index)
    await put_close(gateway.book, index, 5_001_000)
    await put_signals(gateway.book, session_id=session_id, instrument=index)
    await put_verdicts(gateway.book, session_id=session_id)
