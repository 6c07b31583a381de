"""POST /hooks/v1/{source}/plain: a program that cannot sign shows its secret, once and in time, and nowhere else."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from testkit.gateway import Gateway
from testkit.waiting import WALL_TIMERS

from services.gateway.hooks.plain import read_plain
from services.gateway.hooks.signing import KEY, SIGNATURE, TIMESTAMP, WINDOW_SECONDS, signature_of
from services.gateway.hooks.sources import WebhookSource, WebhookSources
from tradebus.bus.port import Outgoing
from tradebus.contracts.records import TICK
from tradebus.contracts.registry import parse
from tradebus.contracts.signals import EntrySignal
from tradebus.contracts.streams import MD_TICKS, SIGNALS_WEBHOOK, key_of

SECRET, OTHER = "the-secret-of-the-chart-program-0123456789", "another-secret-of-somebody-else-0123456789"
ENTER: dict[str, Any] = {
    "do": "ENTER", "symbol": "NIFTY", "side": "LONG", "stop": 24900, "reason": "golden cross",
}  # fmt: skip


@pytest.fixture
async def chart(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """ "tv" shows its secret, "signing" signs; user 123 trades."""
    sources = WebhookSources(gateway.settings.state_dir, key=None)
    sources.put(WebhookSource("tv", "123", 5, SecretStr(SECRET), signs=False))
    sources.put(WebhookSource("signing", "123", 5, SecretStr(OTHER)))
    await gateway.started()
    ticks, now_ns = np.zeros(1, TICK), WALL_TIMERS.now_ns()
    ticks["ts_event_ns"], ticks["price_paise"], ticks["instrument"] = now_ns - 1, 2_500_000, 2
    await gateway.bus.publish([Outgoing(key_of(MD_TICKS), "ticks", ticks.tobytes(), watermark_ns=now_ns)])
    async with httpx.AsyncClient(base_url=str(gateway.http.base_url), trust_env=False) as client:
        yield client


def at(late_seconds: int = 0) -> str:
    """As TradingView writes it."""
    return f"{datetime.fromtimestamp(WALL_TIMERS.now_ns() // 10**9 - late_seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


async def send(chart: httpx.AsyncClient, fields: Any, *, source: str = "tv") -> httpx.Response:
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return await chart.post(f"/hooks/v1/{source}/plain", content=body, headers={"Content-Type": "text/plain"})


async def asked_for(gateway: Gateway) -> list[EntrySignal]:
    found = [parse(entry.body) for entry in await gateway.bus.tail(SIGNALS_WEBHOOK.name, count=100)]
    return [one for one in found if isinstance(one, EntrySignal)]


async def test_the_same_message_is_the_same_signal_and_another_time_another(
    gateway: Gateway, chart: httpx.AsyncClient
) -> None:
    message = {"secret": SECRET, "time": at(), **ENTER}
    first, again = await send(chart, message), await send(chart, message)
    assert (first.status_code, again.status_code) == (202, 200), first.text
    [signal] = await asked_for(gateway)
    assert (signal.user_id, signal.strategy, signal.reason) == ("123", "webhook.tv", "golden cross")
    assert again.json()["signal_id"] == signal.event_id
    later = await send(chart, {**message, "time": WALL_TIMERS.now_ns() // 10**9 + 30})
    assert later.json()["key"] != first.json()["key"]


async def test_who_does_not_show_the_secret_learns_nothing(gateway: Gateway, chart: httpx.AsyncClient) -> None:
    good = {"secret": SECRET, "time": at(), **ENTER}
    wrong: list[tuple[str, Any]] = [
        ("tv", {**good, "secret": OTHER}), ("tv", {**good, "secret": ""}), ("tv", {**good, "secret": 5}), ("tv", ENTER),
        ("tv", b"no json"), ("tv", b"[" * 9000), ("tv", []), ("nobody", good),
        ("signing", good), ("signing", {**good, "secret": OTHER}),
    ]  # fmt: skip
    answers = [await send(chart, fields, source=source) for source, fields in wrong]
    assert {one.status_code for one in answers} == {401}
    assert len({one.text for one in answers}) == 1, "one answer for all of them"
    assert (await send(chart, b"x" * 17_000)).status_code == 413
    body, timestamp = json.dumps(ENTER).encode(), str(WALL_TIMERS.now_ns() // 10**9)
    signature = signature_of(SECRET.encode(), timestamp=timestamp, key="k", body=body)
    head = {TIMESTAMP: timestamp, KEY: "k", SIGNATURE: signature}
    assert (await chart.post("/hooks/v1/tv", content=body, headers=head)).status_code == 401, "it is heard in one way"
    assert await asked_for(gateway) == []


@pytest.mark.parametrize("late_seconds", [WINDOW_SECONDS + 60, -WINDOW_SECONDS - 60])
async def test_what_was_recorded_is_of_no_use_later(
    gateway: Gateway, chart: httpx.AsyncClient, late_seconds: int
) -> None:
    answer = await send(chart, {"secret": SECRET, "time": at(late_seconds), **ENTER})
    assert answer.status_code == 401
    assert "the clock here" in answer.json()["detail"]
    assert await asked_for(gateway) == []


@pytest.mark.parametrize("time", [None, "", "yesterday", "2026-12-01T10:00:00", True, 1.5, "9" * 400, [1]])
async def test_a_time_that_is_none_is_named(gateway: Gateway, chart: httpx.AsyncClient, time: Any) -> None:
    answer = await send(chart, {"secret": SECRET, "time": time, **ENTER})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["time"]


async def test_it_has_its_pace_and_its_secret_is_told_nowhere(
    gateway: Gateway, chart: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    good = {"secret": SECRET, "time": at(), **ENTER}
    answers = [
        await send(chart, good), await send(chart, {**good, "reason": f"by {SECRET}"}),
        await send(chart, {**good, SECRET: 1}), await send(chart, {**good, "stop": None}), await send(chart, good),
        await send(chart, good),
    ]  # fmt: skip
    assert [one.status_code for one in answers] == [202, 422, 422, 422, 200, 429]
    assert "another field too" in answers[1].text
    said = "".join(one.text for one in answers) + json.dumps(await gateway.events()) + caplog.text
    assert SECRET not in said + "".join(capsys.readouterr())


@given(st.binary(max_size=200) | st.dictionaries(st.text(), st.text() | st.integers() | st.none()).map(
    lambda tree: json.dumps({"secret": SECRET, **tree}).encode()
))  # fmt: skip
def test_any_bytes_are_read_and_what_is_left_holds_no_secret(body: bytes) -> None:
    found = read_plain(body)
    if found is not None:
        assert found.secret not in "\n".join(one for one in found.fields.values() if isinstance(one, str))
        assert SECRET not in repr(found)
        assert found.sent_s is not None or found.errors
