"""When an account's order book is read every second: while an entry may fill and its order stream would not say so, and
while a position stands bare until the book is seen to have neither its stop nor its exit.

    entry is accepted ─► 90 s ─► stream down, or not a word of that order? ─► look, within what the broker lets out

A stream that is connected and says nothing may be one where nothing happens; who waits for a fill asks. (Kite says
nothing of a placement.)
"""

from collections import deque
from collections.abc import Callable

from services.execution.accounts.accounts import TradingAccount
from services.execution.trades.keeper import Keeper
from tradebus.contracts.orders import OrderRole
from tradebus.execution.leaving.unanswered import is_bare_meanwhile
from tradebus.kernel.timers import Timers

_FOR_NS = 90 * 1_000_000_000
_REMEMBERED = 1_000
_SPAN_NS = 1_800 * 1_000_000_000
# In half an hour. Upstox lets 2,000 reads out in that time; the look every five seconds takes 1,080 of them, and a
# quick one three more. Kite and Dhan count the second alone.
_MOST = {"upstox": 150}


class StreamWord:
    """What is known of an account's order stream."""

    def __init__(self) -> None:
        self.is_up = False
        self._told: dict[str, None] = {}  # the broker's numbers of orders, in the order of the last word

    def spoke(self, broker_order_id: str) -> None:
        """It said something of an order."""
        self._told.pop(broker_order_id, None)
        self._told[broker_order_id] = None
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]

    def follows(self, broker_order_id: str) -> bool:
        """Whether it is up and has said anything of that order: then it will say the rest."""
        return self.is_up and broker_order_id in self._told


class QuickLooks:
    """Of one account."""

    def __init__(
        self, account: TradingAccount, keeper: Keeper, stream: StreamWord, *, market_ns: Callable[[], int],
        timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._keeper, self._stream, self._timers = account, keeper, stream, timers
        self._market_ns = market_ns
        self._since: dict[str, int] = {}  # when an entry that may fill was seen first, by the broker's number
        self._taken: deque[int] = deque()

    def take(self) -> bool:
        """Whether the books are read now; asked once a second. One that is is counted."""
        if not self._account.sessions:
            return False
        now_ns = self._timers.monotonic_ns()
        may_fill = [
            order.broker_order_id
            for trade in self._keeper.roster.alive.values()
            if trade.session_id in self._account.sessions
            for order in trade.orders
            if order.role is OrderRole.ENTRY and not order.ended and order.broker_order_id is not None
        ]
        self._since = {number: self._since.get(number, now_ns) for number in may_fill}
        waited_for = (number for number, since_ns in self._since.items() if now_ns - since_ns < _FOR_NS)
        if all(self._stream.follows(number) for number in waited_for) and not self._is_any_bare():
            return False
        while self._taken and now_ns - self._taken[0] >= _SPAN_NS:
            self._taken.popleft()
        most = _MOST.get(self._account.broker.name)
        if most is not None and len(self._taken) >= most:
            return False
        self._taken.append(now_ns)
        return True

    def _is_any_bare(self) -> bool:
        trades = [one for one in self._keeper.roster.alive.values() if one.session_id in self._account.sessions]
        return any(is_bare_meanwhile(one, at_ns=self._market_ns()) for one in trades)
