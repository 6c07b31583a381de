"""What waits to leave of one account, in the order in which it was put there, and what has left unanswered. Pure.

Entries that are to be placed stand apart: there may be hundreds, and while one of them may leave the others need not be
looked at, but for a sweep every so often that finds those that nobody wants any more. Whatever else waits is little,
and may be more urgent.
"""

from collections import Counter
from dataclasses import dataclass

from tradebus.contracts.orders import OrderRole
from tradebus.execution.step import Place, Request
from tradebus.execution.trade import Trade

_SWEEP_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """`since_ns` is monotonic."""

    number: int
    pos_id: str
    request: Request
    since_ns: int

    @property
    def order(self) -> tuple[str, str]:
        """Its position and order."""
        return self.pos_id, self.request.order_id


class WaitingRequests:
    """By number, the lower first. Read its mappings; only `put` and `drop` change them."""

    def __init__(self) -> None:
        self.entries: dict[int, WaitingRequest] = {}
        self.others: dict[int, WaitingRequest] = {}
        self._number = 0
        self._positions: Counter[str] = Counter()
        self._entered: set[tuple[str, str]] = set()  # orders whose placing waits among the entries
        self._swept_ns: int | None = None  # monotonic

    def __len__(self) -> int:
        return len(self.entries) + len(self.others)

    def put(self, pos_id: str, request: Request, *, trade: Trade | None, since_ns: int) -> bool:
        """Whether it went to the entries. `trade` is the position's, None for one that is not at hand."""
        self._number += 1
        one = WaitingRequest(self._number, pos_id, request, since_ns)
        self._positions[pos_id] += 1
        is_placing = isinstance(request, Place) and trade is not None and not self.is_behind(one)
        is_entry = is_placing and trade is not None and trade.order(request.order_id).role is OrderRole.ENTRY
        if is_entry:
            self.entries[one.number] = one
            self._entered.add(one.order)
        else:
            self.others[one.number] = one
            self._swept_ns = None  # a word that ends entries too may have brought it
        return is_entry

    def drop(self, one: WaitingRequest) -> None:
        """It has left, or never will."""
        self._positions[one.pos_id] -= 1
        if not self._positions[one.pos_id]:
            del self._positions[one.pos_id]
        if self.entries.pop(one.number, None) is not None:
            self._entered.discard(one.order)
        else:
            del self.others[one.number]

    def is_behind(self, one: WaitingRequest) -> bool:
        """Whether the placing of its order waits among the entries: nothing of that order goes before."""
        return one.order in self._entered

    def holds(self, pos_id: str) -> bool:
        """Whether anything of the position waits."""
        return pos_id in self._positions

    def unswept_ns(self, now_ns: int) -> int:
        """How long it is until all entries are to be looked at: 0 where they are now, or none waits."""
        return 0 if self._swept_ns is None or not self.entries else max(0, self._swept_ns + _SWEEP_NS - now_ns)

    def swept(self, now_ns: int) -> None:
        """All entries were looked at."""
        self._swept_ns = now_ns

    def is_unswept_since(self, since_ns: int) -> bool:
        """Whether entries wait that were not all looked at from then on."""
        return bool(self.entries) and (self._swept_ns is None or self._swept_ns < since_ns)


class UnderWay:
    """What has left and is not answered. `entries` is how many of it are entries; what waited is added as it leaves."""

    def __init__(self) -> None:
        self.entries = 0
        self._by_number: dict[int, tuple[WaitingRequest, bool]] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    def add(self, one: WaitingRequest, *, is_entry: bool) -> None:
        """It leaves."""
        self._by_number[one.number] = one, is_entry
        self.entries += is_entry

    def drop(self, one: WaitingRequest) -> None:
        """It was answered, or never will be."""
        _, is_entry = self._by_number.pop(one.number)
        self.entries -= is_entry

    def holds(self, pos_id: str) -> bool:
        """Whether anything of the position is under way."""
        return any(one.pos_id == pos_id for one, _ in self._by_number.values())

    def orders(self) -> set[tuple[str, str]]:
        """Position and order of each."""
        return {one.order for one, _ in self._by_number.values()}
