"""Commands over all three doors, on real servers: what is accepted happens once, what is bad changes nothing."""

import json
from typing import Any

from testkit.gateway import START, Gateway, eventually

from services.gateway.http.views import VIEWS
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import COMMAND_CHANNEL, COMMAND_INBOX


async def test_every_view_answers_from_the_real_book(gateway: Gateway) -> None:
    for name in (*VIEWS, "portfolio"):
        answer = await gateway.http.get(f"/api/{name}")
        assert (answer.status_code, answer.json()) == (200, {name: []})
    health = (await gateway.http.get("/api/health")).json()
    assert health["postgres"].startswith("ready (1"), "Postgres' own version"


async def test_a_start_becomes_a_session_the_services_are_told_of(gateway: Gateway) -> None:
    reply = await gateway.command(**START)
    assert (reply["http"], reply["status"], reply["session_status"]) == (202, "accepted", "STARTING")
    (entry,) = await gateway.commands()
    told = parse(entry.body)
    assert isinstance(told, StartTrading)
    assert (told.session_id, told.user_id, told.spec.capital_paise) == (reply["session_id"], "123", 50_000_000)


async def test_stop_flattens_then_reports_trades_and_profit(gateway: Gateway) -> None:
    session_id = await gateway.started()
    reply = await gateway.command(action="STOP_TRADING", user_id="123", data={"reason": "enough"})
    assert (reply["status"], reply["session_status"]) == ("accepted", "STOPPING")
    assert [entry.kind for entry in await gateway.commands()] == ["START_TRADING", "STOP_TRADING"]
    await add_trade(gateway, session_id, state="POSITION_OPEN")
    await gateway.let_go(session_id)
    again = await gateway.command(action="STOP_TRADING", user_id="123")
    assert (again["status"], again["session_status"]) == ("repeated", "STOPPING")
    await gateway.store.pool.execute("UPDATE trades SET state = 'CLOSED', net_pnl_paise = -12345")
    event = await gateway.event("SESSION_STOPPED")
    assert (event["trades"], event["net_pnl_paise"], event["reason"]) == (1, -12345, "enough")


async def test_stop_waits_for_an_approval_that_execution_has_not_answered(gateway: Gateway) -> None:
    session_id = await gateway.started()
    await gateway.store.pool.execute(
        """INSERT INTO events VALUES ('e1', 'intents.v1.{0}', 'ENTRY_APPROVED', $1, 'p1', 1, '{"intent_id": "i1"}')""",
        session_id,
    )
    await gateway.command(action="STOP_TRADING", user_id="123")
    await gateway.let_go(session_id)
    await gateway.command(**{**START, "user_id": "other"})  # another round through the gateway
    assert await gateway.store.pool.fetchval("SELECT status FROM sessions WHERE user_id = '123'") == "STOPPING"
    await gateway.store.pool.execute(
        "INSERT INTO intents VALUES ('i1', 'p1', $1, 'ENTRY', 'REFUSED', 1, '{}')", session_id
    )
    await gateway.event("SESSION_STOPPED")


async def test_a_command_on_the_durable_stream_is_carried_out_once(
    gateway: Gateway, redis_url: str, namespace: str
) -> None:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(redis_url) as outside:
        await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}", {"body": json.dumps(START)})
        await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}", {"body": "nonsense"})
        await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}", {"one": "two", "three": "four"})
    await eventually(gateway.commands)

    async def both_rejected() -> bool:
        return [one["type"] for one in await gateway.events()].count("COMMAND_REJECTED") == 2

    await eventually(both_rejected)
    assert await gateway.store.pool.fetchval("SELECT count(*) FROM sessions") == 1


async def test_each_application_has_a_durable_stream_of_its_own(
    launch: Any, gateway_settings: Any, redis_url: str, namespace: str
) -> None:
    import redis.asyncio

    gateway = await launch(gateway_settings.model_copy(update={"applications": "app, desk_2"}))
    async with redis.asyncio.Redis.from_url(redis_url) as outside:
        for name, user in (("app", "123"), ("desk_2", "124")):
            # One id on both: neither is taken for the other.
            command = json.dumps(START | {"user_id": user})
            await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}.{name}", {"command": command}, id="1-1")

    async def both_started() -> bool:
        return await gateway.store.pool.fetchval("SELECT count(DISTINCT user_id) FROM sessions") == 2

    await eventually(both_started)


async def test_a_command_that_waited_while_the_gateway_was_away_is_carried_out(
    launch: Any, gateway_settings: Any, redis_url: str, namespace: str
) -> None:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(redis_url) as outside:
        await outside.xadd(f"{namespace}:{COMMAND_INBOX.name}", {"body": json.dumps(START)})
    gateway = await launch(gateway_settings)
    await eventually(gateway.commands)


async def add_trade(gateway: Gateway, session_id: str, *, state: str) -> None:
    await gateway.store.pool.execute(
        """INSERT INTO trades (pos_id, session_id, user_id, strategy, symbol, instrument_id, side, state,
               quantity_requested, entry_quantity, entry_value_paise, expected_price_paise, initial_stop_paise,
               stop_paise, lot_size, tick_size_paise, max_slippage_pct, order_timeout_seconds, trace_id, intent_id,
               created_ns, as_of_ns, owner)
           VALUES ('p1', $1, '123', 'orb', 'BANKNIFTY', 1, 'LONG', $2, 30, 30, 30 * 5000000, 5000000, 4990000, 4990000,
               15, 5, 0.5, 30, 't1', 'i1', 1, 1, 'execution-1')""",
        session_id, state,
    )  # fmt: skip


async def test_commands_go_on_after_postgres_has_dropped_every_connection(gateway: Gateway) -> None:
    await gateway.store.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND application_name = $1",
        gateway.store.producer,
    )
    await gateway.bus.broadcast(COMMAND_CHANNEL, json.dumps(START).encode())
    (entry,) = await eventually(gateway.commands)
    assert entry.kind == "START_TRADING"
