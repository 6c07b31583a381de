"""Positions that somebody closes by hand at the broker: seen, told with what to do, and never closed a second time."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from testkit.broker_life import LISTED, BrokerLife, opened, trading
from testkit.contracts import contract
from testkit.execution_books import register
from testkit.execution_brokers import FUTURE, PRICE, SECOND, TEN, approval, exit_of, spec
from testkit.fake_broker import FakeBroker
from testkit.trades import approval as approved

from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.execution.opening import open_trade
from tradebus.execution.reconciliation import allot, disputed_positions, held_of, uncovered
from tradebus.execution.step import TradeStep
from tradebus.trading.orders import BrokerStatus, OrderRequest
from tradebus.trading.states import TradeState

NEXT_MONTH = LISTED[0].model_copy(
    update={"instrument_id": 8, "symbol": "NIFTY26DECFUT", "instrument_key": "NFO:NIFTY:2026-12-29:FUT"}
)
NETS = st.dictionaries(st.integers(0, 3), st.integers(-300, 300), max_size=4)


async def by_hand(broker: FakeBroker, quantity: int, *, told: bool = True) -> None:
    """Somebody sells at the broker's terminal, a fill at once; `told` by the order stream."""
    request = OrderRequest(
        "s1", "", FUTURE, "NIFTY26NOVFUT", Transaction.SELL, OrderType.MARKET, quantity, 65, 10, TEN,
    )  # fmt: skip
    outcome = await broker.book.place(request)
    filled = broker.book.fill(outcome.broker_order_id, PRICE, at_ns=TEN + 5 * SECOND)
    if told:
        broker.tell(filled)


def sent(broker: FakeBroker) -> list[tuple[OrderRole, int]]:
    """What execution has placed."""
    return [(one.role, one.quantity) for one in broker.book.requests if one.tag]


def resting(broker: FakeBroker) -> list[int]:
    return [one.quantity - one.filled_quantity for one in broker.book.orders.values() if not one.status.final]


async def until_resting(life: BrokerLife, broker: FakeBroker, wanted: list[int]) -> None:
    async def so() -> bool:
        return resting(broker) == wanted

    await life.until(so)


async def test_what_is_sold_by_hand_is_told_with_what_to_do_and_sold_no_second_time(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker, reconcile_seconds=5.0) as life:
        entry = approval(1)
        await opened(life, broker, entry)
        await by_hand(broker, 65)
        await until_resting(life, broker, [])  # the stop would open a short position
        [mismatch] = await life.told("RECONCILE_MISMATCH")
        [found] = mismatch.differences
        assert (found.what, found.ours, found.brokers) == ("position NIFTY26NOVFUT", "65", "0")
        assert "tradebus settle" in found.action
        await life.send(exit_of(entry, at_ns=TEN + 6 * SECOND))
        await life.trade(state=TradeState.EXIT_PENDING)
        await life.time_passes(3)
    assert sent(broker) == [(OrderRole.ENTRY, 65), (OrderRole.STOP, 65)]
    assert sum(row.quantity for row in broker.book.positions()) == 0


