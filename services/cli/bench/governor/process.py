"""One process of `bench governor`: a sender and a governor per account, as execution has them, in front of Kite's
adapter. Told on its standard input what to do; says "ready", waits for a line, and says what came of it, as JSON.

All its entries are put into the queues at the start; exits come one by one while they wait.
"""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from services.execution.accounts.governor import Governor
from services.execution.accounts.pacing import SenderMetrics
from services.execution.accounts.sender import Sender
from tradebus.brokers.audit.log import UNRECORDED
from tradebus.brokers.credentials import Credential
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.registry import Known, open_broker
from tradebus.calendar import Contract
from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.contracts.signals import Side
from tradebus.execution.decisions import order_request
from tradebus.execution.governor.limits import limits_of
from tradebus.execution.opening import new_order, open_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import Place, Request, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.ids import derive_id
from tradebus.kernel.rng import uniform
from tradebus.store.books import order_budget_book
from tradebus.store.store import Store
from tradebus.trading.facts import EntryApproved
from tradebus.waiting.timers import sleep, wall_timers

KEY = "NSE:RELIANCE"


@dataclass
class Desk:
    """One account of this process: the hands of its sender, and what they noted."""

    gateway: OrderGateway
    roster: Roster
    listed: ListedInstrument
    account: str
    price_paise: int

    def __post_init__(self) -> None:
        self.timers = wall_timers()
        self.outcomes: Counter[str] = Counter()
        self.put_ns: dict[str, int] = {}
        self.exit_waits_ns: list[int] = []
        self.left = asyncio.Event()

    async def deliver(self, pos_id: str, request: Request) -> None:
        trade = self.roster.alive[pos_id]
        order = trade.order(request.order_id)
        if order.role is OrderRole.EXIT:
            self.exit_waits_ns.append(self.timers.monotonic_ns() - self.put_ns[pos_id])
        outcome = await self.gateway.place(order_request(trade, order))
        self._note(pos_id, f"{outcome.result}" + (f" {outcome.reason}" if outcome.reason else ""))

    async def refuse(self, pos_id: str, request: Request, reason: str) -> None:
        self._note(pos_id, f"NOT_SENT {reason}")

    def leaves(self, pos_id: str, request: Request) -> bool:
        return True

    def entry(self, sender: Sender, number: int) -> None:
        """Bought at once."""
        trade = self._trade(f"in {number}")
        self._put(sender, trade, trade.entry_order().order_id)

    def exit(self, sender: Sender, number: int) -> None:
        """Sold at once; that nothing was held is nothing to what is measured."""
        trade = self._trade(f"out {number}")
        trade.exit_reason = "target"
        order = new_order(
            trade, TradeStep(), role=OrderRole.EXIT, transaction=trade.exit_transaction, order_type=OrderType.MARKET,
            quantity=1, at_ns=trade.created_ns,
        )  # fmt: skip
        self._put(sender, trade, order.order_id)

    def _note(self, pos_id: str, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self.roster.forget(pos_id)
        if not self.roster.alive:
            self.left.set()

    def _put(self, sender: Sender, trade: Trade, order_id: str) -> None:
        self.left.clear()
        self.roster.remember(trade)
        self.put_ns[trade.pos_id] = self.timers.monotonic_ns()
        sender.put(trade.pos_id, [Place(order_id)])

    def _trade(self, name: str) -> Trade:
        at_ns, price, tick = self.timers.now_ns(), self.price_paise, self.listed.tick_size_paise
        contract = Contract(self.listed.symbol, "EQUITY", "equity", self.listed.symbol, 1, tick)
        pos_id = derive_id(at_ns, "bench", self.roster.owner, self.account, name)
        approval = EntryApproved(
            event_id=pos_id, ts_event_ns=at_ns, trace_id="bench", session_id=self.account, user_id="bench",
            pos_id=pos_id, signal_id=pos_id, strategy="bench", symbol=self.listed.symbol, instrument=0, side=Side.LONG,
            rule="all_passed", intent_id=pos_id, quantity=1, lot_size=1, tick_size_paise=tick, price_paise=price,
            stop_paise=price * 9 // 10, target_paise=price * 11 // 10, valid_until_ns=at_ns, max_slippage_pct=0.5,
            order_timeout_seconds=300,
        )  # fmt: skip
        return open_trade(approval, TradeStep(), contract=contract, owner=self.roster.owner)


async def _main(told: dict[str, Any]) -> dict[str, Any]:
    timers, name = wall_timers(), f"bench-{told['number']}"
    store = await Store.connect(
        told["database_url"], namespace=told["namespace"], producer=name, timers=timers, pool_size=1
    )
    metrics, budgets = SenderMetrics(CollectorRegistry()), order_budget_book(store, clock=timers)
    governor = Governor(
        budgets, lambda account: limits_of(account.partition(":")[0]), name=name, timers=timers, metrics=metrics,
    )  # fmt: skip
    listed: ListedInstrument | None = None
    desks: list[tuple[Desk, Sender]] = []
    for account, token in told["tokens"].items():
        broker = open_broker(
            "kite", Credential("kite", client_id=account, access_token=token), url=told["url"], timers=timers,
            log=UNRECORDED,
        )  # fmt: skip
        if listed is None:
            listed = next(one for one in await broker.reference.instruments() if str(one.key) == KEY)
        known = _known(listed)
        desk = Desk(broker.orders(known), Roster(name), listed, account, told["price_paise"])
        sender = Sender(
            f"kite:{account}", desk, roster=desk.roster, pacing=governor, timers=timers, metrics=metrics
        )  # fmt: skip
        desks.append((desk, sender))
    await budgets.read("none")  # its connection is there, as that of a process which trades
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    tasks = [asyncio.create_task(sender.run()) for _, sender in desks]
    await asyncio.gather(*(_trade(desk, sender, told) for desk, sender in desks))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()
    return {
        "exit_waits_ns": [wait for desk, _ in desks for wait in desk.exit_waits_ns],
        "outcomes": sum((desk.outcomes for desk, _ in desks), Counter[str]()),
    }


async def _trade(desk: Desk, sender: Sender, told: dict[str, Any]) -> None:
    for number in range(told["entries"]):
        desk.entry(sender, number)
    moments = sorted(told["seconds"] * uniform(told["number"], desk.account, number) for number in range(told["exits"]))
    passed = 0.0
    for number, at_seconds in enumerate(moments):
        await sleep(desk.timers, at_seconds - passed)
        passed = at_seconds
        desk.exit(sender, number)
    await desk.left.wait()


def _known(listed: ListedInstrument) -> Known:
    return Known(
        listing_of=lambda _: listed, instrument_of=lambda segment, token: 0, listings=lambda: [(0, listed)]
    )  # fmt: skip


def main() -> None:
    told = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run(_main(told))), flush=True)


if __name__ == "__main__":
    main()
