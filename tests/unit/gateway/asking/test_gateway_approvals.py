"""APPROVE_ENTRY and REFUSE_ENTRY: what is told to risk, once, and what is refused by field; START that asks for it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.gateway import START, MemoryGateway

from services.gateway.domain.asked_orders import read_word
from services.gateway.domain.problems import Problems
from tradebus.contracts.commands import ApproveEntry, RefuseEntry, StartTrading
from tradebus.contracts.registry import parse
from tradebus.store.memory_book import MemoryBook


async def told(twin: MemoryGateway) -> list[ApproveEntry | RefuseEntry]:
    found = [parse(entry.body) for entry in await twin.commands()]
    return [one for one in found if isinstance(one, ApproveEntry | RefuseEntry)]


def word(action: str, *, key: str = "k1", user_id: str = "123", **data: Any) -> dict[str, Any]:
    given = {"approval_id": "a1", "by": "asha", "reason": "as agreed", **data}
    return {"action": action, "user_id": user_id, "command_id": key, "data": given}


async def refused(twin: MemoryGateway, command: dict[str, Any]) -> dict[str, str]:
    before = await told(twin)
    reply = await twin.command(**command)
    assert reply["status"] == "rejected", reply
    assert await told(twin) == before
    return {one["field"]: one["problem"] for one in reply["errors"]}


async def waits(twin: MemoryGateway, session_id: str, *ids: str) -> None:
    """As risk keeps what waits."""
    assert isinstance(twin.book, MemoryBook)
    state = json.dumps({"waiting": {one: {} for one in ids}})
    async with MemoryBook(twin.book.database, producer="risk-1").begin() as transaction:
        transaction.table("risk_state")[session_id] = (state, 1)


@pytest.mark.parametrize(("action", "model"), [("APPROVE_ENTRY", ApproveEntry), ("REFUSE_ENTRY", RefuseEntry)])
async def test_a_word_is_told_once_with_whose_it_is(
    twin: MemoryGateway, action: str, model: type[ApproveEntry | RefuseEntry]
) -> None:
    session_id = await twin.started()
    await waits(twin, session_id, "a1", "a2")
    reply = await twin.command(**word(action))
    assert (reply["status"], reply["session_id"]) == ("accepted", session_id)
    (command,) = await told(twin)
    assert isinstance(command, model)
    assert (command.session_id, command.user_id, command.approval_id) == (session_id, "123", "a1")
    assert (command.decided_by, command.reason) == ("asha", "as agreed")
    await waits(twin, session_id, "a2")
    assert (await twin.command(**word(action)))["status"] == "repeated"
    assert len(await told(twin)) == 1
    assert "waits under this id" in (await refused(twin, word(action, key="k2")))["data.approval_id"]


async def test_what_waits_of_another_user_and_of_nobody_is_refused(twin: MemoryGateway) -> None:
    assert "waits under this id" in (await refused(twin, word("APPROVE_ENTRY")))["data.approval_id"]
    session_id = await twin.started()
    assert "waits under this id" in (await refused(twin, word("APPROVE_ENTRY")))["data.approval_id"]
    await waits(twin, session_id, "a1")
    other = word("APPROVE_ENTRY", user_id="124")
    assert "no entry of user 124 waits" in (await refused(twin, other))["data.approval_id"]


async def test_every_bad_field_of_a_word_is_named(twin: MemoryGateway) -> None:
    bad = {"approval_id": 5, "by": "", "reason": [], "quantity": 75}
    errors = await refused(twin, word("APPROVE_ENTRY", **bad))
    assert set(errors) == {"data.approval_id", "data.by", "data.reason", "data.quantity"}
    missing = {"action": "REFUSE_ENTRY", "user_id": "123", "data": {"approval_id": "a1"}}
    assert "who lets it in" in (await refused(twin, missing))["data.by"]


async def test_a_start_says_how_long_an_entry_waits(twin: MemoryGateway, launch_twin: Any) -> None:
    asks = {**START, "data": {**START["data"], "approval_seconds": 60}}
    await twin.started(**asks)
    (start,) = [one for entry in await twin.commands() if isinstance(one := parse(entry.body), StartTrading)]
    assert start.spec.approval_seconds == 60
    for value in (4, 3601, 60.5, "60", True, []):
        reply = await twin.command(**{**asks, "user_id": "9", "data": {**asks["data"], "approval_seconds": value}})
        assert [one["field"] for one in reply["errors"]] == ["data.approval_seconds"]
    for name in ("manual", "webhook.chart"):
        reply = await twin.command(**{**START, "user_id": "9", "data": {**START["data"], "strategies": [name]}})
        assert "names of what people and programs ask for" in reply["errors"][0]["problem"]
    paced = await launch_twin(paced=True)
    reply = await paced.command(**asks)
    assert "recorded time waits for nobody" in reply["errors"][0]["problem"]


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(st.sampled_from(("approval_id", "by", "reason", "x")), _SCALARS))
def test_any_tree_is_a_word_or_a_problem(data: dict[str, Any]) -> None:
    problems = Problems()
    assert (read_word(data, problems) is None) == bool(problems)
