"""`tradebus kill` where Postgres answers: the book of record says what is ours, and whether execution lives."""

import pytest
from testkit.exchange_hands import BUY
from testkit.execution_sandbox import FACES, SandboxLife, list_future, session_at
from testkit.kill_hands import KillHands
from testkit.sandbox import sandbox

from services.cli.stack.rundir import RunState, runs_folder, write_run
from tradebus.kernel.clock import WallClock


@pytest.fixture
def hands(tmp_path, database_url, redis_url, namespace):
    """With a stack that ran here last, in the test's namespace, and is dead."""
    with sandbox(seed=3, instruments=60, limit_scale=0, opening_paise=10**13) as box:
        folder = runs_folder(tmp_path) / "default"
        folder.mkdir(parents=True)
        write_run(folder, RunState("default", "up", namespace, 2**22 + 1, "", str(tmp_path), "", "", "", ""))
        made = KillHands(box, tmp_path, DATABASE_URL=database_url, REDIS_URL=redis_url)
        made.log_in()
        yield made


@pytest.fixture
async def lives(hands, store, tmp_path, database_url, redis_url, namespace):
    await list_future(store)
    began_wall_ns, where = WallClock().now_ns(), (database_url, redis_url, namespace)
    return lambda: SandboxLife(where, tmp_path, hands.box, began_wall_ns=began_wall_ns)


async def hold(life: SandboxLife) -> None:
    for face in FACES:
        await life.started(session_at(face))
        await life.opened(life.entry(face, 1))


async def test_what_the_book_calls_ours_is_closed_and_another_installations_is_left_alone(
    lives, hands: KillHands
) -> None:
    async with lives() as life:
        await hold(life)
        life.task.cancel()  # as a kill -9: nothing is finished, nothing acknowledged
    lot = hands.instrument().lot_size
    hands.place("kite", BUY, cause="another installation of ours, of which this book knows nothing")
    said = await hands.kill()
    assert [hands.held(face) for face in FACES] == [lot, 0, 0]
    assert [hands.resting(face) for face in FACES] == [[], [], []]
    assert {account["by"] for account in said["accounts"]} == {"tradebus kill"}
    assert f"{lot} held" in said["of"]["kite"]["left"][0]


async def test_while_execution_lives_the_exits_are_its_own(lives, hands: KillHands, store) -> None:
    async with lives() as life:
        await hold(life)
        said = await hands.kill()
        assert [hands.held(face) for face in FACES] == [0, 0, 0]
        assert said["flat"] is True
        assert {account["by"] for account in said["accounts"]} <= {"execution", ""}
        for face in FACES:
            await life.closed(life.entry(face, 1))
        assert await store.pool.fetchval("SELECT count(*) FROM orders WHERE role = 'EXIT'") == 0
        assert [len(hands.orders(face)) for face in FACES] == [2, 2, 2], "the stops are the exits"


async def test_execution_that_comes_back_takes_the_exits_over_and_sends_nothing(lives, hands: KillHands, store) -> None:
    async with lives() as life:
        await hold(life)
        life.task.cancel()  # as a kill -9: nothing is finished, nothing acknowledged
    for name in ("DATABASE_URL", "REDIS_URL"):
        hands.shell.environment.pop(name)  # as if both servers were dead
    await hands.kill()
    orders = {face: len(hands.orders(face)) for face in FACES}
    async with lives() as life:
        for face in FACES:
            await life.closed(life.entry(face, 1))
        mismatches = "SELECT count(*) FROM events WHERE type = 'RECONCILE_MISMATCH'"
        assert await store.pool.fetchval(mismatches) == 0
    assert [hands.held(face) for face in FACES] == [0, 0, 0]
    assert {face: len(hands.orders(face)) for face in FACES} == orders
    rows = await store.pool.fetch(
        "SELECT t.session_id, o.broker_order_id, f.quantity, f.price_paise, t.exit_reason"
        " FROM fills f JOIN orders o USING (order_id) JOIN trades t ON t.pos_id = o.pos_id WHERE o.role = 'EXIT'"
    )
    exits = {face: hands.orders(face)[-1] for face in FACES}
    assert {row["session_id"]: (row["broker_order_id"], row["quantity"], row["price_paise"]) for row in rows} == {
        face: (one.order_id, one.filled_quantity, one.average_price_paise) for face, one in exits.items()
    }
