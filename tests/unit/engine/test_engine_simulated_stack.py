"""The live services in one simulated time: what is due by the clock is due without a tick, and nobody waits for it."""

from collections.abc import Sequence
from datetime import date, time
from pathlib import Path

import numpy as np
import pytest
from testkit.engine import session
from testkit.fake_broker import FakeBroker
from testkit.histories import write_history
from testkit.simulated_stack import SimulatedStack

from services.market_data.feeds.recorded.history_feed import HistoryFeed
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.records import Records
from tradebus.contracts.sessions import SessionSpec
from tradebus.execution.trade import Trade
from tradebus.history.loading import load_history
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns
from tradebus.symbols.descriptions import describe, instrument_of
from tradebus.trading.orders import BrokerStatus
from tradebus.trading.states import OrderState, TradeState

DAY = date(2026, 11, 25)
FUTURE = "NIFTY26DECFUT"
TICK_PAISE = 10  # as the broker's master has it
SECOND = NANOSECONDS_PER_SECOND
BEFORE_NS = ist_to_ns(DAY, time(9, 14))


def a_day(path: Path, *, seed: int) -> tuple[Instrument, Records]:
    """The future and its ticks of a generated day."""
    file = write_history(path / "day.csv", ("NIFTY",), (DAY,), seed=seed)
    file.write_text(file.read_text().replace(",NIFTY,", f",{FUTURE},"))
    feed = HistoryFeed(load_history(file, symbols=(), from_date=None, to_date=None), ticks_per_minute=12, seed=1)
    [day] = feed.days
    ticks = feed.ticks(day, {FUTURE: 0})
    ticks["price_paise"] = ticks["price_paise"] // TICK_PAISE * TICK_PAISE
    return instrument_of(describe(FUTURE), 0).model_copy(update={"tick_size_paise": TICK_PAISE}), ticks


def at_broker(**limits: str) -> SessionSpec:
    made = session("asha", [FUTURE], ["orb"], capital_paise=10**10, **limits)
    return SessionSpec.model_validate({**made.model_dump(), "mode": "live", "broker": "kite", "credential": "kite"})


def order_of(trade: Trade, role: OrderRole) -> OrderState:
    [state] = {order.state for order in trade.orders if order.role is role}
    return state


class FillingBroker(FakeBroker):
    """Fills what is open at the market's price, as long as it `fills`."""

    def __init__(self, ticks: Records, *, lose: Sequence[str]) -> None:
        super().__init__()
        self.book.lose = [*lose]
        self.fills, self._ticks = True, ticks

    def act(self, *, now_ns: int) -> None:
        for number, order in list(self.book.orders.items()):
            if self.fills and order.status is BrokerStatus.OPEN:
                place = max(0, int(np.searchsorted(self._ticks["ts_event_ns"], now_ns)) - 1)
                self.tell(self.book.fill(number, int(self._ticks["price_paise"][place]), at_ns=now_ns))


async def test_what_is_held_on_paper_has_its_stop_and_its_end_by_the_market(tmp_path: Path) -> None:
    instrument, ticks = a_day(tmp_path, seed=5)
    async with SimulatedStack(state_dir=tmp_path, start_ns=BEFORE_NS, instruments=[instrument]) as stack:
        await stack.start(session("asha", [FUTURE], ["orb"]))
        await stack.market(ticks[ticks["ts_event_ns"] < ist_to_ns(DAY, time(10, 30))])
    ended = [trade for trade in stack.trades if trade.state is TradeState.CLOSED]
    assert ended
    for trade in ended:
        assert trade.entry_quantity == trade.exit_quantity > 0
        assert [order.role for order in trade.orders][:2] == [OrderRole.ENTRY, OrderRole.STOP]


@pytest.mark.parametrize("lost", ["", "after"])
async def test_a_position_at_a_broker_is_left_at_its_hard_end_without_a_tick(tmp_path: Path, lost: str) -> None:
    """Also where nobody heard that the entry was accepted: it is looked up."""
    instrument, ticks = a_day(tmp_path, seed=5)
    broker = FillingBroker(ticks, lose=[lost] if lost else [])
    stack = SimulatedStack(
        broker, state_dir=tmp_path, start_ns=BEFORE_NS, instruments=[instrument],
        after_each=lambda: broker.act(now_ns=stack.timers.now_ns()),
    )  # fmt: skip
    end_ns = ist_to_ns(DAY, time(10, 30))
    async with stack:
        await stack.start(at_broker(hard_trading_end="10:30"))
        await stack.market(ticks, breaks_off=lambda: bool(stack.trades))
        await stack.passes(stack.timers.now_ns() + 60 * SECOND)
        [trade] = stack.trades
        assert trade.state is TradeState.POSITION_OPEN
        assert order_of(trade, OrderRole.STOP) is OrderState.TRIGGER_PENDING
        await stack.passes(end_ns - SECOND)
        assert stack.trades[0].state is TradeState.POSITION_OPEN
        await stack.passes(end_ns + 30 * SECOND)
        [trade] = stack.trades
    assert trade.state is TradeState.CLOSED
    assert trade.closed_ns is not None
    assert end_ns <= trade.closed_ns <= end_ns + 30 * SECOND
    assert order_of(trade, OrderRole.STOP) is OrderState.FILLED, "the stop became the exit"
    assert broker.book.positions()[0].quantity == 0


async def test_an_entry_that_does_not_fill_is_cancelled_by_the_clock_without_a_tick(tmp_path: Path) -> None:
    instrument, ticks = a_day(tmp_path, seed=5)
    broker = FillingBroker(ticks, lose=[])
    broker.fills = False
    async with SimulatedStack(broker, state_dir=tmp_path, start_ns=BEFORE_NS, instruments=[instrument]) as stack:
        await stack.start(at_broker())
        await stack.market(ticks, breaks_off=lambda: bool(stack.trades))
        [trade] = stack.trades
        sent_ns = stack.timers.now_ns()
        await stack.passes(sent_ns + (trade.order_timeout_seconds - 5) * SECOND)
        parts = len(trade.orders)  # more than the exchange takes in one order leaves in several, together
        assert [order.status for order in broker.book.orders.values()] == [BrokerStatus.OPEN] * parts
        await stack.passes(sent_ns + (trade.order_timeout_seconds + 30) * SECOND)
        [trade] = stack.trades
    assert trade.state is TradeState.CANCELLED
    assert len(broker.book.requests) == parts
    assert [order.status for order in broker.book.orders.values()] == [BrokerStatus.CANCELLED] * parts


async def test_an_entry_that_never_arrived_is_looked_up_and_not_sent_again(tmp_path: Path) -> None:
    instrument, ticks = a_day(tmp_path, seed=5)
    broker = FillingBroker(ticks, lose=["before"])
    async with SimulatedStack(broker, state_dir=tmp_path, start_ns=BEFORE_NS, instruments=[instrument]) as stack:
        await stack.start(at_broker())
        await stack.market(ticks, breaks_off=lambda: bool(stack.trades))
        await stack.passes(stack.timers.now_ns() + 30 * SECOND)
        [trade] = stack.trades
    assert trade.state is TradeState.CANCELLED
    assert trade.orders[0].reason == "never reached the broker"
    assert len(broker.book.requests) == 1
    assert broker.book.orders == {}
