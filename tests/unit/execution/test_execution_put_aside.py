"""Approvals that execution puts aside are answered: nobody waits for an order that never leaves. On the twins."""

import json
from pathlib import Path

import pytest
from testkit.execution_around import Around, until
from testkit.execution_books import begin, emit, register
from testkit.execution_service import APPROVALS, MORNING, SECOND, approval, exit_of, intent, mark, slice_of, spec
from testkit.waiting import WALL_TIMERS

from services.gateway.watchers import SessionWatcher
from tradebus.bus.port import Outgoing
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderCancelled, OrderRole
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryApproved
from tradebus.contracts.sessions import SessionStatus
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import SESSIONS
from tradebus.store.books import session_register
from tradebus.store.outbox import Outbox
from tradebus.trading.states import OrderState, TradeState

ENTRY = approval(1, at_ns=MORNING)
X = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5,
)  # fmt: skip


class Later(EntryApproved):
    """What a newer risk approves."""

    ceiling_paise: int = 1


LATER = Later.model_validate(ENTRY.model_dump())
NAMELESS = approval(7, at_ns=MORNING).model_copy(update={"instrument": 9})


@pytest.fixture
async def around(tmp_path: Path) -> Around:
    made = Around.memory(state_dir=tmp_path)
    await register(made.book, X)
    await begin(made.book, spec())
    return made


async def refusals(around: Around) -> list[OrderCancelled]:
    return [one for one in await around.told("ORDER_CANCELLED") if isinstance(one, OrderCancelled)]


async def letters(around: Around) -> int:
    return len(await around.bus.dead_letters(APPROVALS, count=10))


@pytest.mark.parametrize("aside", [NAMELESS, LATER], ids=["of no instrument", "of a newer version"])
async def test_an_entry_that_is_put_aside_is_refused_with_the_reason_once(around: Around, aside: EntryApproved) -> None:
    async with await around.life() as life:
        await around.publish(intent(aside), intent(aside))

        async def both_aside() -> bool:
            return await letters(around) == 2

        await until(both_aside, life)
        (said,) = await refusals(around)
    assert (said.role, said.filled_quantity, said.session_id) == (OrderRole.ENTRY, 0, "s1")
    assert (said.pos_id, said.quantity, said.instrument) == (aside.pos_id, aside.quantity, aside.instrument)
    assert said.reason.startswith("put_aside: ")
    assert await around.hands.outcomes() == {aside.intent_id: "put_aside"}
    assert await around.hands.trades() == []


async def test_what_was_refused_is_never_opened_when_a_copy_that_can_be_read_comes(around: Around) -> None:
    async with await around.life() as life:
        await around.publish(intent(LATER), intent(ENTRY), intent(approval(2, at_ns=MORNING)))
        await until(around.hands.trades, life)
    assert [one.intent_id for one in await around.hands.trades()] == ["i2"]
    assert len(await refusals(around)) == 1


async def test_one_cut_short_is_known_by_what_the_book_has_of_it(around: Around) -> None:
    await emit(around.book, APPROVALS, LATER)
    body = LATER.to_json()
    async with await around.life(EXECUTION_LOOK_SECONDS=3_600) as life:
        await around.publish(Outgoing(APPROVALS, "ENTRY_APPROVED", body[: body.index(b'"quantity"')]))
        await until(lambda: refusals(around), life)
    assert await around.hands.outcomes() == {"i1": "put_aside"}


async def test_one_of_which_nothing_can_be_read_is_found_in_the_book_and_answered(around: Around) -> None:
    await emit(around.book, APPROVALS, LATER, ENTRY.model_copy(update={"event_id": "e2", "intent_id": "i2"}))
    async with await around.life() as life:
        await around.publish(Outgoing(APPROVALS, "ENTRY_APPROVED", b"\xff\x00"))

        async def answered() -> bool:
            return len(await around.hands.outcomes()) == 2

        await until(answered, life)
    assert (await around.hands.outcomes())["i1"] == "put_aside"
    assert await letters(around) == 1


async def test_one_of_the_book_that_can_never_be_taken_is_refused_in_the_end(around: Around) -> None:
    await emit(around.book, APPROVALS, NAMELESS)
    async with await around.life(EXECUTION_LOOK_SECONDS=0.001) as life:
        await until(lambda: refusals(around), life)
    assert await around.hands.outcomes() == {"i7": "put_aside"}


