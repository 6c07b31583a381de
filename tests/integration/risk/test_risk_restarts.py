"""Whatever is dropped when, nothing is decided twice, lost, or decided otherwise."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from testkit.risk import (
    OTHER,
    SECOND,
    STOCK,
    at,
    closed,
    entry,
    every_second,
    exit_signal,
    fill,
    opened,
    spec,
    ticks,
)
from testkit.risk_service import Around, Life, Said
from testkit.waiting import WALL_TIMERS

from services.risk.bootstrap import STREAMS
from services.risk.ports import StateConflict
from tradebus.bus.port import Entry
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.base import Message
from tradebus.contracts.streams import ORDERS, SIGNALS
from tradebus.store.migrate import drop_namespace, migrate
from tradebus.store.store import Store

MINUTE = 60 * SECOND


async def read_by_hand(life: Life) -> list[Entry]:
    """What this life would read first, without its loop."""
    await life.wired.risk.recover()
    subscription = await life.bus.subscribe(STREAMS, group="risk", consumer="risk")
    return await subscription.read(block_ms=1000)


@pytest.mark.parametrize("is_published", [False, True])
async def test_dropped_between_commit_and_acknowledgement(around: Around, store: Store, is_published: bool) -> None:
    first = await around.life()
    await around.session(spec())
    await first.stop()
    signal = entry("p1")
    await around.publish(signal)
    second = await around.life(run=False)
    (delivered,) = await read_by_hand(second)
    await second.wired.risk.handle(delivered)
    await second.wired.risk.commit()
    if is_published:
        await second.outbox.flush()
    await second.crash()
    before = await around.state()
    assert len(await around.intents()) == int(is_published)

    await around.life()
    later = entry("p2", ts_ns=at("10:01"), instrument=OTHER)
    await around.publish(later)
    await around.handled(later)
    recorded = await store.pool.fetch("SELECT event_id, pos_id FROM events WHERE pos_id IS NOT NULL")
    published = await around.until(lambda: _published(around, {"p1", "p2"}))
    assert {intent.event_id: intent.pos_id for intent in published} == {
        row["event_id"]: row["pos_id"] for row in recorded
    }
    assert [line[3] for line in await around.journal()] == ["p1", "p2"]
    assert (await around.state())["holdings"]["p1"] == before["holdings"]["p1"]
    assert await around.hands.version("session-1") == 2


async def _published(around: Around, positions: set[str]) -> list[Message]:
    intents = await around.intents()
    return intents if {intent.pos_id for intent in intents} == positions else []


async def test_positions_limits_and_counts_survive(around: Around) -> None:
    first = await around.life()
    await around.session(spec(max_trades_per_symbol_per_day=1, consecutive_losses_limit=2))
    await around.tell(entry("p1"), opened("p1"), closed("p1", net_pnl_paise=-5))
    await first.crash()
    second = await around.life()
    await around.tell(entry("p2", ts_ns=at("11:00")))
    await second.crash()
    await around.life()
    await around.tell(entry("p3", ts_ns=at("11:00"), instrument=OTHER), opened("p3", instrument=OTHER))
    await around.tell(closed("p3", instrument=OTHER, net_pnl_paise=-5, ts_ns=at("11:30")))
    assert [line[1:3] for line in await around.journal()] == [
        ("ALLOW", "all_passed"),
        ("BLOCK", "max_trades_per_symbol_per_day"),
        ("ALLOW", "all_passed"),
        ("HALT", "consecutive_losses_limit"),
    ]


async def test_marks_of_before_the_restart_count_after_it(around: Around) -> None:
    first = await around.life()
    await around.session(spec(daily_max_loss_paise=10_000))
    await around.tell(entry("p1"), opened("p1"), entry("p2", instrument=OTHER), opened("p2", instrument=OTHER))
    start = at("10:01")
    for second, price in enumerate((49_990, 49_980, 49_951)):
        moment = start + second * SECOND
        await around.slice(every_second(moment, STOCK, [price]), start_ns=moment, end_ns=moment + SECOND)
    await around.until(lambda: _lag_free(first))
    await first.crash()

    await around.life()
    # -4,900 from before the restart; the second tick makes it -10,000 together.
    await around.slice(every_second(start + 10 * SECOND, OTHER, [49_950, 49_949]), start_ns=start, end_ns=at("10:02"))
    (halted,) = await around.until(around.refusals)
    assert halted.ts_event_ns == start + 11 * SECOND


async def _lag_free(life: Life) -> bool:
    subscription = await life.bus.subscribe(STREAMS, group="risk", consumer="watcher")
    return not any((await subscription.lag()).values())


async def test_a_second_risk_service_cannot_overwrite_the_first_ones_decisions(around: Around) -> None:
    first = await around.life()
    await around.session(spec(max_concurrent_trades=1))
    other = await around.life(run=False)
    await other.wired.risk.recover()
    await around.tell(entry("p1"))
    await first.stop()
    await around.publish(entry("p2", instrument=OTHER))
    subscription = await other.bus.subscribe(STREAMS, group="risk", consumer="risk-2")
    (delivered,) = await subscription.read(block_ms=1000)
    # What the other holds is outdated: it decides again, on what the book says.
    await other.wired.risk.handle(delivered)
    with pytest.raises(StateConflict):
        await other.wired.risk.commit()
    assert set((await around.state())["holdings"]) == {"p1"}
    await other.wired.risk.recover()
    await other.wired.risk.handle(delivered)
    assert await other.wired.risk.commit()
    assert sorted(line[1:] for line in await around.journal()) == [
        ("ALLOW", "all_passed", "p1"), ("BLOCK", "max_concurrent_trades", "p2"),
    ]  # fmt: skip


async def test_a_database_that_drops_every_connection_costs_no_message(around: Around, store: Store) -> None:
    life = await around.life()
    await around.session(spec())
    for number in range(5):
        await store.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'risk-1'"
        )
        await around.tell(entry(f"p{number}", ts_ns=at(f"10:0{number}"), strategy=f"s{number}"))
    assert len(await around.journal()) == 5
    assert await around.bus.dead_letters(SIGNALS.name, count=10) == []
    assert life.failure() is None


async def test_a_message_that_fails_again_and_again_is_given_up_with_the_reason(around: Around, store: Store) -> None:
    await around.life(attempts_max=2)
    await around.session(spec())
    # A verdict's quantity beyond what the book can hold: a defect that no retry mends.
    await store.pool.execute("ALTER TABLE risk_decisions ADD CHECK (pos_id <> 'cursed')")
    await around.publish(entry("cursed"), entry("p1"))
    (approval,) = await around.until(around.intents)
    assert approval.pos_id == "p1"
    (letter,) = await around.bus.dead_letters(SIGNALS.name, count=10)
    assert "CheckViolation" in letter.reason
    assert set((await around.state())["holdings"]) == {"p1"}


@pytest.fixture
async def twin(
    around: Around, database_url: str, redis_url: str, tmp_path: Path, migrated: str
) -> AsyncIterator[Around]:
    """The same again in a namespace of its own."""
    namespace = f"{migrated}_twin"
    migrate(database_url, namespace=namespace)
    bus = await RedisBus.connect(redis_url, namespace=namespace, timers=WALL_TIMERS)
    store = await Store.connect(database_url, namespace=namespace, producer="test-1", timers=WALL_TIMERS)
    twin = Around.servers(
        store, bus, database_url=database_url, redis_url=redis_url, namespace=namespace, state_dir=tmp_path
    )
    await twin.prepare()
    yield twin
    for life in twin.lives:
        await life.crash()
    await store.close()
    await bus.close()
    drop_namespace(database_url, namespace=namespace)


def _morning() -> list[tuple[int, list[Said], list[Said], Any]]:
    """Slices of one minute: their end, the orders' reports within, the signals at the end, the ticks."""
    story = []
    for number in range(12):
        start = at("10:00") + number * MINUTE
        stock = every_second(start, STOCK, [50_000 - 10 * number + 5 * (second % 7) for second in range(60)])
        other = every_second(start, OTHER, [50_000 - 55 * max(0, number - 4) for _ in range(60)])
        reports: dict[int, list[Said]] = {
            1: [fill("p0", quantity=40, price_paise=50_000, ts_ns=start + SECOND),
                opened("p0", quantity=40, ts_ns=start + SECOND)],
            2: [fill("p0", quantity=60, price_paise=50_010, ts_ns=start, number=2, last=True)],
            3: [closed("p0", net_pnl_paise=-1_500, ts_ns=start + 30 * SECOND)],
            5: [opened("p1", instrument=OTHER, ts_ns=start + 5 * SECOND), opened("p4", ts_ns=start + 6 * SECOND)],
            10: [closed("p4", net_pnl_paise=700, ts_ns=start + 20 * SECOND)],
        }  # fmt: skip
        signals: dict[int, list[Said]] = {
            0: [entry("p0", ts_ns=start + MINUTE), entry("p5", ts_ns=start + MINUTE, strategy="ema")],
            2: [exit_signal("p0", ts_ns=start + MINUTE)],
            4: [entry("p1", ts_ns=start + MINUTE, instrument=OTHER), entry("p4", ts_ns=start + MINUTE)],
            6: [entry("p6", ts_ns=start + MINUTE), exit_signal("p9", ts_ns=start + MINUTE)],
            9: [exit_signal("p4", ts_ns=start + MINUTE)],
            11: [entry("p7", ts_ns=start + MINUTE)],
        }
        batch = np.concatenate([stock, other])
        story.append((start + MINUTE, reports.get(number, []), signals.get(number, []), batch))
    return story


