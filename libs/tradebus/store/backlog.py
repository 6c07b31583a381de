"""What this process has committed to the outbox and not yet published.

Invariants (property-tested):
- Rows are taken in the order of their ids, each once, unless put back.
- No row is taken while a transaction that wrote an earlier row is still between its INSERT and the answer to its
  COMMIT: two transactions that a position's lock serialised are published in the order they ran, even when the answer
  to the first arrives after the answer to the second.
- A row is known from before its commit until its deletion, so a sweep never mistakes it for one that a crash left.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tradebus.bus.port import Outgoing


@dataclass(frozen=True, slots=True)
class OutboxRow:
    outbox_id: int
    outgoing: Outgoing


class Backlog:
    """Belongs to one event loop; does no I/O."""

    def __init__(self) -> None:
        self._writing: dict[int, asyncio.Future[None]] = {}  # first id of a transaction that is committing
        self._committed: list[OutboxRow] = []
        self._published: list[int] = []
        self._known: set[int] = set()
        self._tickets = 0  # negative: below every id
        # A commit whose outcome was never heard: its rows may be in the table, so a sweep is due before the next flush.
        self.is_doubtful = False

    def writing(self, rows: Sequence[OutboxRow]) -> None:
        """These rows are inserted; their COMMIT comes next. Every call here ends in `committed` or `abandoned`."""
        if not rows:
            return
        self._known.update(row.outbox_id for row in rows)
        self._writing[rows[0].outbox_id] = asyncio.get_running_loop().create_future()

    def committed(self, rows: Sequence[OutboxRow]) -> None:
        if not rows:
            return
        self._writing.pop(rows[0].outbox_id).set_result(None)
        self._committed.extend(rows)

    def abandoned(self, rows: Sequence[OutboxRow]) -> None:
        """The COMMIT failed, or nobody knows."""
        if not rows:
            return
        self._writing.pop(rows[0].outbox_id).set_result(None)
        self._known.difference_update(row.outbox_id for row in rows)
        self.is_doubtful = True

    @property
    def has_any(self) -> bool:
        """Whether rows wait to be published, or a commit may have left some."""
        return bool(self._committed) or self.is_doubtful

    def expect(self) -> int:
        """A statement that inserts and commits at once is under way: its ids come with the answer. Returns a ticket for
        `arrived` or `lost`. Nothing is published before the answer: its rows may be earlier than any other's."""
        self._tickets -= 1
        self._writing[self._tickets] = asyncio.get_running_loop().create_future()
        return self._tickets

    def arrived(self, ticket: int, rows: Sequence[OutboxRow]) -> None:
        """The statement committed and wrote these rows."""
        self._known.update(row.outbox_id for row in rows)
        self._committed.extend(rows)
        self._writing.pop(ticket).set_result(None)

    def lost(self, ticket: int) -> None:
        """The statement failed, or nobody knows."""
        self._writing.pop(ticket).set_result(None)
        self.is_doubtful = True

    async def answered(self) -> None:
        """Returns when no such statement is under way: until then its rows cannot be told from what a crash left."""
        while unanswered := [future for ticket, future in self._writing.items() if ticket < 0]:
            await asyncio.wait(unanswered)

    async def settle(self) -> None:
        """Returns when no transaction with an earlier row than those committed so far is still committing."""
        while earlier := self._earlier():
            await asyncio.wait(earlier)

    def take(self) -> list[OutboxRow]:
        """Everything committed, in order. Await `settle` right before."""
        rows = sorted(self._committed, key=lambda row: row.outbox_id)
        self._committed = []
        return rows

    def put_back(self, rows: Sequence[OutboxRow]) -> None:
        """They could not be published: the next `take` begins with them."""
        self._committed.extend(rows)

    def published(self, rows: Sequence[OutboxRow]) -> None:
        self._published.extend(row.outbox_id for row in rows)

    def take_published(self) -> list[int]:
        """Ids whose rows may be deleted; call `deleted` or `keep` with them."""
        ids, self._published = self._published, []
        return ids

    def keep(self, ids: Sequence[int]) -> None:
        """They could not be deleted."""
        self._published.extend(ids)

    def deleted(self, ids: Sequence[int]) -> None:
        self._known.difference_update(ids)

    def knows(self, outbox_id: int) -> bool:
        return outbox_id in self._known

    def _earlier(self) -> list[asyncio.Future[None]]:
        if not self._writing or not self._committed:
            return []
        last = max(row.outbox_id for row in self._committed)
        return [future for first, future in self._writing.items() if first < last]
