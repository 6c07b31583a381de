"""One account at the sandbox with both hands on it, and what the tests want to know of the market."""

from itertools import count

import numpy as np

from services.sandbox.ports import SandboxInstrument
from testkit.broker_hands import Facts, Hand, Loop
from testkit.sandbox import Box
from testkit.upstox_hands import AdapterHand, Ask, SdkHand, sdk_client
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Outcome, Product, Result

_tags = count(1)
BUY, SELL = Transaction.BUY, Transaction.SELL
MARKET, LIMIT, SL, SL_M = OrderType.MARKET, OrderType.LIMIT, OrderType.SL, OrderType.SL_M


class Desk:
    """`hands` are the SDK's and ours, in that order."""

    def __init__(
        self, box: Box, account: str, loop: Loop, *, token: str | None = None, request_seconds: float = 5.0
    ) -> None:
        self.box, self.account, self.loop = box, account, loop
        self.instruments = box.exchange.instruments
        self.token = token or box.token("upstox", account)
        self.sdk = SdkHand(sdk_client(box.upstox_url, self.token), self.instruments)
        self.ours = AdapterHand(
            box.upstox_url, self.token, account=account, instruments=self.instruments, run=loop,
            request_seconds=request_seconds,
        )  # fmt: skip
        self.hands: tuple[Hand, Hand] = (self.sdk, self.ours)

    def close(self) -> None:
        self.sdk.client.pool.close()
        self.ours.client.close()

    # the market

    def pass_time(self, seconds: float = 1.0) -> None:
        """Moves the market: a new second for the limits, new quotes."""
        self.box.advance(seconds)

    def fund(self, rupees: int = 1_000_000_000) -> None:
        """Sets the account's cash; by itself it has a crore."""
        self.box.on_loop(self.box.exchange.set_cash, self.account, rupees * 100)

    def stock(self, name: str = "INFY") -> SandboxInstrument:
        return next(item for item in self.instruments if str(item.key) == f"NSE:{name}")

    def index(self, name: str = "NIFTY") -> SandboxInstrument:
        return next(item for item in self.instruments if str(item.key) == f"INDEX:{name}")

    def future(self, name: str = "NIFTY") -> SandboxInstrument:
        """The front month."""
        found = [item for item in self.instruments if item.key.name == name and item.key.is_derivative]
        return min((item for item in found if not item.key.is_option), key=lambda item: item.key.expiry)

    def options(self, name: str = "NIFTY") -> list[SandboxInstrument]:
        """Of the nearest expiry, nearest to the money first."""
        spot = self.price(self.index(name))
        found = [item for item in self.instruments if item.key.name == name and item.key.is_option]
        nearest = min(item.key.expiry for item in found)
        return sorted(
            (item for item in found if item.key.expiry == nearest), key=lambda item: abs(item.key.strike_paise - spot)
        )  # fmt: skip

    def quote(self, item: SandboxInstrument) -> np.void:
        """A copy, of one moment."""
        return self.box.on_loop(lambda: self.box.exchange.quotes[item.index].copy())

    def price(self, item: SandboxInstrument) -> int:
        return int(self.quote(item)["price_paise"])

    def near(self, item: SandboxInstrument, share: float) -> int:
        """The last price and so much of it more, on the tick."""
        tick = item.tick_size_paise
        return round(self.price(item) * (1 + share)) // tick * tick

    def drive(self, item: SandboxInstrument, share: float) -> None:
        """Moves everything that hangs on the instrument's underlying by a share of its value."""
        self.box.shock(item.index, share)

    # orders

    def ask(
        self, item: SandboxInstrument, transaction: Transaction = BUY, order_type: OrderType = MARKET, *,
        lots: int = 1, product: Product = Product.INTRADAY, price: int | None = None, trigger: int | None = None,
        tag: str | None = None, protection: float | None = None,
    ) -> Ask:  # fmt: skip
        """An order of so many lots; what is not intraday is carried or delivered, as the instrument has it. Our
        adapter places nothing without a tag, so there always is one."""
        if product is not Product.INTRADAY:
            product = Product.CARRY if item.key.is_derivative else Product.DELIVERY
        tag = tag or f"desk{next(_tags):06d}"
        return Ask(item, transaction, order_type, lots * item.lot_size, product, price, trigger, tag, protection)

    def placed(self, hand: Hand, ask: Ask) -> Facts:
        """Places it; both hands agree on what came of it."""
        outcome = hand.place(ask)
        assert outcome.result is Result.ACCEPTED, outcome
        assert outcome.broker_order_id
        return self.agreed(outcome.broker_order_id)

    def agreed(self, order_id: str) -> Facts:
        """What both hands say of the order, which is the same."""
        theirs, ours = self.sdk.facts(order_id), self.ours.facts(order_id)
        assert theirs is not None
        assert ours == theirs
        return theirs

    def refused(self, ask: Ask) -> tuple[Outcome, Outcome]:
        """Both hands are refused, and nothing is in the book."""
        before = len(self.sdk.rows())
        outcomes = tuple(hand.place(ask) for hand in self.hands)
        for outcome in outcomes:
            assert outcome.result is Result.REFUSED, outcome
        assert len(self.sdk.rows()) == before
        return outcomes  # type: ignore[return-value]

    def rejected(self, hand: Hand, ask: Ask) -> Facts:
        """It is in the book, and was turned down there."""
        facts = self.placed(hand, ask)
        assert facts.status is BrokerStatus.REJECTED, facts
        assert facts.filled_quantity == 0
        assert facts.reason
        return facts
