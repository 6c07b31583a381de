"""What execution asks of its book. Two implementations, Postgres and memory, pass one test suite.

What takes a transaction (of the same book) is part of it; what takes none sees what is committed.

Invariants (tested on both): an intent is taken once, however often and wherever at once it comes; a position is opened
once, and never after an exit that came before its entry; a trade is only ever replaced by one that was made from what
the book holds.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from services.execution.books.approvals import ApprovalFields, UntakenApproval
from tradebus.contracts.base import Message
from tradebus.execution.reconciliation import HeldTrade, OwnOrder
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade

CONSUMER = "execution"
CLAIMS = "execution.position"  # the consumer of a position's claim: whoever has it decides whether it is opened


class Stale(Exception):
    """Another instance changed the trade since it was read: forget it and read again."""


class Ledger(Protocol):
    """Trades with their orders, histories and fills, the intents they came from, and who supervises them."""

    async def open_trade(
        self, trade: Trade, step: TradeStep, approval: Message, *, outcome: str, transaction: Any = None
    ) -> bool:
        """Takes an approval: stores the trade with its entry order and gives it its database id. False, and nothing
        stored, where the intent was taken before, or an exit has claimed the position. Without a transaction it is one
        by itself."""

    async def claim_unopened(self, transaction: Any, pos_id: str) -> bool:
        """Keeps a position from ever being opened. False where it is in the book. The caller holds its lock."""

    async def reopen_claim(self, transaction: Any, pos_id: str) -> bool:
        """Gives a claim back that an exit took before its entry, so that the entry can be recorded as refused. False
        where there is none, or the position is in the book."""

    async def update_trade(
        self, trade: Trade, step: TradeStep, *, messages: Sequence[Message] = (), transaction: Any = None
    ) -> None:
        """Stores a changed trade, its orders, history and fills, and emits what that says on `orders.v1`. Without a
        transaction it is one by itself. Raises Stale, with nothing stored or emitted."""

    async def insert_intent(self, transaction: Any, approval: ApprovalFields, *, outcome: str) -> None:
        """Records that an intent was taken, or is not, and what became of it. Harmless when repeated."""

    async def untaken(self) -> list[UntakenApproval]:
        """Approvals of sessions that are not over which have no intent, in order: the entry of a position before its
        exit."""

    async def load(self, pos_id: str) -> Trade | None:
        """The trade as it is committed, its entry order first. None where there is none."""

    async def alive(self, owner: str) -> dict[str, str]:
        """The owner's living positions, in order, each with its session."""

    async def sessions_alive(self) -> list[str]:
        """Sessions that hold living trades, of whatever instance."""

    async def growth_unanswered(self, entries: Sequence[Order], stop: Order) -> tuple[int, int] | None:
        """The time and quantity of the entries' fill by which the stop was to grow, where no answer is recorded."""

    async def position_of_tag(self, tag: str) -> str | None:
        """The position whose order bears the tag."""

    async def heartbeat(self, owner: str) -> None:
        """Says that the instance is alive."""

    async def adopt_orphans(self, owner: str, *, silent_seconds: float) -> list[str]:
        """Takes over the living trades of instances that have been silent too long; their positions."""

    async def save_extremes(self, trades: Sequence[Trade]) -> None:
        """Stores how far market data has been applied to trades that are as the book has them; leaves out the others.
        Not durable at once: it can be worked out again."""


class Departures(Protocol):
    """Which requests may have left: said in the book before one does, by nobody but its trade's owner."""

    async def leaves(self, trade: Trade, order: Order, *, at_ns: int) -> bool:
        """Says that the request of an order leaves now. False where the trade is another instance's: then it must not.
        Who takes a trade over, and finds this not said of an order, may send it: nobody else can any more."""

    async def has_left(self, order: Order) -> bool:
        """Whether its request may have left."""

    async def left_seconds_ago(self, order: Order) -> float | None:
        """How long ago its request was first said to leave, by the book's own clock: whoever said it, in whatever life.
        None where nobody has."""

    async def trail_unanswered(self, stop: Order) -> int | None:
        """When a move of a trailing stop was last decided on, where no answer to it is recorded."""


class OwnBook(Protocol):
    """What reconciliation reads of our own book."""

    async def orders(self, tags: Sequence[str], sessions: Sequence[str]) -> list[OwnOrder]:
        """Our orders among these tags, and those of these sessions that have not ended, by id."""

    async def tag_of(self, broker_order_id: str, sessions: Sequence[str]) -> str | None:
        """The tag of the newest of these sessions' orders of that number: brokers may number alike, and a broker
        again."""

    async def net(self, sessions: Sequence[str]) -> dict[int, int]:
        """Signed quantity held per instrument."""

    async def traded(self, broker: str, login: str, *, since_ns: int) -> dict[int, tuple[int, int]]:
        """By instrument, of trades since then in sessions of that login, over or not: what sells brought less what buys
        cost, in paise, and the signed units left."""

    async def held(self, sessions: Sequence[str]) -> list[HeldTrade]:
        """What trades of these sessions hold, whichever instance supervises them, by position."""

    async def ended(self, sessions: Sequence[str]) -> list[str]:
        """Those that are over."""

    async def finished(self, sessions: Sequence[str]) -> list[str]:
        """Those that are to stop and have no trade alive: the broker's book has the last word."""

    async def seen_clear(self, session: str) -> None:
        """The broker's book was read since, and has nothing alive of it. Repeating it is harmless."""
