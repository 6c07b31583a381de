"""Entries that wait for a person, through the whole service: across restarts, and where the bus loses the word."""

from typing import Any

from testkit.risk import SECOND, at, entry, spec, ticks
from testkit.risk_service import Around

from services.gateway.adapters.views import views_of
from services.gateway.http.rows import approval
from tradebus.contracts.commands import ApproveEntry, RefuseEntry
from tradebus.contracts.risk import EntryApproved, EntryAwaitsApproval, EntryBlocked
from tradebus.contracts.sessions import SessionSpec

SAID: dict[str, Any] = {"decided_by": "asha", "reason": "as agreed"}


def asking() -> SessionSpec:
    return spec().model_copy(update={"approval_seconds": 60})


async def waits(around: Around) -> EntryAwaitsApproval:
    """An entry that waits, in a session that has just begun, while the market trades."""
    await around.session(asking())
    await around.slice(ticks(), start_ns=at("09:59"), end_ns=at("10:00"))
    await around.publish(entry("p1"))
    (told,) = await around.until(around.refusals)
    assert isinstance(told, EntryAwaitsApproval)
    assert await around.intents() == []
    return told


async def test_what_waits_is_shown_outlives_a_crash_and_gets_in_with_a_yes(around: Around) -> None:
    life = await around.life()
    told = await waits(around)
    (row,) = await views_of(around.book).rows("approvals", session_id=None, user_id="user-1", limit=9)
    shown = approval(row)
    assert (shown["approval_id"], shown["quantity"]) == (told.approval_id, told.quantity)
    assert [(one["symbol"], one["price"], one["stop"]) for one in shown["entries"]] == [("SBIN", 500.0, 495.0)]
    await life.crash()
    await around.life()
    await around.command(ApproveEntry, "session-1", approval_id=told.approval_id, **SAID)
    (approved,) = await around.until(around.intents)
    assert isinstance(approved, EntryApproved)
    assert (approved.pos_id, approved.signal_id, approved.quantity) == ("p1", told.signal_id, told.quantity)
    assert approved.ts_event_ns >= at("10:00")
    assert await views_of(around.book).rows("approvals", session_id=None, user_id=None, limit=9) == []


async def test_a_yes_that_the_bus_has_lost_is_found_in_the_book(around: Around) -> None:
    await around.life()
    told = await waits(around)
    await around.command(ApproveEntry, "session-1", approval_id=told.approval_id, lost=True, **SAID)
    (approved,) = await around.until(around.intents)
    assert isinstance(approved, EntryApproved)


async def test_a_second_word_changes_nothing(around: Around) -> None:
    await around.life()
    told = await waits(around)
    await around.command(RefuseEntry, "session-1", approval_id=told.approval_id, **SAID)
    await around.command(ApproveEntry, "session-1", number=2, approval_id=told.approval_id, **SAID)

    async def answered() -> bool:
        return len(await around.journal()) == 3

    await around.until(answered)
    assert [(verdict, rule) for _, verdict, rule, _ in await around.journal()] == [
        ("WAIT", "awaits_approval"), ("BLOCK", "approval_refused"), ("IGNORED", "not_waiting"),
    ]  # fmt: skip
    (_, refused) = await around.refusals()
    assert isinstance(refused, EntryBlocked)
    assert refused.detail == "refused by asha: as agreed"
    assert await around.intents() == []


async def test_what_nobody_answers_is_told_once_the_markets_clock_has_passed_it(around: Around) -> None:
    await around.life()
    await waits(around)
    await around.slice(ticks(), start_ns=at("10:00"), end_ns=at("10:00") + 61 * SECOND)

    async def over() -> list[object]:
        return [one for one in await around.refusals() if isinstance(one, EntryBlocked)]

    (expired,) = await around.until(over)
    assert expired.rule == "approval_expired"
    assert await around.intents() == []
