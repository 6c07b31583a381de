"""The kill switch: however it is engaged, every service is told once, and it stays until a person releases it."""

from typing import Any

from testkit.gateway import START, Gateway, eventually

from services.gateway.killswitch import engage, release


async def kills(gateway: Gateway) -> int:
    return [entry.kind for entry in await gateway.commands()].count("KILL")


async def test_a_kill_command_reaches_services_and_listeners_once(gateway: Gateway) -> None:
    first = await gateway.command(action="KILL", data={"reason": "enough"})
    again = await gateway.command(action="KILL", user_id="123")
    assert (first["status"], again["status"]) == ("accepted", "repeated")
    event = await gateway.event("KILL_SWITCH")
    assert event["reason"] == "enough"
    assert await kills(gateway) == 1


async def test_the_file_engages_it(gateway: Gateway) -> None:
    gateway.settings.state_dir.mkdir(parents=True, exist_ok=True)
    gateway.settings.kill_file.write_text("the feed is mad\nsecond line")
    event = await gateway.event("KILL_SWITCH")
    assert event["reason"] == "the feed is mad"
    assert await gateway.store.pool.fetchval("SELECT engaged FROM kill_switch")


async def test_a_row_somebody_else_engaged_is_told_to_the_services(gateway: Gateway) -> None:
    await gateway.store.pool.execute("INSERT INTO kill_switch VALUES (true, true, 'by hand', 77)")

    async def told() -> bool:
        return await kills(gateway) == 1

    await eventually(told)


async def test_no_session_starts_until_it_is_released(gateway: Gateway) -> None:
    await gateway.command(action="KILL")
    reply = await gateway.command(**START)
    assert reply["status"] == "rejected"
    assert "kill switch" in reply["errors"][0]["problem"]
    async with gateway.store.begin() as transaction:
        assert await release(transaction, reason="looked into it", now_ns=5)
        assert not await release(transaction, reason="again", now_ns=6)
    assert (await gateway.command(**START))["status"] == "accepted"


async def test_a_second_engagement_is_told_again(gateway: Gateway) -> None:
    for number in (1, 2):
        async with gateway.store.begin() as transaction:
            assert await engage(transaction, reason=f"number {number}", now_ns=number)
            await release(transaction, reason="released", now_ns=number)
    found: Any = await gateway.store.pool.fetch(
        "SELECT body ->> 'reason' AS reason FROM events WHERE type = 'KILL_SWITCH'"
    )
    assert {row["reason"] for row in found} == {"number 1", "number 2"}
