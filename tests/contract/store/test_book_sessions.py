"""The sessions. On both books."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from testkit.books import BookHarness
from testkit.messages import sample

from tradebus.contracts import commands, orders, risk, sessions
from tradebus.contracts.base import Message
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.contracts.streams import COMMANDS, INTENTS, ORDERS, SESSIONS
from tradebus.store.book import Book
from tradebus.store.books import session_register, sessions_book
from tradebus.store.books.sessions import BROKER_BOOK, REASON_MAX, SessionOutcome, Standing, TakenUp

STARTING, RUNNING, PAUSED, STOPPING, STOPPED, FAILED = SessionStatus


def spec_of(session_id: str, *, user_id: str = "123") -> SessionSpec:
    spec = sample(commands.StartTrading).spec  # type: ignore[attr-defined]
    changed: SessionSpec = spec.model_copy(update={"session_id": session_id, "user_id": user_id})
    return changed


class Desk:
    """Hands on the sessions of a book."""

    def __init__(self, book: Book) -> None:
        self.book, self.sessions, self.register = book, sessions_book(book), session_register(book)

    async def insert(
        self, session_id: str, *, user_id: str = "123", now_ns: int = 1, broker: str = "paper"
    ) -> SessionSpec:
        spec = spec_of(session_id, user_id=user_id).model_copy(update={"broker": broker})
        async with self.book.begin() as transaction:
            await self.register.insert(transaction, spec, command_id=f"c-{session_id}", now_ns=now_ns)
        return spec

    async def move(self, session_id: str, status: SessionStatus, *, reason: str | None = None) -> None:
        async with self.book.begin() as transaction:
            await self.register.set_status(transaction, session_id, status, reason=reason)

    async def participate(self, session_id: str, *services: str) -> None:
        async with self.book.begin() as transaction:
            for service in services:
                await self.sessions.participate(transaction, session_id, service=service)

    async def emit(self, stream: str, model: type[Message], at_ns: int, session_id: str, **fields: Any) -> Message:
        message = sample(
            model, event_id=f"{model.TYPE}-{session_id}-{at_ns}", ts_event_ns=at_ns, session_id=session_id, **fields
        )
        async with self.book.begin() as transaction:
            transaction.emit(stream, message)
        return message


@pytest.fixture
def desk(book: Book) -> Desk:
    return Desk(book)


def ids(found: Sequence[Any]) -> list[str]:
    return [one.session_id for one in found]


async def test_a_session_is_kept_as_it_was_started(desk: Desk) -> None:
    spec = await desk.insert("s1", now_ns=7)
    (found,) = await desk.sessions.alive()
    assert (found.session_id, found.user_id, found.status, found.spec, found.created_ns) == (
        "s1", "123", STARTING, spec, 7,
    )  # fmt: skip
    assert (found.reason, found.ended_ns) == (None, None)
    assert await desk.sessions.spec("s1") == spec
    assert await desk.sessions.status("s1") is STARTING
    assert (await desk.sessions.spec("none"), await desk.sessions.status("none")) == (None, None)
    assert await desk.sessions.specs(["s1", "none"]) == {"s1": spec}


async def test_a_user_has_one_session_that_is_alive(desk: Desk) -> None:
    await desk.insert("s1")
    with pytest.raises(Exception):  # noqa: B017, PT011 - each book in its own words
        await desk.insert("s2")
    await desk.insert("s3", user_id="other")
    assert ids(await desk.sessions.alive()) == ["s1", "s3"]
    async with desk.book.begin() as transaction:
        assert await desk.register.end(transaction, "s1", FAILED, seen=STARTING, now_ns=9, reason="why")
    await desk.insert("s4", now_ns=2)
    async with desk.book.begin() as transaction:
        alive = await desk.register.alive_of(transaction, "123")
        latest = await desk.register.latest_of(transaction, "123")
        assert alive is not None
        assert latest is not None
        assert (alive.session_id, latest.session_id) == ("s4", "s4")
        assert await desk.register.alive_of(transaction, "nobody") is None
        assert await desk.register.latest_of(transaction, "nobody") is None


async def test_a_session_is_found_by_the_command_that_started_it(desk: Desk) -> None:
    await desk.insert("s1")
    async with desk.book.begin() as transaction:
        found = await desk.register.of_command(transaction, "123", "c-s1")
        assert found is not None
        assert found.session_id == "s1"
        assert await desk.register.of_command(transaction, "other", "c-s1") is None
        assert await desk.register.of_command(transaction, "123", "c-s2") is None
        assert not await desk.register.command_seen(transaction, "gateway", "m")
        await transaction.first_time("gateway", "m")
        assert await desk.register.command_seen(transaction, "gateway", "m")


async def test_a_session_begins_and_ends_only_from_where_it_was_seen(desk: Desk) -> None:
    await desk.insert("s1")
    async with desk.book.begin() as transaction:
        assert await desk.register.begin(transaction, "s1", PAUSED)
        assert not await desk.register.begin(transaction, "s1", RUNNING)
    assert await desk.sessions.status("s1") is PAUSED
    await desk.move("s1", STOPPING, reason="enough")
    async with desk.book.begin() as transaction:
        assert not await desk.register.end(transaction, "s1", STOPPED, seen=STARTING, now_ns=5, reason="no")
        assert await desk.register.end(transaction, "s1", STOPPED, seen=STOPPING, now_ns=5, reason="enough")
        latest = await desk.register.latest_of(transaction, "123")
    assert latest is not None
    assert (latest.status, latest.ended_ns, latest.reason) == (STOPPED, 5, "enough")
    assert await desk.sessions.ended(["s1", "none"]) == ["s1"]
    assert await desk.sessions.alive() == []


async def test_a_reason_stays_where_none_is_given(desk: Desk) -> None:
    await desk.insert("s1")
    await desk.move("s1", STOPPING, reason="enough")
    await desk.move("s1", STOPPING)
    (found,) = await desk.sessions.alive()
    assert found.reason == "enough"


async def test_what_waits_for_its_services_is_listed_with_who_takes_part(desk: Desk) -> None:
    await desk.insert("s2", user_id="b", now_ns=2)
    await desk.insert("s1", user_id="a", now_ns=1)
    await desk.insert("s3", user_id="c", now_ns=3)
    await desk.participate("s1", "risk", "strategy")
    await desk.participate("s1", "risk")
    await desk.move("s2", STOPPING, reason="why")
    await desk.move("s3", RUNNING)
    found = await desk.register.changing()
    assert [(one.session.session_id, one.participants) for one in found] == [
        ("s1", {"risk", "strategy"}), ("s2", frozenset()),
    ]  # fmt: skip
    assert found[1].session.reason == "why"


async def test_nobody_takes_part_in_a_session_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - each book in its own words
        await desk.participate("none", "risk")


async def test_only_a_session_that_is_starting_can_be_given_up(desk: Desk) -> None:
    await desk.insert("s1", user_id="a")
    await desk.insert("s2", user_id="b")
    await desk.move("s2", RUNNING)
    for session_id in ("s1", "s2", "none"):
        await desk.sessions.give_up(session_id, reason="execution: " + "x" * 1000)
    found = {one.session_id: one.reason for one in await desk.sessions.alive()}
    assert found["s1"] is not None
    assert len(found["s1"]) == REASON_MAX
    assert found["s2"] is None


@pytest.mark.parametrize(
    ("status", "orders", "paused"),
    [
        (STARTING, [], False),
        (STARTING, [commands.PauseTrading], True),
        (STARTING, [commands.PauseTrading, commands.ResumeTrading], False),
        (RUNNING, [commands.PauseTrading], False),
        (PAUSED, [commands.ResumeTrading], True),
    ],
)
async def test_whether_a_session_is_paused_says_its_status_or_while_it_starts_the_last_command(
    desk: Desk, status: SessionStatus, orders: list[type[Message]], paused: bool
) -> None:
    spec = await desk.insert("s1")
    await desk.participate("s1", "strategy")
    for at_ns, model in enumerate(orders, 1):
        await desk.emit(COMMANDS.name, model, at_ns, "s1")
    await desk.emit(COMMANDS.name, commands.PauseTrading, 99, "another")
    await desk.move("s1", status)
    assert await desk.sessions.taken_up("strategy") == [TakenUp(spec, paused)]
    assert await desk.sessions.taken_up("risk") == []
    async with desk.book.begin() as transaction:
        last = bool(orders) and orders[-1] is commands.PauseTrading
        assert await desk.register.paused_while_starting(transaction, "s1") is last


async def test_a_session_that_may_not_trade_is_not_taken_up_again(desk: Desk) -> None:
    await desk.insert("s1")
    await desk.participate("s1", "strategy")
    await desk.move("s1", STOPPING)
    assert await desk.sessions.taken_up("strategy") == []


async def test_the_newest_report_of_its_kind_is_found(desk: Desk) -> None:
    await desk.insert("s1")
    await desk.emit(SESSIONS.name, sessions.SessionStarted, 1, "s1")
    paused = await desk.emit(SESSIONS.name, sessions.SessionPaused, 2, "s1")
    await desk.emit(SESSIONS.name, sessions.SessionStarted, 3, "another")
    await desk.emit(COMMANDS.name, commands.PauseTrading, 4, "s1")
    types = ["SESSION_STARTED", "SESSION_PAUSED", "PAUSE_TRADING"]
    assert await desk.register.last_report("s1", types) == paused
    assert await desk.register.last_report("s1", ["SESSION_FAILED"]) is None


async def test_a_session_is_finished_when_nothing_can_happen_in_it_any_more(books: BookHarness, desk: Desk) -> None:
    await desk.insert("s1")
    assert await desk.register.unfinished("s1") == 0
    stop = await desk.emit(COMMANDS.name, commands.StopTrading, 1, "s1")
    await desk.emit(COMMANDS.name, commands.StopTrading, 1, "another")
    await desk.emit(INTENTS.shard(0), risk.EntryApproved, 2, "s1", intent_id="i1")
    await desk.emit(INTENTS.shard(0), risk.ExitApproved, 3, "s1", intent_id="i2")
    await books.keep_trade("p1", session_id="s1", is_over=False)
    await books.keep_trade("p2", session_id="s1", is_over=True, entry_quantity=5, net_pnl_paise=700)
    await books.keep_trade("p3", session_id="s1", is_over=True)
    assert await desk.register.unfinished("s1") == 4
    async with desk.book.begin() as transaction:
        await transaction.first_time("risk", stop.event_id)
    assert await desk.register.unfinished("s1") == 3
    for intent_id in ("i1", "i2"):
        await books.keep_answer(intent_id, session_id="s1")
    assert await desk.register.unfinished("s1") == 1
    async with desk.book.begin() as transaction:
        assert await desk.register.outcome(transaction, "s1") == SessionOutcome(trades=1, net_pnl_paise=700)
        assert await desk.register.outcome(transaction, "none") == SessionOutcome(trades=0, net_pnl_paise=0)


async def test_a_session_that_traded_at_a_broker_awaits_a_look_at_the_brokers_book(
    books: BookHarness, desk: Desk
) -> None:
    await desk.insert("s1", broker="kite")
    await desk.insert("s2", user_id="other")
    assert not await desk.register.awaits_look("s1"), "it never traded"
    await books.keep_trade("p1", session_id="s1", is_over=True)
    await books.keep_trade("p2", session_id="s2", is_over=True)
    assert await desk.register.awaits_look("s1")
    assert not await desk.register.awaits_look("s2"), "on paper there is none"
    assert not await desk.register.awaits_look("none")
    await desk.participate("s1", "execution")
    assert await desk.register.awaits_look("s1")
    await desk.participate("s1", BROKER_BOOK)
    assert not await desk.register.awaits_look("s1")


async def test_of_many_that_begin_a_session_at_once_one_does(books: BookHarness) -> None:
    doors = [await books.book(f"test-{number}") for number in range(3)]
    await Desk(doors[0]).insert("s1")

    async def begin(number: int) -> bool:
        door = doors[number % 3]
        async with door.begin() as transaction:
            await transaction.lock("user 123")
            return await session_register(door).begin(transaction, "s1", RUNNING)

    assert sum(await asyncio.gather(*(begin(number) for number in range(12)))) == 1


async def test_what_is_rolled_back_leaves_the_sessions_as_they_were(desk: Desk) -> None:
    await desk.insert("s1")

    async def failing() -> None:
        async with desk.book.begin() as transaction:
            await desk.register.set_status(transaction, "s1", STOPPING, reason="no")
            await desk.sessions.participate(transaction, "s1", service="risk")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    (found,) = await desk.sessions.alive()
    assert (found.status, found.reason) == (STARTING, None)
    assert (await desk.register.changing())[0].participants == frozenset()


async def test_how_each_session_stands_for_a_service(desk: Desk) -> None:
    for number, session_id in enumerate(("s1", "s2", "s3", "s4"), 1):
        await desk.insert(session_id, user_id=session_id, now_ns=number)
    await desk.participate("s2", "strategy")
    await desk.participate("s3", "risk")
    await desk.move("s2", PAUSED)
    await desk.move("s3", STOPPING)
    await desk.move("s4", STOPPED)
    await desk.emit(COMMANDS.name, commands.PauseTrading, 5, "s1")
    await desk.emit(COMMANDS.name, commands.ResumeTrading, 6, "s2")
    assert await desk.sessions.standing("strategy") == [
        Standing("s1", STARTING, paused=True, is_taken_up=False),
        Standing("s2", PAUSED, paused=True, is_taken_up=True),
        Standing("s3", STOPPING, paused=False, is_taken_up=False),
    ]


async def test_a_service_pauses_only_what_runs_and_says_why(desk: Desk) -> None:
    await desk.insert("s1")
    await desk.sessions.pause("s1", reason="too early")
    await desk.move("s1", RUNNING)
    await desk.sessions.pause("s1", reason="x" * (REASON_MAX + 1))
    (found,) = await desk.sessions.alive()
    assert (found.status, found.reason) == (PAUSED, "x" * REASON_MAX)
    await desk.sessions.pause("s1", reason="again")
    await desk.sessions.pause("none", reason="again")
    (again,) = await desk.sessions.alive()
    assert again == found


async def test_what_was_said_of_a_sessions_positions_is_told_in_order(desk: Desk) -> None:
    await desk.insert("s1")
    closed = await desk.emit(ORDERS.name, orders.PositionClosed, 9, "s1")
    opened = await desk.emit(ORDERS.name, orders.PositionOpened, 3, "s1")
    await desk.emit(ORDERS.name, orders.PositionOpened, 4, "s2")
    await desk.emit(INTENTS.name, orders.PositionOpened, 5, "s1")
    assert await desk.sessions.position_reports("s1") == [opened, closed]
    assert await desk.sessions.position_reports("none") == []
