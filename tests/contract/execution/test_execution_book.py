"""Execution's book. On both: in memory and on Postgres."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import pytest
from testkit.execution_books import ExecutionHands, begin, emit, register
from testkit.execution_service import APPROVALS, MORNING, SECOND, approval, exit_of, spec
from testkit.pauses import pause
from testkit.waiting import WALL_TIMERS

from services.execution.books import Books
from services.execution.books.approvals import ApprovalFields
from services.execution.books.ports import Stale
from tradebus.bus.memory.bus import MemoryBus
from tradebus.calendar import contract_of
from tradebus.contracts.base import Message
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryApproved
from tradebus.contracts.sessions import SessionStatus
from tradebus.contracts.streams import ORDERS
from tradebus.execution.opening import open_trade
from tradebus.execution.reconciliation import held_of
from tradebus.execution.step import Moved, NewFill, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_date
from tradebus.runtime.rendering import fact_of
from tradebus.store.books import session_register
from tradebus.store.broker_instruments import BrokerInstrument
from tradebus.store.outbox import Outbox
from tradebus.trading import facts
from tradebus.trading.orders import BrokerFill
from tradebus.trading.states import OrderState, TradeState

INSTRUMENT = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5, instrument_key="NFO:NIFTY:2024-01-25:FUT",
)  # fmt: skip
ENTRY = approval(1, at_ns=MORNING)
LEAVE = exit_of(ENTRY, at_ns=MORNING + SECOND)
OWNER = "execution-1"


class Later(EntryApproved):
    """What a newer risk approves."""

    ceiling_paise: int = 1


@pytest.fixture
async def books(hands: ExecutionHands) -> AsyncIterator[Books]:
    await register(hands.book, INSTRUMENT)
    await begin(hands.book, spec())
    opened, _ = await hands.life()
    yield opened
    await opened.book.close()


def trade_of(message: EntryApproved = ENTRY, *, owner: str = OWNER) -> tuple[Trade, TradeStep]:
    fact, step = fact_of(message), TradeStep()
    assert isinstance(fact, facts.EntryApproved)
    contract = contract_of(INSTRUMENT, ist_date(MORNING))
    return open_trade(fact, step, contract=contract, owner=owner, at_ns=MORNING), step


async def opened(books: Books, message: EntryApproved = ENTRY, *, owner: str = OWNER) -> Trade:
    trade, step = trade_of(message, owner=owner)
    assert await books.ledger.open_trade(trade, step, message, outcome="TAKEN")
    return trade


async def change(books: Books, trade: Trade, step: TradeStep | None = None) -> None:
    async with books.book.begin() as tx:
        await tx.lock(trade.pos_id)
        await books.ledger.update_trade(trade, step or TradeStep(), transaction=tx)


async def published(books: Books) -> list[str]:
    """The ids of what goes out, in order."""
    bus = MemoryBus(timers=WALL_TIMERS)
    await Outbox(books.book, bus, timers=WALL_TIMERS).flush()
    return [parse(entry.body).event_id for entry in await bus.tail(ORDERS.name, count=100)]


async def loaded(books: Books, pos_id: str | None = None) -> Trade:
    trade = await books.ledger.load(pos_id or ENTRY.pos_id or "")
    assert trade is not None
    return trade


def filled(trade: Trade, fill_id: str, *, at_ns: int, quantity: int = 25) -> TradeStep:
    """The entry filled a little more."""
    trade.state, trade.entry_quantity = TradeState.POSITION_OPEN, trade.entry_quantity + quantity
    trade.entry_value_paise += quantity * 10_000
    order = trade.entry_order()
    order.filled_quantity, order.broker_order_id = trade.entry_quantity, "B1"
    fill = NewFill(order.order_id, BrokerFill(fill_id, quantity, 10_000, at_ns), 7)
    trade.fill_ids.add(fill_id)
    line = Moved(order.order_id, order.state, OrderState.PARTIALLY_FILLED, "FILLED", at_ns)
    order.state = OrderState.PARTIALLY_FILLED
    return TradeStep(history=[line], fills=[fill])


def stop_of(trade: Trade, *, placed_ns: int, tag: str = "stop") -> Order:
    return Order(
        order_id=f"{trade.pos_id}-{tag}", tag=tag, role=OrderRole.STOP, sequence=1, transaction=Transaction.SELL,
        order_type=OrderType.SL, quantity=25, price_paise=9_800, trigger_paise=9_900,
        state=OrderState.TRIGGER_PENDING, placed_ns=placed_ns, updated_ns=placed_ns, broker_order_id="B2",
    )  # fmt: skip


async def test_a_trade_is_read_as_it_was_stored(books: Books) -> None:
    trade = await opened(books)
    assert trade.trade_id is not None
    assert await loaded(books) == trade
    step = filled(trade, "f1", at_ns=MORNING + SECOND)
    trade.orders.append(stop_of(trade, placed_ns=MORNING + SECOND))
    trade.highest_paise, trade.lowest_paise, trade.opened_ns, trade.r_multiple = 10_010, 9_990, MORNING, 0.25
    await change(books, trade, step)
    assert await loaded(books) == trade
    assert trade.version == 1
    assert await books.ledger.load("nobody") is None


async def test_a_leg_is_read_with_its_group(books: Books) -> None:
    leg = ENTRY.model_copy(update={"group_id": "group-1"})
    await opened(books, leg)
    assert (await loaded(books)).group_id == "group-1"


async def test_what_is_read_is_ones_own(books: Books) -> None:
    await opened(books)
    first = await loaded(books)
    first.entry_order().state, first.exit_reason = OrderState.REJECTED, "mine"
    second = await loaded(books)
    assert (second.entry_order().state, second.exit_reason) == (OrderState.PENDING, None)


async def test_an_intent_is_taken_once_however_many_take_it_at_once(hands: ExecutionHands, books: Books) -> None:
    other, _ = await hands.life("2")
    (one, step_one), (two, step_two) = trade_of(), trade_of(owner="execution-2")
    answers = await asyncio.gather(
        books.ledger.open_trade(one, step_one, ENTRY, outcome="TAKEN"),
        other.ledger.open_trade(two, step_two, ENTRY, outcome="TAKEN"),
    )
    assert sorted(answers) == [False, True]
    assert (one.trade_id is None) is not (two.trade_id is None)
    assert len(await books.ledger.alive(OWNER)) + len(await books.ledger.alive("execution-2")) == 1
    await other.book.close()


async def test_a_transaction_that_fails_has_opened_nothing(books: Books) -> None:
    trade, step = trade_of()

    async def failing() -> None:
        async with books.book.begin() as tx:
            assert await books.ledger.open_trade(trade, step, ENTRY, outcome="TAKEN", transaction=tx)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await failing()
    assert await books.ledger.load(trade.pos_id) is None
    assert await books.ledger.open_trade(trade, step, ENTRY, outcome="TAKEN")


async def test_a_position_whose_exit_came_first_is_not_opened_until_the_claim_is_given_back(books: Books) -> None:
    pos_id = ENTRY.pos_id or ""
    async with books.book.begin() as tx:
        await tx.lock(pos_id)
        assert await books.ledger.claim_unopened(tx, pos_id)
    trade, step = trade_of()
    assert not await books.ledger.open_trade(trade, step, ENTRY, outcome="TAKEN")
    assert await books.ledger.load(pos_id) is None
    async with books.book.begin() as tx:
        await tx.lock(pos_id)
        assert await books.ledger.reopen_claim(tx, pos_id)
        assert await books.ledger.open_trade(trade, step, ENTRY, outcome="exit_came_first", transaction=tx)
    assert (await loaded(books)).pos_id == pos_id
    async with books.book.begin() as tx:
        await tx.lock(pos_id)
        assert not await books.ledger.claim_unopened(tx, pos_id)
        assert not await books.ledger.reopen_claim(tx, pos_id)


async def test_a_trade_is_replaced_only_by_one_made_from_it(books: Books) -> None:
    trade = await opened(books)
    outdated = await loaded(books)
    await change(books, trade)
    outdated.exit_reason = "late"
    with pytest.raises(Stale):
        await change(books, outdated)
    assert (await loaded(books)).exit_reason is None


async def test_a_change_of_its_own_is_stored_with_what_it_says_or_not_at_all(books: Books) -> None:
    trade = await opened(books)
    outdated = await loaded(books)
    step = filled(trade, "f1", at_ns=MORNING + SECOND)
    await books.ledger.update_trade(trade, step, messages=[pause(1), pause(2)])
    found = await loaded(books)
    assert (found.version, found.fill_ids, found.entry_quantity) == (trade.version, {"f1"}, 25)
    with pytest.raises(Stale):
        await books.ledger.update_trade(outdated, TradeStep(), messages=[pause(3)])
    assert outdated.version == found.version - 1
    await books.ledger.update_trade(trade, TradeStep())
    assert await published(books) == [pause(1).event_id, pause(2).event_id]


async def test_changes_of_many_trades_at_once_are_each_their_own(books: Books) -> None:
    trades = [await opened(books, approval(number, at_ns=MORNING)) for number in range(1, 31)]
    stale = await books.ledger.load(trades[3].pos_id)
    assert stale is not None
    await change(books, trades[3])
    trades[3] = stale
    answers = await asyncio.gather(
        *(books.ledger.update_trade(one, TradeStep(), messages=[pause(number)]) for number, one in enumerate(trades)),
        return_exceptions=True,
    )
    assert [isinstance(one, Stale) for one in answers] == [number == 3 for number in range(30)]
    assert sorted(await published(books)) == sorted(pause(number).event_id for number in range(30) if number != 3)


async def test_a_fill_that_is_told_twice_is_one(books: Books) -> None:
    trade = await opened(books)
    step = filled(trade, "f1", at_ns=MORNING + SECOND)
    await change(books, trade, step)
    await change(books, trade, TradeStep(fills=step.fills))
    assert (await loaded(books)).fill_ids == {"f1"}
    assert (await books.own.net(["s1"]), await books.own.net(["s2"])) == ({1: 25}, {})
    assert await books.own.traded("paper", "paper", since_ns=0) == {1: (-25 * step.fills[0].fill.price_paise, 25)}


async def test_fills_of_one_number_at_two_orders_are_two(books: Books) -> None:
    """Two brokers, or one on two days, may number alike."""
    other = approval(2, at_ns=MORNING)
    for message in (ENTRY, other):
        trade = await opened(books, message)
        await change(books, trade, filled(trade, "f1", at_ns=MORNING + SECOND))
    for message in (ENTRY, other):
        assert (await loaded(books, message.pos_id)).fill_ids == {"f1"}
    assert await books.own.net(["s1"]) == {1: 50}


async def test_a_growth_is_unanswered_until_its_answer_is_in_the_history(books: Books) -> None:
    trade = await opened(books)
    await change(books, trade, filled(trade, "f1", at_ns=MORNING + SECOND))
    stop = stop_of(trade, placed_ns=MORNING + SECOND)
    trade.orders.append(stop)
    await change(books, trade)
    assert await books.ledger.growth_unanswered([trade.entry_order()], stop) is None
    await change(books, trade, filled(trade, "f2", at_ns=MORNING + 2 * SECOND, quantity=50))
    assert await books.ledger.growth_unanswered([trade.entry_order()], stop) == (MORNING + 2 * SECOND, 50)
    answer = Moved(stop.order_id, stop.state, stop.state, "MODIFIED", MORNING + 2 * SECOND)
    await change(books, trade, TradeStep(history=[answer]))
    assert await books.ledger.growth_unanswered([trade.entry_order()], stop) is None


async def test_only_its_trades_owner_may_send_an_order_and_says_so_first(books: Books) -> None:
    trade = await opened(books, owner="execution-1")
    entry = trade.entry_order()
    assert not await books.departures.has_left(entry)
    assert await books.departures.leaves(trade, entry, at_ns=MORNING + SECOND)
    assert await books.departures.has_left(entry)
    taken_over = await loaded(books)
    taken_over.owner = "execution-2"
    await change(books, taken_over)
    other = await opened(books, approval(2, at_ns=MORNING), owner="execution-1")
    assert not await books.departures.leaves(trade, entry, at_ns=MORNING + 2 * SECOND), "it is another's by now"
    assert not await books.departures.has_left(other.entry_order())


async def test_the_living_are_their_owners_until_he_is_silent_too_long(books: Books) -> None:
    trade = await opened(books, owner="execution-2")
    ended = await opened(books, approval(2, at_ns=MORNING), owner="execution-2")
    ended.state = TradeState.CANCELLED
    await change(books, ended)
    assert await books.ledger.alive("execution-2") == {trade.pos_id: "s1"}
    assert await books.ledger.sessions_alive() == ["s1"]
    assert await books.ledger.adopt_orphans(OWNER, silent_seconds=0) == [], "its heart was never heard"
    await books.ledger.heartbeat("execution-2")
    assert await books.ledger.adopt_orphans(OWNER, silent_seconds=3600) == []
    assert await books.ledger.adopt_orphans(OWNER, silent_seconds=0) == [trade.pos_id]
    assert await books.ledger.alive(OWNER) == {trade.pos_id: "s1"}
    with pytest.raises(Stale):
        await change(books, trade)


async def test_extremes_are_stored_of_trades_that_are_as_the_book_has_them(books: Books) -> None:
    trade, other = await opened(books), await opened(books, approval(2, at_ns=MORNING))
    outdated = await loaded(books, other.pos_id)
    await change(books, other)
    for one in (trade, outdated):
        one.highest_paise, one.lowest_paise, one.as_of_ns = 11_000, 9_000, MORNING + 5
    await books.ledger.save_extremes([trade, outdated])
    assert await loaded(books) == trade
    assert (await loaded(books, other.pos_id)).highest_paise is None


async def untaken(books: Books) -> list[Message | None]:
    return [one.message for one in await books.ledger.untaken()]


async def test_an_approval_that_is_no_message_of_this_version_is_untaken_until_it_is_refused(
    hands: ExecutionHands, books: Books
) -> None:
    later = Later.model_validate(ENTRY.model_dump())
    await emit(hands.book, APPROVALS, later)
    (found,) = await books.ledger.untaken()
    assert (found.message, found.approval.intent_id, found.approval.pos_id) == (None, "i1", ENTRY.pos_id)
    assert "ceiling_paise" in found.problem
    async with books.book.begin() as tx:
        for _ in range(2):
            await books.ledger.insert_intent(tx, found.approval, outcome="put_aside")
    assert await books.ledger.untaken() == []
    assert await hands.outcomes() == {"i1": "put_aside"}


async def test_an_approval_is_untaken_until_it_has_an_intent(hands: ExecutionHands, books: Books) -> None:
    later = approval(2, at_ns=MORNING + SECOND)
    await emit(hands.book, APPROVALS, exit_of(ENTRY, at_ns=MORNING), ENTRY, later)
    assert await untaken(books) == [ENTRY, exit_of(ENTRY, at_ns=MORNING), later]
    trade = await opened(books)
    async with books.book.begin() as tx:
        for _ in range(2):
            await books.ledger.insert_intent(tx, ApprovalFields.of(LEAVE), outcome="TAKEN")
    assert await untaken(books) == [later]
    register = session_register(hands.book)
    async with hands.book.begin() as tx:
        await register.set_status(tx, "s1", SessionStatus.STOPPING)
    assert await untaken(books) == [later]
    assert await books.own.finished(["s1", "s2"]) == []
    trade.state = TradeState.CANCELLED
    await change(books, trade)
    assert await books.own.finished(["s1", "s2"]) == ["s1"], "the broker's book has the last word"
    await books.own.seen_clear("s1")
    assert not await register.awaits_look("s1")
    async with hands.book.begin() as tx:
        await register.set_status(tx, "s1", SessionStatus.STOPPED)
    assert await untaken(books) == []
    assert await books.own.ended(["s1", "s2"]) == ["s1"]


async def test_what_is_missing_of_a_trade_and_who_holds_what_is_in_the_book(books: Books) -> None:
    trade, other = await opened(books), await opened(books, approval(2, at_ns=MORNING), owner="execution-2")
    await opened(books, approval(3, at_ns=MORNING))
    assert await books.own.held(["s1"]) == []
    for one, quantity in ((trade, 50), (other, 25)):
        await change(books, one, filled(one, "f1", at_ns=MORNING + SECOND, quantity=quantity))
    trade.missing_quantity, other.exit_reason = 25, "target"
    await change(books, trade)
    await change(books, other)
    assert (await loaded(books)).missing_quantity == 25
    assert await books.own.held(["s2"]) == []
    assert await books.own.held(["s1"]) == sorted([held_of(trade), held_of(other)], key=lambda one: one.pos_id)
    assert {one.pos_id: (one.open_quantity, one.is_leaving) for one in await books.own.held(["s1"])} == {
        trade.pos_id: (50, False), other.pos_id: (25, True),
    }  # fmt: skip


async def test_own_orders_are_found_by_tag_by_session_and_by_number(books: Books) -> None:
    trade, other = await opened(books), await opened(books, approval(2, at_ns=MORNING))
    await change(books, trade, filled(trade, "f1", at_ns=MORNING + SECOND))
    other.state = TradeState.CANCELLED
    other.entry_order().state = OrderState.CANCELLED
    await change(books, other)
    entry, gone = trade.entry_order(), other.entry_order()
    assert await books.ledger.position_of_tag(entry.tag) == trade.pos_id
    assert await books.ledger.position_of_tag("nobody's") is None
    (found,) = await books.own.orders([], ["s1"])
    assert (found.order_id, found.tag, found.state, found.filled_quantity, found.broker_order_id, found.owner) == (
        entry.order_id, entry.tag, OrderState.PARTIALLY_FILLED, 25, "B1", OWNER,
    )  # fmt: skip
    assert [one.order_id for one in await books.own.orders([gone.tag], [])] == [gone.order_id]
    assert len(await books.own.orders([gone.tag], ["s1"])) == 2
    assert await books.own.tag_of("B1", ["s1"]) == entry.tag
    assert await books.own.tag_of("B1", ["s2"]) is None


async def test_of_orders_that_a_broker_numbered_alike_the_newest_is_meant(books: Books) -> None:
    trade = await opened(books)
    first, second = (stop_of(trade, placed_ns=MORNING + number, tag=f"t{number}") for number in (2, 1))
    second.sequence = 2
    trade.orders += [first, second]
    await change(books, trade)
    assert await books.own.tag_of("B2", ["s1"]) == "t2"
    assert [one.sequence for one in (await loaded(books)).orders] == [1, 1, 2]


async def test_what_a_broker_lists_is_kept_for_a_day(books: Books) -> None:
    row = BrokerInstrument(1, "NFO:NIFTY:2024-01-25:FUT", "tok", "NFO", "NIFTY24JANFUT", 25, 5, 1_800)
    day = date(2024, 1, 1)
    await books.listings.put_listed("kite", [row], listed_on=day)
    await books.listings.put_listed("kite", [row], listed_on=day)
    assert await books.listings.listed("kite", listed_on=day) == [row]
    assert await books.listings.listed("dhan", listed_on=day) == []
    assert await books.listings.listed("kite", listed_on=date(2024, 1, 2)) == []
    assert (await books.instruments.load()).by_id(1).symbol == "X"
