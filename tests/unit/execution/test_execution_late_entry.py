"""An entry that has waited leaves only while its trade is its sender's: nobody has called it absent."""

import pytest
from testkit.contracts import contract
from testkit.execution_brokers import SECOND, TEN, approval
from testkit.fake_broker import FakeBook
from testkit.waiting import WALL_TIMERS

from services.execution.books import books_of
from services.execution.trades.pulse import Pulse
from services.execution.trades.sending import Sending
from tradebus.execution.opening import open_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import TradeStep
from tradebus.runtime.rendering import fact_of
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.trading import facts


@pytest.mark.parametrize(
    ("waited_seconds", "taken_over", "is_sent"),
    [(2, True, True), (4, True, False), (-4, True, False), (4, False, True)],
)
async def test_an_entry_that_has_waited_asks_the_book_whose_its_trade_is(
    waited_seconds: int, taken_over: bool, is_sent: bool
) -> None:
    books = books_of(MemoryBook(MemoryDatabase(), producer="execution-1"), timers=WALL_TIMERS)
    roster, gateway, approved = Roster("execution-1"), FakeBook(), approval(1)
    pulse = Pulse(books, roster.owner, silent_seconds=15.0, timers=WALL_TIMERS)
    sending = Sending(
        gateway, roster, pulse, closed=lambda session: False, passed_ns=lambda session: TEN,
        clock_ns=lambda session: TEN + waited_seconds * SECOND, timers=WALL_TIMERS,
    )  # fmt: skip
    fact, step = fact_of(approved), TradeStep()
    assert isinstance(fact, facts.EntryApproved)
    trade = open_trade(fact, step, contract=contract(), owner=roster.owner, at_ns=TEN)
    assert await books.ledger.open_trade(trade, step, approved, outcome="TAKEN")
    await pulse.beat()
    if taken_over:
        assert await books.ledger.adopt_orphans("execution-2", silent_seconds=-1.0) == [trade.pos_id]
    answer = await sending.send(trade, step.requests[0])
    assert (answer is not None, len(gateway.requests)) == (is_sent, int(is_sent))
