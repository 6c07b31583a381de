"""POST /hooks/v1/{source}: what is taken, once, and what is refused; no secret is said back."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from testkit.gateway import TOKEN, Gateway
from testkit.waiting import WALL_TIMERS

from services.gateway.hooks.signing import KEY, SIGNATURE, TIMESTAMP, WINDOW_SECONDS, signature_of
from services.gateway.hooks.sources import WebhookSource, WebhookSources
from tradebus.bus.port import Outgoing
from tradebus.contracts.records import TICK
from tradebus.contracts.registry import parse
from tradebus.contracts.signals import EntrySignal, ExitSignal, Side
from tradebus.contracts.streams import MD_TICKS, SIGNALS_WEBHOOK, key_of

SECRET, OTHER = "the-secret-of-the-chart-program-0123456789", "another-secret-of-somebody-else-0123456789"
ENTER: dict[str, Any] = {"do": "ENTER", "symbol": "NIFTY", "side": "LONG", "stop": 24900, "reason": "golden cross"}


@pytest.fixture
async def program(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A program that shows no token; it is registered as "chart" for user 123, and "other" for user 9."""
    sources = WebhookSources(gateway.settings.state_dir, key=None)
    sources.put(WebhookSource("chart", "123", 5, SecretStr(SECRET)))
    sources.put(WebhookSource("other", "9", 5, SecretStr(OTHER)))
    async with httpx.AsyncClient(base_url=str(gateway.http.base_url), trust_env=False) as client:
        yield client


async def trades(gateway: Gateway) -> None:
    """A running session of user 123, and a slice of the market."""
    await gateway.started()
    ticks = np.zeros(1, TICK)
    now_ns = WALL_TIMERS.now_ns()
    ticks["ts_event_ns"], ticks["price_paise"], ticks["instrument"] = now_ns - 1, 2_500_000, 2
    await gateway.bus.publish([Outgoing(key_of(MD_TICKS), "ticks", ticks.tobytes(), watermark_ns=now_ns)])


