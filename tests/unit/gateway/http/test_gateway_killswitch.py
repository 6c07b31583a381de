"""The kill switch: however it is engaged, every service is told once, and it stays until a person releases it."""

from testkit.gateway import START, Gateway, eventually

from services.gateway.killswitch import engage
from services.gateway.pausing import pause_running
from tradebus.contracts.sessions import KillSwitch
from tradebus.store.books import kill_switch_book, session_register
from tradebus.store.memory_book import EVENTS


async def kills(gateway: Gateway) -> int:
    """Engagements that the services were told of: told twice it is one, by its id."""
    return len({entry.body for entry in await gateway.commands() if entry.kind == "KILL"})


async def test_kill_reaches_services_and_listeners_once_and_again_when_pressed_again(gateway: Gateway) -> None:
    first = await gateway.command(action="KILL", data={"reason": "enough"})
    event = await gateway.event("KILL_SWITCH")
    assert (event["reason"], await kills(gateway)) == ("enough", 1)
    again = await gateway.command(action="KILL", user_id="123")
    assert (first["status"], again["status"]) == ("accepted", "repeated")
    assert await kills(gateway) == 2
    told = [one["reason"] for one in await gateway.events() if one["type"] == "KILL_SWITCH"]
    assert told == ["enough", "command"]
    await gateway.command(action="KILL", data={"reason": "enough"})
    stands = (await gateway.http.get("/api/killswitch")).json()
    assert (stands["reason"], [one["reason"] for one in stands["further"]]) == ("enough", ["command"])
    assert stands["further"][0]["at_utc"] > stands["since_utc"]
    assert [one["type"] for one in await gateway.events()].count("KILL_SWITCH") == 2


async def test_the_file_engages_it(gateway: Gateway) -> None:
    gateway.settings.state_dir.mkdir(parents=True, exist_ok=True)
    written = gateway.settings.state_dir / "written"  # whole, before the gateway sees it
    written.write_text("the feed is mad\nsecond line")
    written.rename(gateway.settings.kill_file)
    await gateway.event("KILL_SWITCH", reason="second line")
    stands = await kill_switch_book(gateway.book).read()
    assert stands is not None
    assert (stands.engaged, stands.reason) == (True, "the feed is mad")
    assert [one.reason for one in stands.further] == ["second line"]


async def test_a_row_somebody_else_engaged_is_told_to_the_services(gateway: Gateway) -> None:
    async with gateway.book.begin() as transaction:
        await kill_switch_book(gateway.book).engage(transaction, reason="by hand", at_ns=77)

    async def told() -> bool:
        return await kills(gateway) == 1

    await eventually(told)


async def test_no_session_starts_until_it_is_released(gateway: Gateway) -> None:
    await gateway.command(action="KILL")
    reply = await gateway.command(**START)
    assert reply["status"] == "rejected"
    assert "kill switch" in reply["errors"][0]["problem"]
    async with gateway.book.begin() as transaction:
        assert await kill_switch_book(gateway.book).release(transaction, reason="looked into it", at_ns=5)
    assert (await gateway.command(**START))["status"] == "accepted"


async def test_a_second_engagement_is_told_again(gateway: Gateway) -> None:
    for number in (1, 2):
        async with gateway.book.begin() as transaction:
            switch = kill_switch_book(gateway.book)
            assert await engage(switch, transaction, reason=f"number {number}", now_ns=number)
            await switch.release(transaction, reason="released", at_ns=number)
    messages = [event.message for event in gateway.database.table(EVENTS).values()]
    assert {one.reason for one in messages if isinstance(one, KillSwitch)} == {"number 1", "number 2"}


async def test_a_kill_pauses_what_runs_and_only_a_person_lets_it_go_on(gateway: Gateway) -> None:
    session_id = await gateway.started()
    await gateway.command(action="KILL", data={"reason": "enough"})
    event = await gateway.event("SESSION_PAUSED")
    assert (event["session_id"], event["reason"]) == (session_id, "kill switch: enough")
    assert [entry.kind for entry in await gateway.commands()].count("PAUSE_TRADING") == 1
    refused = await gateway.command(action="RESUME_TRADING", user_id="123")
    assert "kill switch" in refused["errors"][0]["problem"]
    stands = (await gateway.http.get("/api/killswitch")).json()
    assert (stands["engaged"], stands["reason"]) == (True, "enough")
    assert (await gateway.http.get("/api/health")).json()["kill_switch"] == stands
    async with gateway.book.begin() as transaction:
        assert await kill_switch_book(gateway.book).release(transaction, reason="looked into it", at_ns=5)
    assert (await gateway.http.get("/api/killswitch")).json()["engaged"] is False
    (session,) = (await gateway.http.get("/api/sessions")).json()["sessions"]
    assert session["status"] == "PAUSED"
    resumed = await gateway.command(action="RESUME_TRADING", user_id="123")
    assert (resumed["status"], resumed["session_status"]) == ("accepted", "RUNNING")


async def test_what_nobody_was_told_of_is_not_paused(gateway: Gateway) -> None:
    """The switch was released before anybody looked at it."""
    await gateway.started()
    switch, register = kill_switch_book(gateway.book), session_register(gateway.book)
    assert await pause_running(gateway.book, register, switch, now_ns=1) == 0