async def test_a_kill_between_the_refusal_and_the_dead_letter_refuses_once(around: Around) -> None:
    """The refusal is committed and the process is gone: the entry comes again."""
    await around.publish(intent(LATER))
    life = await around.life()
    async with life:

        async def committed() -> bool:
            return bool(await around.hands.outcomes())

        await until(committed, life)
        await life.kill()
    async with await around.life(EXECUTION_ORPHAN_SECONDS=0.05) as life:

        async def told() -> bool:
            return bool(await refusals(around)) and await letters(around) == 1

        await until(told, life)
    assert len(await refusals(around)) == 1


async def test_an_exit_of_a_position_that_never_was_is_answered_and_keeps_the_entry_out(around: Around) -> None:
    leave = json.loads(exit_of(ENTRY, at_ns=MORNING).to_json()) | {"hurry": True}
    async with await around.life() as life:
        await around.publish(Outgoing(APPROVALS, "EXIT_APPROVED", json.dumps(leave).encode()), intent(ENTRY))
        await until(lambda: refusals(around), life)
    assert await around.hands.outcomes() == {"xi1": "put_aside", "i1": "exit_came_first"}
    assert [one.state for one in await around.hands.trades()] == [TradeState.CANCELLED]


async def test_an_exit_whose_trade_lives_is_left_to_the_trade_and_answered_once_that_is_over(around: Around) -> None:
    leave = exit_of(ENTRY, at_ns=MORNING)
    broken = json.loads(leave.to_json()) | {"hurry": True}
    async with await around.life() as life:
        await around.publish(intent(ENTRY))

        async def resting() -> bool:
            return any(one.entry_order().state is OrderState.OPEN for one in await around.hands.trades())

        await until(resting, life)
        await around.publish(Outgoing(APPROVALS, "EXIT_APPROVED", json.dumps(broken).encode()))

        async def aside() -> bool:
            return await letters(around) == 1

        await until(aside, life)
        assert await around.hands.outcomes() == {"i1": "TAKEN"}
        await emit(around.book, APPROVALS, leave)  # risk's own copy can be read: the exit is made after all

        async def leaving() -> bool:
            return (await around.hands.trades())[0].exit_reason == "exit_signal"

        await until(leaving, life)
    assert await around.hands.outcomes() == {"i1": "TAKEN", "xi1": "TAKEN"}


async def test_a_session_that_stops_with_such_an_approval_reaches_its_end(around: Around) -> None:
    sessions = session_register(around.book)
    watcher = SessionWatcher(
        book=around.book, register=sessions, outbox=Outbox(around.book, around.bus, timers=WALL_TIMERS),
        timers=WALL_TIMERS, start_timeout_seconds=30,
    )  # fmt: skip
    await emit(around.book, APPROVALS, LATER)
    async with around.book.begin() as transaction:
        await sessions.set_status(transaction, "s1", SessionStatus.STOPPING)
    assert await watcher.check() == 1, "an order may still leave"
    async with await around.life() as life:
        await around.publish(intent(LATER))

        async def stopped() -> bool:
            return await watcher.check() == 0

        await until(stopped, life)
    told = [parse(entry.body) for entry in await around.bus.tail(SESSIONS.name, count=10)]
    assert [(one.TYPE, one.session_id) for one in told] == [("SESSION_STOPPED", "s1")]


async def test_paced_an_entry_that_is_put_aside_is_refused_and_the_run_goes_on(tmp_path: Path) -> None:
    around = Around.memory(state_dir=tmp_path, paced=True)
    await register(around.book, X)
    await begin(around.book, spec())
    async with await around.life(paced=True) as life:
        await around.publish(slice_of(MORNING - 60 * SECOND, [10_000]))
        other = approval(2, at_ns=MORNING, side=Side.LONG)
        await around.publish(intent(LATER), intent(other), mark(MORNING))
        await until(around.hands.trades, life)
        await until(lambda: refusals(around), life)
    assert await around.hands.outcomes() == {"i1": "put_aside", "i2": "TAKEN"}
