"""How often an account's books are read while an entry may fill."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from testkit.broker_life import opened, trading
from testkit.contracts import contract
from testkit.execution_brokers import PRICE, SECOND, TEN, approval
from testkit.fake_broker import FakeBroker
from testkit.trades import approval as approved

from services.execution.positions.quick_looks import QuickLooks, StreamWord
from tradebus.contracts.signals import Side
from tradebus.execution.opening import open_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import TradeStep
from tradebus.kernel.timers import SimulatedTimers


async def test_a_fill_that_a_silent_stream_does_not_tell_is_found_within_seconds(around) -> None:
    broker = FakeBroker()
    async with trading(around, broker, reconcile_seconds=3600) as life:
        await opened(life, broker, approval(1))
        await life.send(entry := approval(2))
        sent = await life.order("ENTRY", "OPEN", of=entry)
        broker.book.fill(sent.broker_order_id, PRICE, at_ns=TEN + SECOND)
        await life.order("STOP", "TRIGGER_PENDING", of=entry)


class Waiting:
    """An account with an entry that waits, and its stream."""

    def __init__(self, broker: str) -> None:
        self.timers = SimulatedTimers()
        self.stream = StreamWord()
        self.stream.is_up = True
        self._roster = Roster("o")
        self.enters("p1")
        account: Any = SimpleNamespace(sessions={"s": None}, broker=SimpleNamespace(name=broker))
        keeper: Any = SimpleNamespace(roster=self._roster)
        self._looks = QuickLooks(account, keeper, self.stream, market_ns=self.timers.now_ns, timers=self.timers)

    def enters(self, pos_id: str) -> None:
        wanted = replace(approved(Side.LONG), pos_id=pos_id)
        trade = open_trade(wanted, TradeStep(), contract=contract(), owner="o")
        trade.entry_order().broker_order_id = f"B{pos_id}"
        self._roster.remember(trade)

    def looks(self, seconds: int) -> int:
        """How many of so many seconds had one."""
        taken = 0
        for _ in range(seconds):
            self.timers.advance(self.timers.now_ns() + SECOND)
            taken += self._looks.take()
        return taken


@pytest.mark.parametrize("is_up", [True, False], ids=["silent", "down"])
def test_the_books_are_read_each_second_for_ninety(is_up: bool) -> None:
    waiting = Waiting("kite")
    waiting.stream.is_up = is_up
    assert waiting.looks(200) == 90


def test_a_stream_that_has_spoken_of_the_entry_is_believed_until_it_is_lost() -> None:
    waiting = Waiting("kite")
    waiting.stream.spoke("another")
    assert waiting.looks(10) == 10
    waiting.stream.spoke("Bp1")
    assert waiting.looks(30) == 0
    waiting.stream.is_up = False
    assert waiting.looks(30) == 30


@pytest.mark.parametrize(("broker", "most"), [("kite", 270), ("dhan", 270), ("upstox", 150)])
def test_reads_stay_within_what_the_broker_lets_out_in_half_an_hour(broker: str, most: int) -> None:
    waiting = Waiting(broker)
    taken = waiting.looks(90)
    for pos_id in ("p2", "p3"):
        waiting.enters(pos_id)
        taken += waiting.looks(90)
    assert taken == most
    waiting.looks(1_800)
    waiting.enters("p4")
    assert waiting.looks(90) == 90
