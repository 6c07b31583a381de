"""Accounts that trade, for load: each keeps a few resting orders, moves them, cancels them, and sometimes crosses."""

import asyncio

import numpy as np

from services.sandbox.exchange import SandboxExchange
from services.sandbox.ports import (
    BrokerName,
    ChangedOrder,
    NewOrder,
    Refusal,
    SandboxOrder,
    SandboxStatus,
)
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.rng import seed_for
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.trading.orders import Product

_ORDERS_EACH, _INSTRUMENTS_EACH = 5, 4
_SLICE_SECONDS = 0.02
_OPEN = (SandboxStatus.OPEN, SandboxStatus.TRIGGER_PENDING)


class Crowd:
    """`requests` and `trades` count what was done. Deterministic by seed but for the wall clock's pace."""

    def __init__(self, exchange: SandboxExchange, *, accounts: int, seed: int) -> None:
        self._exchange = exchange
        self._names = [f"CROWD{number:05d}" for number in range(accounts)]
        self.accounts = accounts
        self._open: list[list[str]] = [[] for _ in self._names]
        self._generator = np.random.default_rng(seed_for(seed, "crowd"))
        tradable = [one for one in exchange.instruments if one.key.segment is not Segment.INDEX]
        chosen = self._generator.integers(len(tradable), size=(accounts, _INSTRUMENTS_EACH))
        self._mine = [[tradable[number] for number in row] for row in chosen]
        self.requests = self.trades = 0
        for name in self._names:
            exchange.login(BrokerName.KITE, name)

    def resting(self) -> int:
        """How many orders stand in books."""
        return sum(len(account.open_orders) for account in self._exchange.floor.accounts.values())

    async def run(self, stop: asyncio.Event, *, orders_per_second: float) -> None:
        """Asks at this rate until `stop`."""
        began, done = monotonic_ns(), 0
        while not stop.is_set():
            due = int((monotonic_ns() - began) / NANOSECONDS_PER_SECOND * orders_per_second)
            for _ in range(min(due - done, 200)):
                self.act()
            done = due
            await asyncio.sleep(_SLICE_SECONDS)

    def act(self) -> None:
        """One request of one account."""
        who = int(self._generator.integers(len(self._names)))
        mine = self._open[who]
        self.requests += 1
        try:
            if len(mine) < _ORDERS_EACH:
                order = self._exchange.place(self._names[who], self._new_order(who))
                if order.status in _OPEN:
                    mine.append(order.order_id)
            elif self._generator.random() < 0.5:
                order = self._exchange.cancel(self._names[who], mine.pop(0))
            else:
                order = self._move(self._names[who], mine[0])
            self.trades += len(order.trades)
        except Refusal:
            if mine:
                self._give_up(self._names[who], mine.pop(0))

    def _give_up(self, account: str, order_id: str) -> None:
        """What cannot be changed any more is cancelled, unless it has ended by itself."""
        try:
            self._exchange.cancel(account, order_id)
        except Refusal:
            return

    def _new_order(self, who: int) -> NewOrder:
        draw = self._generator
        one = self._mine[who][int(draw.integers(_INSTRUMENTS_EACH))]
        quote = self._exchange.quotes[one.index]
        buys = bool(draw.random() < 0.5)
        lots = int(draw.integers(1, 4))
        lower, upper = self._exchange.price_band_paise(one.index)
        kind = draw.random()
        if kind < 0.1:
            return self._order(one.index, buys, OrderType.MARKET, lots * one.lot_size)
        away = int(draw.integers(1, 40)) * one.tick_size_paise
        price = int(quote["price_paise"]) + (-away if buys else away)
        price = min(max(price, lower), upper)
        return self._order(one.index, buys, OrderType.LIMIT, lots * one.lot_size, price)

    def _order(self, instrument: int, buys: bool, order_type: OrderType, quantity: int, price: int = 0) -> NewOrder:
        return NewOrder(
            instrument=instrument, transaction=Transaction.BUY if buys else Transaction.SELL, order_type=order_type,
            product=Product.INTRADAY, quantity=quantity, price_paise=price, market_protection_pct=-1,
        )  # fmt: skip

    def _move(self, account: str, order_id: str) -> SandboxOrder:
        order = self._exchange.order(account, order_id)
        one = self._exchange.instruments[order.request.instrument]
        lower, upper = self._exchange.price_band_paise(one.index)
        step = int(self._generator.integers(-10, 11)) * one.tick_size_paise
        price = min(max(order.request.price_paise + step, lower), upper)
        return self._exchange.modify(account, order_id, ChangedOrder(price_paise=price))
