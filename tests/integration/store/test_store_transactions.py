"""Inbox, outbox and locks on a real Postgres."""

from tradebus.contracts.commands import PauseTrading
from tradebus.contracts.streams import COMMANDS
from tradebus.store.store import Store


def message(number: int) -> PauseTrading:
    return PauseTrading(event_id=f"event-{number}", ts_event_ns=number, ts_recorded_ns=number, source="test",
                        trace_id="trace", session_id="s", reason=f"reason {number}")  # fmt: skip


async def test_what_a_transaction_emits_is_in_the_outbox_and_the_events_after_commit(store: Store) -> None:
    async with store.begin() as transaction:
        transaction.emit(COMMANDS.name, message(1))
        transaction.emit(COMMANDS.name, message(2))
        assert await store.pool.fetchval("SELECT count(*) FROM outbox") == 0
    rows = await store.pool.fetch("SELECT * FROM outbox ORDER BY outbox_id")
    assert [(row["stream"], row["kind"], row["body"]) for row in rows] == [
        (COMMANDS.name, "PAUSE_TRADING", message(number).to_json()) for number in (1, 2)
    ]
    events = await store.pool.fetch("SELECT event_id, type, session_id, ts_event_ns, body FROM events ORDER BY 1")
    assert [event["body"]["reason"] for event in events] == ["reason 1", "reason 2"]
