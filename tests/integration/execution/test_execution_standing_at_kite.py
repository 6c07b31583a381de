"""Positions at the sandbox's Kite face whose stop and target are one trigger of the broker's: its own book is the
truth."""

import pytest
from testkit.execution_sandbox import KEY, HastyTimers, SandboxLife, list_future, session_at
from testkit.execution_service import until
from testkit.sandbox import sandbox

from services.sandbox.ports import FINAL, TriggerStatus
from tradebus.contracts.sessions import ProtectionKind
from tradebus.execution.deadlines import STOP_ANSWER_SECONDS
from tradebus.kernel.clock import WallClock

WANTED = session_at("kite").model_copy(update={"protection": ProtectionKind.GTT})
PLACEMENTS = "POST /gtt/*"


@pytest.fixture
def box():
    with sandbox(seed=3, instruments=60, limit_scale=0) as made:
        yield made


@pytest.fixture
async def lives(box, store, tmp_path, where):
    """Makes lives, one after the other, of one instance; in haste where absence is to be certain soon."""
    await list_future(store)
    began_wall_ns = WallClock().now_ns()

    def life(*, in_haste: bool = False) -> SandboxLife:
        timers = HastyTimers() if in_haste else None
        return SandboxLife(where, tmp_path, box, began_wall_ns=began_wall_ns, timers=timers)

    return life


def rise(box) -> None:
    """Beyond the target of what `SandboxLife.entry` opens."""
    box.shock(box.exchange.by_key(KEY).index, 0.04)


def triggers(box) -> list[TriggerStatus]:
    return [one.status for one in box.on_loop(box.exchange.triggers, "KITE")]


async def reason_of(life, entry) -> str:
    return str(await life.store.pool.fetchval("SELECT exit_reason FROM trades WHERE pos_id = $1", entry.pos_id))


async def settled(life, entry) -> None:
    """The trade is over with us, and nothing of it waits, lives or is held at the exchange."""
    await life.closed(entry)
    assert life.held("kite") == 0
    assert all(order.status in FINAL for order in life.at_the_exchange("kite"))
    assert TriggerStatus.ACTIVE not in triggers(life.box)


async def test_the_target_fills_at_the_broker_and_an_exit_deletes_the_trigger_first(lives, box) -> None:
    async with lives() as life:
        await life.started(WANTED)
        entry = life.entry("kite", 1)
        await life.opened(entry)
        rise(box)
        await settled(life, entry)
        assert await reason_of(life, entry) == "target"
        await life.round_trip(life.entry("kite", 2))
        assert triggers(box) == [TriggerStatus.TRIGGERED, TriggerStatus.CANCELLED]
        assert len(life.at_the_exchange("kite")) == 4, "two entries, the leg's order and the exit"


async def test_what_the_trigger_sold_while_everything_was_dead_is_taken_in_and_answered_by_nothing(lives, box) -> None:
    async with lives() as life:
        await life.started(WANTED)
        entry = life.entry("kite", 1)
        await life.opened(entry)
        life.task.cancel()  # as a kill -9
    rise(box)
    async with lives() as life:
        await settled(life, entry)
        sold = life.at_the_exchange("kite")[-1]
        row = await life.store.pool.fetchrow("SELECT * FROM trades WHERE pos_id = $1", entry.pos_id)
        assert (row["exit_reason"], row["exit_value_paise"]) == (
            "target", sum(one.quantity * one.price_paise for one in sold.trades)
        )  # fmt: skip
        assert len(life.at_the_exchange("kite")) == 2


@pytest.mark.parametrize("crashes", [False, True])
async def test_a_placement_without_an_answer_is_found_and_goes_on_protecting(lives, box, crashes) -> None:
    async with lives() as life:
        await life.started(WANTED)
        entry = life.entry("kite", 1)
        box.fault("ACCEPT_THEN_DROP", broker="kite", endpoint=PLACEMENTS, count=1)
        await life.send(entry)
        if not crashes:
            await life.opened(entry)
        else:

            async def has_arrived() -> bool:
                return bool(triggers(box))

            await until(has_arrived, life)  # before that it is known for half a minute only that it may have left
            life.task.cancel()
    async with lives() as life:
        await life.opened(entry)
        assert triggers(box) == [TriggerStatus.ACTIVE]
        await life.leave(entry)
        await settled(life, entry)
        assert len(life.at_the_exchange("kite")) == 2


async def test_one_that_comes_after_its_position_was_left_without_it_is_deleted(lives, box) -> None:
    async with lives(in_haste=True) as life:
        await life.started(WANTED)
        entry = life.entry("kite", 1)
        # Longer than a position may wait for its stop; the market's own seconds are real ones here.
        box.fault("DELAY", broker="kite", endpoint=PLACEMENTS, seconds=STOP_ANSWER_SECONDS + 2, count=1)
        await life.send(entry)
        await settled(life, entry)
        assert await reason_of(life, entry) == "stop_unanswered"
        assert triggers(box) == [TriggerStatus.CANCELLED]
        assert len(life.at_the_exchange("kite")) == 2


async def test_one_that_never_arrived_is_not_waited_for(lives, box) -> None:
    async with lives(in_haste=True) as life:
        await life.started(WANTED)
        entry = life.entry("kite", 1)
        box.fault("DROP", broker="kite", endpoint=PLACEMENTS, count=1)
        await life.send(entry)
        await settled(life, entry)
        assert triggers(box) == []
        assert len(life.at_the_exchange("kite")) == 2
