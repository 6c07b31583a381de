"""A broker's face that leaves every request unanswered: the accounts at the other two trade, start and are made flat as
if it were not there. At the sandbox, through the brokers' own adapters.

The face hangs for longer than any test may take, so that whatever the others have done by then, they have done before
its first answer.
"""

import pytest
from testkit.execution_sandbox import FACES, SandboxLife, list_future, session_at
from testkit.execution_service import until
from testkit.sandbox import sandbox

from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import Kill
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import derive_id

UNANSWERED_SECONDS = 3600
# An order whose request was not answered; after ten seconds the client waits no longer and nobody knows.
UNANSWERED = ("PENDING", "UNKNOWN")


@pytest.fixture
def box():
    with sandbox(seed=3, instruments=60, limit_scale=0) as made:
        yield made


@pytest.fixture(params=FACES)
def hanging(request) -> str:
    """The face that hangs once `hang` is called."""
    return request.param


@pytest.fixture
async def lives(box, store, tmp_path, where):
    """Makes lives, one after the other, of one instance."""
    await list_future(store)
    began_wall_ns = WallClock().now_ns()
    return lambda: SandboxLife(where, tmp_path, box, began_wall_ns=began_wall_ns)


def hang(box, face: str) -> None:
    box.fault("DELAY", broker=face, seconds=UNANSWERED_SECONDS)


async def started(life) -> None:
    for face in FACES:
        await life.started(session_at(face))


async def until_asked(box, life) -> None:
    """The face that hangs has been asked for something."""

    async def asked():
        return any(struck for _, _, _, struck in box.faults.listed())

    await until(asked, life)


async def test_the_other_two_enter_and_leave_while_one_hangs(lives, box, hanging) -> None:
    others = [face for face in FACES if face != hanging]
    async with lives() as life:
        await started(life)
        held = life.entry(hanging, 1)
        await life.opened(held)
        hang(box, hanging)
        stuck = life.entry(hanging, 2)
        await life.send(stuck)
        await until_asked(box, life)
        for number in range(3, 6):
            for face in others:
                await life.round_trip(life.entry(face, number))
        state = await life.store.pool.fetchval("SELECT state FROM orders WHERE pos_id = $1", stuck.pos_id)
        assert state in UNANSWERED
        assert [life.held(face) for face in others] == [0, 0]
        assert life.held(hanging) == held.quantity


async def test_a_start_with_orders_live_serves_the_other_two_while_one_hangs(lives, box, hanging) -> None:
    others = [face for face in FACES if face != hanging]
    async with lives() as life:
        await started(life)
        held = {face: life.entry(face, 1) for face in FACES}
        for entry in held.values():
            await life.opened(entry)
        life.task.cancel()  # as a kill -9: nothing is finished, nothing acknowledged
    hang(box, hanging)
    async with lives() as life:
        await until_asked(box, life)
        for face in others:
            await life.leave(held[face])
            await life.round_trip(life.entry(face, 2))
        assert not await life.is_closed(held[hanging])
        assert [life.held(face) for face in others] == [0, 0]
        assert life.held(hanging) == held[hanging].quantity


async def test_an_account_that_cannot_be_opened_keeps_no_other_from_beginning_its_day(lives, box, hanging) -> None:
    hang(box, hanging)
    async with lives() as life:
        await life.start(session_at(hanging))
        await until_asked(box, life)
        for face in FACES:
            if face != hanging:
                await life.started(session_at(face))
                await life.round_trip(life.entry(face, 1))
        taken_up = await life.store.pool.fetch("SELECT session_id FROM session_participants")
        assert hanging not in {row["session_id"] for row in taken_up}


async def test_a_kill_makes_the_other_two_flat_while_one_hangs(lives, box) -> None:
    hanging, others = FACES[0], FACES[1:]
    async with lives() as life:
        await started(life)
        held = {face: life.entry(face, 1) for face in FACES}
        for entry in held.values():
            await life.opened(entry)
        hang(box, hanging)
        await life.store.pool.execute("INSERT INTO kill_switch VALUES (true, true, 'test', 1)")
        kill = Kill(
            event_id=derive_id(1, "kill"), ts_event_ns=1, ts_recorded_ns=1, source="gateway", trace_id="t",
            reason="test",
        )  # fmt: skip
        await life.bus.publish([Outgoing(COMMANDS.name, kill.TYPE, kill.to_json())])
        for face in others:
            await life.closed(held[face])
        assert [life.held(face) for face in others] == [0, 0]
        assert not await life.is_closed(held[hanging])
        asked = await life.store.pool.fetchval("SELECT exit_reason FROM trades WHERE pos_id = $1", held[hanging].pos_id)
        assert asked == "kill_switch"