async def _play(around: Around, *, crash_after_ms: list[int | None]) -> None:
    """A paced run. Where a number stands, the life is dropped that long after its slice was sent, and followed."""
    first = await around.life(paced=True)
    await around.session(spec(daily_max_loss_paise=20_000, max_lots_per_trade=100))
    await around.slice(ticks(), start_ns=0, end_ns=at("10:00"))
    await around.watermark(ORDERS.name, at("10:00") - 1)
    await around.watermark(SIGNALS.name, at("10:00"))
    life = first
    for (end_ns, reports, signals, batch), crash_ms in zip(_morning(), crash_after_ms, strict=True):
        await around.publish(*reports)
        await around.watermark(ORDERS.name, end_ns - 1)
        await around.slice(batch, start_ns=end_ns - MINUTE, end_ns=end_ns)
        await around.publish(*signals)
        await around.watermark(SIGNALS.name, end_ns)
        if crash_ms is not None:
            await asyncio.sleep(crash_ms / 1000)  # somewhere in its work: the given moment of this example
            await life.crash()
            life = await around.life(paced=True)
        await around.until(lambda end_ns=end_ns: _reached(around, end_ns))


async def _reached(around: Around, watermark_ns: int) -> bool:
    return watermark_ns in await around.watermarks()


async def _outcome(around: Around) -> dict[str, Any]:
    state = await around.state()
    state.pop("marked_entry_id")
    return {
        "intents": list(dict.fromkeys(intent.event_id for intent in await around.intents())),
        "refusals": list(dict.fromkeys(refusal.event_id for refusal in await around.refusals())),
        "journal": await around.journal(),
        "bodies": await around.hands.bodies(),
        "state": state,
        "version": await around.hands.version("session-1"),
    }


@pytest.mark.parametrize(
    "crash_after_ms",
    [
        [0, 2, 4, 6, 8, 10, 12, 1, 3, 5, 7, 9],
        # Dropped between a slice and the message after it: the message is judged again, by the marks it had before.
        [3, 2, 6, 9, 10, 8, 12, 1, 3, 20, 20, 20],
        [6] * 12,
    ],
)
async def test_a_paced_run_that_is_dropped_in_every_slice_decides_the_same(
    around: Around, twin: Around, crash_after_ms: list[int | None]
) -> None:
    await _play(around, crash_after_ms=[None] * 12)
    await _play(twin, crash_after_ms=crash_after_ms)
    expected, found = await _outcome(around), await _outcome(twin)
    assert found == expected
    verdicts = [line[1:3] for line in expected["journal"]]
    assert ("HALT", "daily_max_loss") in verdicts
    assert ("EXIT", "exit_signal") in verdicts
    assert ("BLOCK", "session_halted") in verdicts
    assert ("IGNORED", "no_position") in verdicts
