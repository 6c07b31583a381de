"""A broker's triggers behind the order gateway: found by id, by what they were to be, or not at all."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from testkit.fake_broker import FakeBook
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.common.orders.standing import BrokerTrigger, StandingOrders, TriggerState
from tradebus.brokers.errors import NoAnswer
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, OrderModification, OrderRequest, Outcome, Result

TAG = "tb0123456789abcdefgh"
NOW_NS = 1_795_590_000 * 10**9
GTT = OrderRequest(
    account="s", tag=TAG, instrument=1, symbol="X", transaction=Transaction.SELL, order_type=OrderType.GTT,
    quantity=65, lot_size=65, tick_size_paise=10, at_ns=NOW_NS, price_paise=9_700, trigger_paise=9_900,
    target_paise=10_200, market_paise=10_000,
)  # fmt: skip


class FakeTriggers:
    """`lose`: the next placement reaches the broker, and nobody answers. `mute`: the list cannot be read."""

    def __init__(self, book: FakeBook) -> None:
        self.book, self.all = book, dict[str, BrokerTrigger]()
        self.lose = self.mute = False
        self.asked = 0

    async def place(self, request: OrderRequest) -> Outcome:
        number = f"T{len(self.all) + 1}"
        self.all[number] = waiting(number, request)
        return Outcome(Result.UNKNOWN, reason="timeout") if self.lose else Outcome(Result.ACCEPTED, number)

    async def modify(self, trigger_id: str, change: OrderModification) -> Outcome:
        if self.all[trigger_id].state is not TriggerState.WAITS:
            return Outcome(Result.REFUSED, reason="it has fired")
        legs = (change.trigger_paise or 0, self.all[trigger_id].triggers_paise[-1])
        self.all[trigger_id] = replace(self.all[trigger_id], quantity=change.quantity, triggers_paise=legs)
        return Outcome(Result.ACCEPTED, trigger_id)

    async def delete(self, trigger_id: str) -> Outcome:
        if self.all[trigger_id].state is not TriggerState.WAITS:
            return Outcome(Result.REFUSED, reason="it has fired")
        self.all[trigger_id] = replace(self.all[trigger_id], state=TriggerState.OVER)
        return Outcome(Result.ACCEPTED, trigger_id)

    async def listed(self) -> Sequence[BrokerTrigger]:
        self.asked += 1
        if self.mute:
            raise NoAnswer("kite", "no answer")
        return list(self.all.values())

    async def fire(self, trigger_id: str) -> str:
        """A leg is reached; the number of what it has placed."""
        order = replace(GTT, tag="", order_type=OrderType.LIMIT, trigger_paise=None)
        placed = (await self.book.place(order)).broker_order_id
        assert placed is not None
        self.all[trigger_id] = replace(self.all[trigger_id], state=TriggerState.FIRED, order_id=placed)
        return placed


def waiting(number: str, request: OrderRequest, **changes: object) -> BrokerTrigger:
    made = BrokerTrigger(
        trigger_id=number, state=TriggerState.WAITS, instrument=request.instrument, transaction=request.transaction,
        quantity=request.quantity, triggers_paise=(request.trigger_paise or 0, request.target_paise or 0),
        created_ns=request.at_ns,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


class Desk:
    def __init__(self, *, settle_seconds: float = 0.0, shows_all: bool = False) -> None:
        self.book = FakeBook()
        self.triggers = FakeTriggers(self.book)
        self.settle_seconds, self.shows_all = settle_seconds, shows_all
        self.gateway = self.another_life()

    def another_life(self) -> StandingOrders:
        return StandingOrders(
            self.book, self.triggers, timers=WALL_TIMERS, shows_all=self.shows_all, settle_seconds=self.settle_seconds
        )

    async def line(self, tag: str = TAG):
        [found] = [one for one in await self.gateway.order_book("s") or () if one.tag == tag]
        return found


async def test_a_trigger_is_one_order_from_its_placement_to_the_fill_of_what_it_places():
    desk = Desk()
    outcome = await desk.gateway.place(GTT)
    assert (outcome.result, outcome.broker_order_id) == (Result.ACCEPTED, "T1")
    line = await desk.line()
    assert (line.status, line.quantity, line.trigger_paise) == (BrokerStatus.TRIGGER_PENDING, 65, 9_900)
    change = OrderModification(130, 9_750, 9_950, NOW_NS, asked=replace(GTT, quantity=130))
    assert (await desk.gateway.modify("s", "T1", change)).result is Result.ACCEPTED
    assert ((await desk.line()).quantity, (await desk.line()).trigger_paise) == (130, 9_950)
    placed = await desk.triggers.fire("T1")
    desk.book.fill(placed, 9_890, at_ns=NOW_NS + 1, quantity=30)
    line = await desk.line()
    assert (line.broker_order_id, line.tag, line.filled_quantity, line.status) == ("T1", TAG, 30, BrokerStatus.OPEN)
    assert len(await desk.gateway.order_book("s") or ()) == 1, "what it has placed is not told a second time"
    desk.book.fill(placed, 9_880, at_ns=NOW_NS + 2)
    found = (await desk.gateway.find_by_tag("s", TAG)).order
    assert found is not None
    assert (found.status, sum(fill.quantity for fill in found.fills)) == (BrokerStatus.FILLED, 65)


async def test_a_deleted_trigger_is_cancelled_and_of_one_that_has_fired_what_it_placed():
    desk = Desk()
    await desk.gateway.place(GTT)
    assert (await desk.gateway.cancel("s", "T1", at_ns=NOW_NS)).result is Result.ACCEPTED
    assert (await desk.line()).status is BrokerStatus.CANCELLED
    await desk.gateway.place(replace(GTT, tag="tb2"))
    placed = await desk.triggers.fire("T2")
    outcome = await desk.gateway.cancel("s", "T2", at_ns=NOW_NS)
    assert (outcome.result, outcome.broker_order_id) == (Result.ACCEPTED, "T2")
    assert desk.book.orders[placed].status is BrokerStatus.CANCELLED
    assert (await desk.line("tb2")).status is BrokerStatus.CANCELLED


async def test_a_leg_whose_order_was_refused_is_a_refusal():
    desk = Desk()
    await desk.gateway.place(GTT)
    refused = replace(desk.triggers.all["T1"], state=TriggerState.REFUSED, reason="circuit limit")
    desk.triggers.all["T1"] = refused
    line = await desk.line()
    assert (line.status, line.reason) == (BrokerStatus.REJECTED, "circuit limit")


@pytest.mark.parametrize("has_crashed", [False, True])
async def test_a_placement_without_an_answer_is_found_by_what_it_was_to_be(has_crashed):
    desk = Desk()
    desk.triggers.all["T0"] = waiting("T0", GTT, triggers_paise=(9_900, 10_300))  # somebody's, with another target
    desk.triggers.lose = True
    await desk.gateway.place(GTT)
    if has_crashed:
        desk.gateway = desk.another_life()
        desk.gateway.expect(replace(GTT, quantity=130), None)  # it was to grow meanwhile
    found = await desk.gateway.find_by_tag("s", TAG)
    assert found.order is not None
    assert (found.order.broker_order_id, found.order.quantity, found.definitive) == ("T2", 65, True)


async def test_another_life_knows_a_trigger_by_the_id_that_the_book_has():
    desk = Desk()
    await desk.gateway.place(GTT)
    desk.gateway = desk.another_life()
    assert await desk.gateway.order_book("s") == [], "and asks for no triggers before it knows of one"
    assert desk.triggers.asked == 0
    desk.gateway.expect(GTT, "T1")
    assert (await desk.line()).broker_order_id == "T1"


async def test_what_could_be_several_is_none_and_absence_is_not_certain():
    desk = Desk()
    for number in ("T1", "T2"):
        desk.triggers.all[number] = waiting(number, GTT)
    desk.gateway.expect(GTT, None)
    found = await desk.gateway.find_by_tag("s", TAG)
    assert (found.order, found.definitive) == (None, False)


async def test_a_trigger_of_another_order_of_ours_is_not_taken_for_a_lost_one():
    desk = Desk()
    await desk.gateway.place(replace(GTT, tag="tb2"))
    desk.gateway.expect(GTT, None)
    found = await desk.gateway.find_by_tag("s", TAG)
    assert found.order is None
    await asyncio.sleep(0)
    assert (await desk.gateway.find_by_tag("s", TAG)).definitive, "nothing settles here: it never arrived"


async def test_absence_has_its_time_and_a_list_that_cannot_be_read_says_nothing():
    desk = Desk(settle_seconds=60)
    desk.gateway.expect(GTT, None)
    assert not (await desk.gateway.find_by_tag("s", TAG)).definitive
    await desk.gateway.place(replace(GTT, tag="tb2"))
    desk.triggers.mute = True
    assert await desk.gateway.order_book("s") is None
    assert not (await desk.gateway.find_by_tag("s", "tb2")).definitive


async def test_a_book_that_shows_all_shows_what_waits_and_is_not_known_and_may_end_it():
    desk = Desk(shows_all=True)
    desk.triggers.all |= {
        "T1": waiting("T1", GTT),
        "T2": waiting("T2", GTT, state=TriggerState.OVER),
        "T3": waiting("T3", GTT, instrument=-1),
        "T4": BrokerTrigger(trigger_id="T4", state=TriggerState.UNKNOWN),
    }
    [line] = await desk.gateway.order_book("s") or ()
    assert (line.broker_order_id, line.tag, line.status) == ("T1", "", BrokerStatus.TRIGGER_PENDING)
    assert (await desk.gateway.cancel("s", "T1", at_ns=NOW_NS)).result is Result.ACCEPTED
    assert await desk.gateway.order_book("s") == []


async def test_other_orders_go_their_own_way():
    desk = Desk()
    stop = replace(GTT, order_type=OrderType.SL_M, tag="tb3", target_paise=None, price_paise=None)
    number = (await desk.gateway.place(stop)).broker_order_id
    assert number is not None
    assert (await desk.gateway.cancel("s", number, at_ns=NOW_NS)).result is Result.ACCEPTED
    found = (await desk.gateway.find_by_tag("s", "tb3")).order
    assert found is not None
    assert (found.status, desk.triggers.asked) == (BrokerStatus.CANCELLED, 0)
