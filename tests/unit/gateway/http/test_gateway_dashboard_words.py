"""A person's word on the dashboard: what the page reads of an entry that waits, and sends as a browser does."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from testkit.filled_book import put_waiting
from testkit.gateway import TOKEN, Gateway

from tradebus.contracts.commands import ApproveEntry, RefuseEntry
from tradebus.contracts.registry import parse
from tradebus.store.memory_book import MemoryBook


@pytest.fixture
async def browser(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Logged in: it has the cookie, and never the token."""
    async with httpx.AsyncClient(base_url=str(gateway.http.base_url), trust_env=False) as client:
        assert (await client.post("/api/login", json={"token": TOKEN})).status_code == 200
        yield client


async def waits(gateway: Gateway, *approval_ids: str) -> None:
    session_id = await gateway.started()
    book = MemoryBook(gateway.database, producer="risk-1")
    await put_waiting(book, session_id=session_id, approval_ids=approval_ids)


def word(action: str, waiting: dict[str, Any]) -> dict[str, Any]:
    """What the page sends when a button is pressed."""
    return {
        "action": action, "user_id": waiting["user_id"], "command_id": f"{action}.{waiting['approval_id']}",
        "data": {"approval_id": waiting["approval_id"], "by": "Asha", "reason": "by hand"},
    }  # fmt: skip


async def test_the_page_reads_only_what_is_told_of_an_entry_that_waits(
    gateway: Gateway, browser: httpx.AsyncClient
) -> None:
    await waits(gateway, "a1")
    page = (await browser.get("/")).text
    (one,) = (await browser.get("/api/approvals?limit=100")).json()["approvals"]
    card = page[page.index("function giveWord") : page.index("let pending")]
    read = set(re.findall(r"\bone\.(\w+)", card))
    assert {"user_id", "quantity", "expires_at", "entries", "approval_id"} <= read <= set(one)
    assert one["expires_at"].endswith("+05:30")
    read = set(re.findall(r"\bentry\.(\w+)", card))
    assert {"strategy", "side", "symbol", "price", "stop", "target", "reason"} <= read <= set(one["entries"][0])


async def test_a_word_of_the_page_reaches_risk_once_however_often_it_is_pressed(
    gateway: Gateway, browser: httpx.AsyncClient
) -> None:
    await waits(gateway, "a1", "a2")
    newest, oldest = (await browser.get("/api/approvals?limit=100")).json()["approvals"]
    for one, action in ((newest, "APPROVE_ENTRY"), (oldest, "REFUSE_ENTRY")):
        assert (await browser.post("/api/commands", json=word(action, one))).status_code == 202
        assert (await browser.post("/api/commands", json=word(action, one))).status_code == 200
    told = [parse(entry.body) for entry in await gateway.commands() if entry.kind != "START_TRADING"]
    assert [(type(one), one.approval_id, one.decided_by) for one in told] == [  # type: ignore[union-attr]
        (ApproveEntry, "a2", "Asha"), (RefuseEntry, "a1", "Asha"),
    ]  # fmt: skip


async def test_a_page_that_is_not_logged_in_gives_no_word(gateway: Gateway, browser: httpx.AsyncClient) -> None:
    await waits(gateway, "a1")
    (one,) = (await browser.get("/api/approvals?limit=100")).json()["approvals"]
    browser.cookies.clear()
    assert (await browser.post("/api/commands", json=word("APPROVE_ENTRY", one))).status_code == 401
    assert [entry.kind for entry in await gateway.commands()] == ["START_TRADING"]
