"""No entry leaves without margin: by the broker's word, less what is under way; exits are never asked."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.broker_life import opened, trading
from testkit.contracts import contract
from testkit.execution_brokers import PRICE, approval
from testkit.fake_broker import MASTER, UNREACHABLE, FakeBroker

from services.execution.accounts.entering.entry_margin import EntryMargin
from tradebus.brokers.account import AccountMargins
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.kernel.timers import SimulatedTimers
from tradebus.trading.orders import OrderRequest, Outcome, Result
from tradebus.trading.size.margin import margin_paise
from tradebus.trading.states import OrderState, TradeState

ACCEPTED, REFUSED = Outcome(Result.ACCEPTED, "B1"), Outcome(Result.REFUSED, reason="no")
UNKNOWN = Outcome(Result.UNKNOWN, reason="timeout")
CONTRACT = contract()
EACH = margin_paise(CONTRACT, Side.LONG, price_paise=10_000)


class Account:
    """A broker's word on its margin, which it may not give."""

    def __init__(self, available_paise: int | None) -> None:
        self.available_paise, self.asked = available_paise, 0

    async def margins(self) -> AccountMargins:
        self.asked += 1
        await asyncio.sleep(0)
        if self.available_paise is None:
            raise UNREACHABLE
        return AccountMargins(self.available_paise, 0)


def request(number: int, quantity: int = 1) -> OrderRequest:
    return OrderRequest(
        "s1", f"t{number}", 1, "X", Transaction.BUY, OrderType.LIMIT, quantity, 1, 5, 1, price_paise=10_000,
        role=OrderRole.ENTRY, contract=CONTRACT,
    )  # fmt: skip


def made(account: Account, timers: SimulatedTimers, *, max_age_seconds: float) -> EntryMargin:
    return EntryMargin(
        account, lambda _: MASTER[0], name="kite:mine", max_age_seconds=max_age_seconds, timers=timers,  # type: ignore[arg-type]
    )  # fmt: skip


def margin_of(account: Account, timers: SimulatedTimers) -> EntryMargin:
    return made(account, timers, max_age_seconds=60)


def later(timers: SimulatedTimers, seconds: float) -> None:
    timers.advance(timers.now_ns() + int(seconds * 1e9))


async def test_what_is_under_way_is_taken_off_until_a_figure_has_it() -> None:
    account, timers = Account(3 * EACH), SimulatedTimers()
    margin = margin_of(account, timers)
    assert [await margin.reserve(request(number)) for number in (1, 2, 3)] == [None] * 3
    assert "under way" in str(await margin.reserve(request(4)))
    margin.answered(request(1), REFUSED)
    assert await margin.reserve(request(5)) is None
    margin.answered(request(2), ACCEPTED)
    margin.answered(request(3), UNKNOWN)
    later(timers, 61)
    account.available_paise = 2 * EACH  # what was answered is in it, the fifth was not
    assert await margin.reserve(request(6)) is None
    assert "under way" in str(await margin.reserve(request(7)))
    assert account.asked == 2


@pytest.mark.parametrize(
    ("outcome", "seconds", "is_in"), [(ACCEPTED, 61, True), (UNKNOWN, 61, True), (None, 20, False)]
)
async def test_a_request_without_an_answer_is_in_no_figure_before_it_can_have_arrived(
    outcome: Outcome | None, seconds: float, is_in: bool
) -> None:
    account, timers = Account(EACH), SimulatedTimers()
    margin = made(account, timers, max_age_seconds=15)
    assert await margin.reserve(request(1)) is None
    margin.answered(request(1), outcome)
    later(timers, seconds)
    assert (await margin.reserve(request(2)) is None) is is_in


async def test_without_a_figure_nothing_is_sent_and_the_age_is_told() -> None:
    account, timers = Account(None), SimulatedTimers()
    margin = margin_of(account, timers)
    refused = await margin.reserve(request(1))
    assert str(refused).startswith("margin_unknown: kite:mine has told no margin yet: ")
    later(timers, 2)
    account.available_paise = EACH
    assert await margin.reserve(request(1)) is None
    margin.answered(request(1), REFUSED)
    account.available_paise = None
    later(timers, 59)
    assert await margin.reserve(request(2)) is None, "a figure of less than a minute is one"
    margin.answered(request(2), REFUSED)
    later(timers, 2)
    assert "told no margin for 61 s" in str(await margin.reserve(request(3)))


async def test_many_who_wait_ask_once_and_a_failure_is_not_asked_again_at_once() -> None:
    account, timers = Account(100 * EACH), SimulatedTimers()
    margin = margin_of(account, timers)
    assert await asyncio.gather(*(margin.reserve(request(number)) for number in range(20))) == [None] * 20
    assert account.asked == 1
    silent = Account(None)
    margin = margin_of(silent, timers)
    assert None not in await asyncio.gather(*(margin.reserve(request(number)) for number in range(20)))
    assert silent.asked == 1


async def test_what_cannot_be_estimated_is_not_sent() -> None:
    margin = margin_of(Account(10**12), SimulatedTimers())
    bare = OrderRequest("s1", "t", 1, "X", Transaction.BUY, OrderType.MARKET, 1, 1, 5, 1, role=OrderRole.ENTRY)
    assert str(await margin.reserve(bare)).startswith("margin: X has no contract or no price")


@given(
    available=st.integers(0, 50),
    steps=st.lists(st.tuples(st.integers(1, 9), st.sampled_from([ACCEPTED, REFUSED, UNKNOWN, None])), max_size=20),
)
def test_no_more_is_under_way_than_there_is(available: int, steps: list[tuple[int, Outcome | None]]) -> None:
    async def play() -> None:
        margin, taken = margin_of(Account(available * EACH), SimulatedTimers()), 0
        for number, (quantity, outcome) in enumerate(steps):
            entry = request(number, quantity)
            if await margin.reserve(entry) is not None:
                assert taken + quantity > available
                continue
            taken += quantity
            assert taken <= available
            margin.answered(entry, outcome)
            taken -= quantity if outcome is REFUSED else 0

    asyncio.run(play())


async def test_an_entry_beyond_the_brokers_margin_is_refused_by_name_and_what_is_held_gets_out(around) -> None:
    broker, first = FakeBroker(), approval(1)
    broker.margins = AccountMargins(65 * PRICE * 22 // 100, 0)  # enough for one
    async with trading(around, broker) as life:
        await opened(life, broker, first)
        refused = approval(2)
        await life.send(refused)
        order = await life.order("ENTRY", "REJECTED", of=refused)
        assert "margin: the broker has" in str(order.reason)
        await life.leave(broker, first)
        assert not [one for one in await life.orders(of=refused) if one.state is OrderState.OPEN]
        await life.trade(pos_id=first.pos_id, state=TradeState.CLOSED)


async def test_a_broker_that_tells_no_margin_gets_no_entry(around) -> None:
    broker = FakeBroker()
    broker.margins = None
    async with trading(around, broker) as life:
        entry = approval(1)
        await life.send(entry)
        order = await life.order("ENTRY", "REJECTED", of=entry)
        assert str(order.reason).startswith("not sent: margin_unknown: kite:mine has told no margin yet")
    assert broker.book.requests == []
