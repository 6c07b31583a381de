"""Positions at the sandbox's Kite face whose stop and target are one trigger of the broker's."""

import pytest
from testkit.execution_sandbox import KEY, SandboxLife, list_future, session_at
from testkit.sandbox import sandbox

from services.sandbox.ports import TriggerStatus
from tradebus.contracts.sessions import ProtectionKind
from tradebus.kernel.clock import WallClock


@pytest.fixture
async def life(store, tmp_path, where):
    await list_future(store)
    began_wall_ns = WallClock().now_ns()
    with sandbox(seed=3, instruments=60, limit_scale=0) as box:
        async with SandboxLife(where, tmp_path, box, began_wall_ns=began_wall_ns) as made:
            yield made


async def test_the_target_fills_at_the_broker_and_an_exit_deletes_the_trigger_first(life: SandboxLife) -> None:
    await life.started(session_at("kite").model_copy(update={"protection": ProtectionKind.GTT}))
    first = life.entry("kite", 1)
    await life.opened(first)
    life.box.shock(life.box.exchange.by_key(KEY).index, 0.04)
    await life.closed(first)
    reason = await life.store.pool.fetchval("SELECT exit_reason FROM trades WHERE pos_id = $1", first.pos_id)
    await life.round_trip(life.entry("kite", 2))
    triggers = life.box.on_loop(life.box.exchange.triggers, "KITE")
    assert (reason, life.held("kite")) == ("target", 0)
    assert [one.status for one in triggers] == [TriggerStatus.TRIGGERED, TriggerStatus.CANCELLED]
    assert len(life.at_the_exchange("kite")) == 4, "two entries, the leg's order and the exit"