def signed(body: bytes, *, key: str = "k1", secret: str = SECRET, late_seconds: int = 0) -> dict[str, str]:
    timestamp = str(WALL_TIMERS.now_ns() // 10**9 - late_seconds)
    signature = signature_of(secret.encode(), timestamp=timestamp, key=key, body=body)
    return {TIMESTAMP: timestamp, KEY: key, SIGNATURE: signature}


async def send(
    program: httpx.AsyncClient, fields: Any, *, source: str = "chart", head: dict[str, str] | None = None, **how: Any
) -> httpx.Response:
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return await program.post(f"/hooks/v1/{source}", content=body, headers=head or signed(body, **how))


async def asked_for(gateway: Gateway) -> list[EntrySignal | ExitSignal]:
    found = [parse(entry.body) for entry in await gateway.bus.tail(SIGNALS_WEBHOOK.name, count=100)]
    return [one for one in found if isinstance(one, EntrySignal | ExitSignal)]


async def test_a_signed_signal_is_its_users_and_its_programs_and_comes_once(
    gateway: Gateway, program: httpx.AsyncClient
) -> None:
    await trades(gateway)
    first = await send(program, ENTER)
    assert (first.status_code, first.json()["status"]) == (202, "accepted")
    (signal,) = await asked_for(gateway)
    assert (signal.user_id, signal.strategy, signal.symbol, signal.side) == ("123", "webhook.chart", "NIFTY", Side.LONG)
    assert (signal.event_id, signal.reason) == (first.json()["signal_id"], "golden cross")
    replayed = await send(program, ENTER)
    sent_late = await send(program, ENTER, late_seconds=WINDOW_SECONDS - 5)
    for again in (replayed, sent_late):
        assert (again.status_code, again.json()["signal_id"]) == (200, signal.event_id)
    other = await send(program, {**ENTER, "side": "SHORT"})
    assert other.status_code == 422
    assert "names another order already" in other.json()["errors"][0]["problem"]
    assert await asked_for(gateway) == [signal]


async def test_a_program_closes_what_it_asked_for_and_nothing_else(
    gateway: Gateway, program: httpx.AsyncClient
) -> None:
    await trades(gateway)
    leave = {"do": "EXIT", "symbol": "NIFTY"}
    nothing = await send(program, leave)
    assert "has asked for no position in NIFTY: it closes its own alone" in nothing.json()["errors"][0]["problem"]
    assert nothing.json()["errors"][0]["field"] == "symbol"
    entered = (await send(program, ENTER)).json()
    left = await send(program, leave, key="k2")
    assert (left.status_code, left.json()["pos_id"]) == (202, entered["pos_id"])
    assert (await asked_for(gateway))[-1].reason == "signal"
    assert (await send(program, leave, key="k2")).status_code == 200
    assert [one.TYPE for one in await asked_for(gateway)] == ["ENTRY_SIGNAL", "EXIT_SIGNAL"]


async def test_who_does_not_sign_learns_nothing(gateway: Gateway, program: httpx.AsyncClient) -> None:
    await trades(gateway)
    body = json.dumps(ENTER).encode()
    good = signed(body)
    late = {**good, TIMESTAMP: str(int(good[TIMESTAMP]) + 1)}
    wrong = [
        ("chart", signed(body, secret=OTHER)), ("other", good), ("nobody", good), ("chart", {**good, KEY: "k2"}),
        ("chart", late), ("chart", {**good, SIGNATURE: "0" * 64}), ("..", good), ("x" * 60, good),
    ]  # fmt: skip
    said = set()
    for source, head in wrong[:-2]:
        answer = await send(program, body, source=source, head=head)
        assert answer.status_code == 401
        said.add(answer.text)
    assert len(said) == 1, "one answer for all of them"
    for source, head in wrong[-2:]:
        assert (await send(program, body, source=source, head=head)).status_code in (401, 404, 405)
    altered = await send(program, body.replace(b"24900", b"14900"), head=good)
    assert altered.status_code == 401
    assert await asked_for(gateway) == []


@pytest.mark.parametrize("header", [TIMESTAMP, KEY, SIGNATURE])
@pytest.mark.parametrize("value", [None, "", "ümläut", "-1", "9" * 200])
async def test_a_header_that_is_missing_or_unreadable_is_named(
    program: httpx.AsyncClient, header: str, value: str | None
) -> None:
    body = json.dumps(ENTER).encode()
    head = {name: text.encode() for name, text in signed(body).items() if name != header}
    if value is not None:
        head[header] = value.encode()
    answer = await program.post("/hooks/v1/chart", content=body, headers=head)  # type: ignore[arg-type]
    assert answer.status_code == 401
    if header == KEY and value == "-1":
        assert "signature" in answer.json()["detail"]
    else:
        assert answer.json()["detail"].startswith(header)


@pytest.mark.parametrize(("seconds", "way"), [(WINDOW_SECONDS + 60, "behind"), (-WINDOW_SECONDS - 60, "ahead of")])
async def test_an_old_signal_and_one_of_a_wrong_clock_are_refused(
    gateway: Gateway, program: httpx.AsyncClient, seconds: int, way: str
) -> None:
    await trades(gateway)
    answer = await send(program, ENTER, late_seconds=seconds)
    assert answer.status_code == 401
    assert f"s {way} the clock here" in answer.json()["detail"]
    assert await asked_for(gateway) == []


async def test_each_program_has_a_pace_of_its_own(gateway: Gateway, program: httpx.AsyncClient) -> None:
    await trades(gateway)
    for _ in range(20):  # what others send in its name takes nothing of it
        await send(program, ENTER, secret=OTHER)
    answers = [(await send(program, ENTER)).status_code for _ in range(7)]
    assert answers == [202, 200, 200, 200, 200, 429, 429]
    waiting = await send(program, ENTER)
    assert 0 < int(waiting.headers["Retry-After"]) <= 60
    assert "5 a minute are taken from chart" in waiting.json()["detail"]
    assert (await send(program, ENTER, source="other", secret=OTHER)).status_code == 422


BAD: list[tuple[Any, str, str]] = [
    (b"", "command", "is not JSON"),
    (b"\xff", "command", "is not UTF-8"),
    (b"[" * 9000, "command", "nested deeper"),
    ([], "command", "must be a JSON object"),
    ({**ENTER, "do": "BUY"}, "do", "must be ENTER or EXIT"),
    ({**ENTER, "symbol": "NIFTI"}, "symbol", "did you mean 'NIFTY'?"),
    ({**ENTER, "stop": None}, "stop", "is missing"),
    ({**ENTER, "source": "other"}, "source", "is said by the address"),
    ({**ENTER, "user_id": "9"}, "user_id", "unknown field"),
    ({"do": "EXIT", "symbol": "NIFTY", "stop": 5}, "stop", "unknown field"),
]


@pytest.mark.parametrize(("fields", "field", "says"), BAD)
async def test_a_bad_body_names_the_field_and_is_told_to_the_user(
    gateway: Gateway, program: httpx.AsyncClient, fields: Any, field: str, says: str
) -> None:
    answer = await send(program, fields)
    assert answer.status_code == 422, answer.text
    assert says in {one["field"]: one["problem"] for one in answer.json()["errors"]}[field]
    event = await gateway.event("COMMAND_REJECTED")
    assert (event["action"], event["user_id"]) == ("SIGNAL", "123")


async def test_ten_megabytes_are_refused_before_they_are_read(gateway: Gateway, program: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(2560):
            read += 4096
            yield b"x" * 4096

    head = {**signed(b""), "Content-Length": str(10 * 1024 * 1024)}
    for headers in (head, signed(b"")):
        read = 0
        try:
            answer = await program.post("/hooks/v1/chart", content=endless(), headers=headers)
        except httpx.HTTPError:  # closed while it went on sending
            continue
        assert answer.status_code == 413
        assert read < 10 * 1024 * 1024
    assert (await send(program, b"x" * 17_000)).status_code == 413
    assert (await gateway.http.get("/healthz")).status_code == 200


async def test_only_posts_to_a_webhook_need_no_token(program: httpx.AsyncClient) -> None:
    for method, path in [("GET", "/hooks/v1/chart"), ("PUT", "/hooks/v1/chart"), ("POST", "/hooks/v2/chart")]:
        assert (await program.request(method, path)).status_code == 401
    for path in ("/hooks/v1/../../api/commands", "/hooks/v1/%2e%2e/%2e%2e/api/commands", "/hooks/v1//api/commands"):
        answer = await program.post(path, content=b'{"action": "KILL"}')
        assert answer.status_code in (401, 404)
    taken = await program.get("/hooks/v1/chart", headers={"Authorization": f"Bearer {TOKEN}"})
    assert taken.status_code == 405


async def test_no_secret_is_in_an_answer_an_event_or_the_log(
    gateway: Gateway, program: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    await trades(gateway)
    answers = [
        await send(program, ENTER), await send(program, {**ENTER, "reason": 5}, key="k2"),
        await send(program, ENTER, secret=OTHER), await send(program, {**ENTER, SECRET: SECRET}, key="k3"),
    ]  # fmt: skip
    (gateway.settings.state_dir / "webhooks" / "chart").write_bytes(b"altered")
    answers.append(await send(program, ENTER))
    assert answers[-1].status_code == 401
    said = "".join(one.text for one in answers) + json.dumps(await gateway.events()) + caplog.text
    said += "".join(capsys.readouterr())
    assert SECRET not in said
    assert "cannot be opened" in said


async def test_while_the_book_is_away_it_is_503_and_sent_again_it_is_the_same_signal(
    gateway: Gateway, program: httpx.AsyncClient
) -> None:
    await trades(gateway)
    gateway.database.go_away()
    assert (await send(program, ENTER)).status_code == 503
    gateway.database.come_back()
    assert (await send(program, ENTER)).status_code == 202
    assert len(await asked_for(gateway)) == 1
