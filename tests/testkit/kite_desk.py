"""A desk at the sandbox's Kite face: prices to trade at, both hands, and what they agree on."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from services.sandbox.ports import BrokerName, SandboxInstrument
from testkit.broker_hands import Facts, Hand, Loop
from testkit.kite_hands import AdapterHand, Ask, SdkHand
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.ids import derive_tag
from tradebus.kernel.money import round_to_tick
from tradebus.trading.orders import BrokerStatus, Outcome, Product, Result

ACCOUNT = "AB1234"
BUY, SELL = Transaction.BUY, Transaction.SELL
SHARE, FUTURE, OPTION = "NSE:INFY", "NFO:NIFTY:FUT", "NFO:NIFTY:CE"
HANDS = ("sdk", "adapter")


class KiteDesk:
    """`box` is a running sandbox. Everything here is called from the test's thread."""

    def __init__(self, box: Any) -> None:
        self.box, self.url = box, box.kite_url
        self.loop = Loop()
        self._listings: dict[tuple[str, str], ListedInstrument] = {}
        self._tags = self._accounts = 0
        self._moved: dict[str, float] = {}
        self.token = box.token("kite", ACCOUNT)
        self.sdk = SdkHand(self.url, self.token)
        self.adapter = AdapterHand(self.url, self.token, account=ACCOUNT, run=self.loop)

    def close(self) -> None:
        self.adapter.client.close()
        self.loop.close()

    def fresh(self) -> None:
        """An account of its own, no faults, and new quotes: what earlier tests took from the book is there again."""
        self.box.on_loop(self.box.faults.clear)
        self.adapter.orders = self.adapter.new_orders()
        for what in (SHARE, FUTURE):  # a shock, be it of 0, quotes all that hangs on the underlying anew
            self.box.shock(self.instrument(what).index, 1 / self._moved.get(what, 1.0) - 1)
        self._moved.clear()
        self._accounts += 1
        self.log_in(f"{ACCOUNT}{self._accounts}")
        self.advance(2.0)

    def advance(self, seconds: float) -> None:
        self.box.advance(seconds)

    def shock(self, what: str, share: float) -> None:
        """Moves the price of the instrument's underlying by `share` at once; `fresh` moves it back."""
        self.box.shock(self.instrument(what).index, share)
        self._moved[what] = self._moved.get(what, 1.0) * (1 + share)

    def hand(self, name: str) -> Hand:
        return {"sdk": self.sdk, "adapter": self.adapter}[name]

    def tag(self) -> str:
        self._tags += 1
        return derive_tag("kite desk", id(self), self._tags)

    # instruments and prices

    def instrument(self, what: str) -> SandboxInstrument:
        """`NSE:INFY`, or the front future or the call at the money of an index: `NFO:NIFTY:FUT`, `NFO:NIFTY:CE`."""
        exchange, name, *kind = what.split(":")
        listed = self.box.exchange.instruments
        if not kind:
            found = self.box.exchange.find(exchange=exchange, symbol=name)
            assert found is not None, what
            return found
        of_name = [one for one in listed if one.key.name == name and one.key.segment.value == exchange]
        if kind == ["FUT"]:
            return min((one for one in of_name if not one.key.is_option), key=lambda one: str(one.key.expiry))
        spot = int(self.box.exchange.quotes["price_paise"][next(one.index for one in listed if one.key.name == name)])
        calls = [one for one in of_name if str(one.key.right) == kind[0]]
        first = min(str(one.key.expiry) for one in calls)
        return min(
            (one for one in calls if str(one.key.expiry) == first),
            key=lambda one: abs((one.key.strike_paise or 0) - spot),
        )

    def listing(self, what: str) -> ListedInstrument:
        """As our adapter reads it from the dump."""
        if not self._listings:
            for listed in self.loop(self.adapter.reference.instruments()):
                self._listings[(listed.broker_segment, listed.symbol)] = listed
                self.adapter.know(listed)
        return self._listings[(what.partition(":")[0], self.instrument(what).symbol)]

    def quote(self, what: str) -> np.void:
        """The market's record of it as it is now (a copy)."""
        index = self.instrument(what).index
        record: np.void = self.box.on_loop(lambda: self.box.exchange.quotes[index].copy())
        return record

    def price(self, what: str, side: Transaction, percent: float) -> int:
        """A limit `percent` worse than the best price against it: above 0 it trades, below 0 it rests. On the tick."""
        quote, tick = self.quote(what), self.instrument(what).tick_size_paise
        best = int(quote["ask_paise"][0] if side is BUY else quote["bid_paise"][0])
        away = best * percent / 100 * (1 if side is BUY else -1)
        return round_to_tick(int(best + away), tick)

    def trigger(self, what: str, side: Transaction, percent: float) -> int:
        """A stop's trigger `percent` beyond the last price."""
        quote, tick = self.quote(what), self.instrument(what).tick_size_paise
        last = int(quote["price_paise"])
        return round_to_tick(int(last * (1 + percent / 100 * (1 if side is BUY else -1))), tick)

    def ask(
        self, what: str, order_type: OrderType, *, side: Transaction = BUY, product: Product = Product.INTRADAY,
        lots: int = 1, price: float | None = None, trigger: float | None = None, **more: Any,
    ) -> Ask:  # fmt: skip
        """`price` and `trigger` are percents as in the methods of these names."""
        return Ask(
            self.listing(what), side, order_type, lots * self.instrument(what).lot_size, product,
            price_paise=None if price is None else self.price(what, side, price),
            trigger_paise=None if trigger is None else self.trigger(what, side, trigger),
            tag=self.tag(), **more,
        )  # fmt: skip

    # what both say

    def agreed(self, order_id: str | None) -> Facts:
        """The order by its id, as the SDK's user and our adapter's see it; they must say the same."""
        assert order_id is not None
        if not self._listings:  # whichever test comes first on this worker
            self.listing(SHARE)
        sdk, ours = self.sdk.facts(order_id), self.adapter.facts(order_id)
        assert sdk is not None
        assert ours is not None
        assert ours == sdk
        return ours

    def agreed_by_tag(self, tag: str) -> Facts | None:
        """The same by tag."""
        sdk, ours = self.sdk.find(tag), self.adapter.find(tag)
        assert ours == sdk
        return ours

    def placed(self, by: str, ask: Ask) -> Facts:
        """Places through one hand; what both say of it then."""
        outcome = self.hand(by).place(ask)
        assert outcome.result is Result.ACCEPTED, outcome.reason
        facts = self.agreed(outcome.broker_order_id)
        assert (facts.tag, facts.transaction, facts.instrument) == (ask.tag, ask.transaction, int(ask.instrument.token))
        return facts

    def refused_by_both(self, ask: Callable[[], Ask]) -> Iterator[Outcome]:
        """Each hand's refusal of an order of its own; nothing of it may be in the book."""
        for name in HANDS:
            order = ask()
            outcome = self.hand(name).place(order)
            assert outcome.result is Result.REFUSED, (name, outcome)
            assert self.agreed_by_tag(order.tag) is None
            yield outcome

    def until(self, order_id: str, status: BrokerStatus, *, steps: int = 60, seconds: float = 1.0) -> Facts:
        """Moves the market until the order has the status."""
        for _ in range(steps):
            facts = self.agreed(order_id)
            if facts.status is status:
                return facts
            self.advance(seconds)
        raise AssertionError(f"{order_id} is {facts.status}, not {status}")

    def log_in(self, account: str) -> None:
        """Both hands go on with this account."""
        self.token = self.new_token(account)
        self.sdk.kite.set_access_token(self.token)
        self.adapter.client.use_token(self.token)

    def new_token(self, account: str) -> str:
        """A login of another account."""
        return str(self.box.token(BrokerName.KITE.value, account))