async def test_of_what_is_sold_in_part_the_rest_stays_covered_and_is_closed(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        entry = approval(1, quantity=195)
        await opened(life, broker, entry)
        await by_hand(broker, 130, told=False)
        await until_resting(life, broker, [65])
        await life.send(exit_of(entry, at_ns=TEN + 6 * SECOND))
        leaving = await life.order("STOP", "OPEN")
        assert leaving.quantity == 65
        broker.tell(broker.book.fill(leaving.broker_order_id, PRICE, at_ns=TEN + 7 * SECOND))
        await life.order("STOP", "FILLED")
        await life.time_passes(2)
        [trade] = await life.trades(state=TradeState.EXIT_PENDING)
        assert trade.open_quantity == 130
    assert sent(broker) == [(OrderRole.ENTRY, 195), (OrderRole.STOP, 195)], "the stop is the exit, and no other follows"


async def _refused(life: BrokerLife, number: int) -> None:
    """No entry leaves."""
    refused = approval(number)
    await life.send(refused)
    assert (await life.trade(pos_id=refused.pos_id)).exit_reason == "reconcile_mismatch"


async def test_a_dispute_stands_while_positions_cannot_be_read_and_ends_when_they_agree(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await opened(life, broker, approval(1))
        await by_hand(broker, 65)
        await life.told("RECONCILE_MISMATCH")
        broker.book.positions_readable = False
        await life.time_passes(0.5)
        await _refused(life, 2)
        broker.book.positions_readable = True
        agreed = len(await around.told("RECONCILED"))
        number, sold = next((number, one) for number, one in broker.book.orders.items() if not one.tag)
        broker.book.orders[number] = replace(sold, status=BrokerStatus.REJECTED, filled_quantity=0, fills=())

        async def agrees() -> bool:
            return len(await around.told("RECONCILED")) > agreed

        await life.until(agrees)
        await life.send(again := approval(3))
        await life.order("ENTRY", "OPEN", of=again)


async def test_a_dispute_stands_while_an_answer_is_out_and_what_is_sold_elsewhere_is_seen(around) -> None:
    await register(around.book, *LISTED, NEXT_MONTH)
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await opened(life, broker, approval(1))
        broker.book.lose, broker.book.definitive = ["before"], False
        await life.send(waiting := approval(2, instrument=NEXT_MONTH.instrument_id))
        await life.order("ENTRY", "UNKNOWN", of=waiting)
        await by_hand(broker, 65)
        await life.told("RECONCILE_MISMATCH")
        broker.book.answering.clear()
        await life.time_passes(0.5)
        await _refused(life, 3)


async def test_positions_that_nobody_answers_hold_up_no_order_and_are_read_as_soon_as_they_come(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        broker.positions_answers.clear()
        await life.send(entry := approval(1))
        sent = await life.order("ENTRY", "OPEN", of=entry)
        broker.book.fill(sent.broker_order_id, PRICE, at_ns=TEN + SECOND)  # and its stream says nothing
        await life.order("STOP", "TRIGGER_PENDING", of=entry)
        await by_hand(broker, 65)
        broker.positions_answers.set()
        await until_resting(life, broker, [])
        await life.told("RECONCILE_MISMATCH")


async def test_positions_that_stay_unread_are_told_and_nothing_is_entered_until_they_are_read_and_left(around) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with BrokerLife(around, broker, lost_seconds=1) as life:
        await life.started(spec())
        await opened(life, broker, entry)
        broker.book.positions_readable = False
        degraded, found = (await life.told("RECONCILE_MISMATCH"))[0].differences
        assert (degraded.what, degraded.brokers) == ("degraded", "its positions are unread")
        assert (found.what, found.brokers) == ("positions", "unread for 1 s")
        await _refused(life, 2)
        assert (await life.trade(pos_id=entry.pos_id)).exit_reason is None, "nobody knows what is there"
        agreed = len(await around.told("RECONCILED"))
        broker.book.positions_readable = True
        await life.trade(pos_id=entry.pos_id, exit_reason="broker_lost")
        leaving = (await life.order("STOP", "OPEN", of=entry)).broker_order_id
        broker.tell(broker.book.fill(leaving, PRICE, at_ns=TEN + 3 * SECOND))

        async def agrees() -> bool:
            return len(await around.told("RECONCILED")) > agreed

        await life.until(agrees)


async def test_what_is_bought_back_by_hand_is_covered_again(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await opened(life, broker, approval(1))
        await by_hand(broker, 65)
        await until_resting(life, broker, [])
        number, taken_back = next((number, one) for number, one in broker.book.orders.items() if not one.tag)
        broker.book.orders[number] = replace(taken_back, status=BrokerStatus.REJECTED, filled_quantity=0, fills=())
        await life.order("STOP", "TRIGGER_PENDING", sequence=2)
        assert resting(broker) == [65]
        await life.trade(state=TradeState.POSITION_OPEN)


async def test_somebodys_own_position_beside_ours_is_left_alone(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await life.started(spec("s2"))
        await opened(life, broker, approval(1))
        await opened(life, broker, approval(1, session="s2"))
        request = OrderRequest("s1", "", FUTURE, "X", Transaction.BUY, OrderType.MARKET, 65, 65, 10, TEN)
        number = (await broker.book.place(request)).broker_order_id
        broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + 5 * SECOND))
        await life.time_passes(1)
        assert resting(broker) == [65, 65]
        assert not await around.told("RECONCILE_MISMATCH")


async def test_what_is_missing_and_the_dispute_are_known_in_the_next_life_before_its_first_look(around) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        await by_hand(broker, 65)
        await until_resting(life, broker, [])
        await life.told("RECONCILE_MISMATCH")
        await life.life.kill()
    broker.book.readable = False
    async with BrokerLife(around, broker) as again:
        await again.send(exit_of(entry, at_ns=TEN + 6 * SECOND), refused := approval(2))
        assert (await again.trade(pos_id=refused.pos_id)).exit_reason == "reconcile_mismatch"
        await again.trade(state=TradeState.EXIT_PENDING)
        await again.time_passes(1)
    assert sent(broker) == [(OrderRole.ENTRY, 65), (OrderRole.STOP, 65)]


async def test_two_instances_reckon_what_is_missing_once(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        other = BrokerLife(around, broker)
        other.settings["instance"] = "2"
        async with other:
            owners: set[str] = set()
            for number in range(1, 40):
                entry = approval(number)
                stop = await opened(life, broker, entry)
                assert stop.quantity == 65
                owners |= {one.owner for one in await life.trades(pos_id=entry.pos_id)}
                await life.time_passes(1)  # a look in the middle of a fill has seen its end
                if len(owners) == 2:
                    break
            assert len(owners) == 2, "both instances hold something"
            await by_hand(broker, 65, told=False)
            await until_resting(life, broker, [65] * (number - 1))
            await life.time_passes(1)
            missing = [one.missing_quantity for one in await life.trades() if one.missing_quantity]
            assert (missing, resting(broker)) == ([65], [65] * (number - 1))


@given(ours=NETS, brokers=NETS)
def test_what_is_missing_is_what_closing_ours_would_take_through_zero(ours, brokers) -> None:
    missing = uncovered(ours=ours, brokers=brokers)
    for instrument, net in ours.items():
        sign, there = (1 if net > 0 else -1), brokers.get(instrument, 0)
        closed = abs(net) - missing.get(instrument, 0)
        assert closed >= 0
        left = there - sign * closed
        assert closed == 0 or left * sign >= 0, "through zero"
        assert closed == abs(net) or left * sign <= 0, "more could be closed"


@given(ours=NETS, brokers=NETS, others=NETS)
def test_whoever_explains_it_less_than_ours_at_the_broker_is_a_dispute(ours, brokers, others) -> None:
    told = {
        one.what for one in disputed_positions(ours=ours, others=others, brokers=brokers, symbols={})
    }  # fmt: skip
    assert {f"position {instrument}" for instrument in uncovered(ours=ours, brokers=brokers)} <= told


@given(missing=st.integers(0, 400), held=st.lists(st.integers(0, 4), min_size=1, max_size=5), leaving=st.integers(0, 5))
def test_what_is_missing_is_reckoned_once_and_to_those_who_stay_first(missing, held, leaving) -> None:
    trades = []
    for number, lots in enumerate(held):
        trade = open_trade(approved(Side.LONG), TradeStep(), contract=contract(), owner="o")
        trade.pos_id, trade.entry_quantity = f"p{number}", 25 * lots
        trade.exit_reason = "x" if number < leaving else None
        trades.append(trade)
    shares = allot(missing, [held_of(one) for one in trades], tags=[trades[0].entry_order().tag])
    assert sum(shares.values()) == min(missing, 25 * sum(held))
    assert all(0 <= shares[one.pos_id] <= one.open_quantity for one in trades)
    if any(shares[one.pos_id] for one in trades if one.exit_reason):
        assert all(shares[one.pos_id] == one.open_quantity for one in trades if not one.exit_reason)
