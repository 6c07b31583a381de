"""A sender without brokers: it delivers at once, to a pacing with one budget."""

import asyncio
from dataclasses import replace

from prometheus_client import CollectorRegistry

from services.execution.accounts.pacing import SenderMetrics
from services.execution.accounts.sender import Sender
from testkit.contracts import contract
from testkit.trades import MORNING
from testkit.trades import approval as approved
from tradebus.contracts.signals import Side
from tradebus.execution.governor.budget import ADMITTED, Admission, OrderAsk, OrderBudget
from tradebus.execution.governor.limits import OrderLimit
from tradebus.execution.opening import open_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import Cancel, Place, Request, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.timers import SimulatedTimers


class Counting:
    """A pacing with one budget. `asked` are the lanes it was asked for."""

    def __init__(self, timers: SimulatedTimers, *limits: OrderLimit) -> None:
        self._timers, self._limits, self._budget = timers, limits, OrderBudget()
        self.asked = list[str]()
        self.hurried = self.given_back = self._at_ns = 0

    async def admit(self, account: str, ask: OrderAsk, *, more: int = 0) -> Admission:
        self.asked.append(ask.lane.name)
        if not self._limits:
            return replace(ADMITTED, more=more)
        self._at_ns = self._timers.now_ns()
        return self._budget.take(self._limits, ask, now_ns=self._at_ns, more=more)

    def unused(self, account: str, ask: OrderAsk, count: int) -> None:
        """The budget has room for them again."""
        self.given_back += count
        for _ in range(count):
            self._budget.stayed(self._limits, ask, at_ns=self._at_ns)

    def hurry(self, account: str) -> None:
        """It answers at once."""
        self.hurried += 1


class Desk:
    """Delivers at once. `unwanted` are positions whose requests would not leave, `broken` those that raise."""

    def __init__(self, *limits: OrderLimit) -> None:
        self.timers = SimulatedTimers(MORNING)
        self.roster, self.sent, self.refused = Roster("me"), list[str](), list[str]()
        self.unwanted = set[str]()
        self.hangs = False  # a broker that answers nothing
        self.pacing = Counting(self.timers, *limits)
        self.registry = CollectorRegistry()
        self.metrics, self.broken = SenderMetrics(self.registry), set[str]()
        self.sender = self.made()

    def made(self) -> Sender:
        return Sender(
            "kite:mine", self, roster=self.roster, pacing=self.pacing, timers=self.timers, metrics=self.metrics
        )

    async def deliver(self, pos_id: str, request: Request) -> None:
        self.sent.append(pos_id)
        if self.hangs:
            await asyncio.Event().wait()

    async def refuse(self, pos_id: str, request: Request, reason: str) -> None:
        self.refused.append(f"{pos_id}: {reason}")

    def leaves(self, pos_id: str, request: Request) -> bool:
        if pos_id in self.broken:
            raise ZeroDivisionError("a defect")
        return pos_id not in self.unwanted

    def entry(self, pos_id: str) -> None:
        made = self.foreseen(pos_id, tells=False)
        self.store(made)

    def foreseen(self, pos_id: str, *, tells: bool = True) -> Trade:
        """Decided on and not stored; `tells` the sender that it comes."""
        made = open_trade(approved(Side.LONG), TradeStep(), contract=contract("FUTURE"), owner="me")
        made.pos_id = pos_id
        if tells:
            self.sender.foresee(made, [Place(made.entry_order().order_id)])
        return made

    def store(self, made: Trade) -> None:
        self.roster.remember(made)
        self.sender.put(made.pos_id, [Place(made.entry_order().order_id)])

    def exit(self, pos_id: str) -> None:
        made = open_trade(approved(Side.LONG), TradeStep(), contract=contract("FUTURE"), owner="me")
        made.pos_id, made.exit_reason = pos_id, "target"
        self.roster.remember(made)
        self.sender.put(pos_id, [Cancel(made.entry_order().order_id, MORNING)])


def limit(seconds: int, kept: int, reserve: int) -> OrderLimit:
    return OrderLimit("kite", "account", seconds, kept, kept, reserve, "a test", "2026-11-29")
