"""The order in which committed rows leave, whatever order the answers to COMMIT arrive in."""

import asyncio
from collections.abc import Callable, Iterator

from hypothesis import given
from hypothesis import strategies as st

from tradebus.bus.port import Outgoing
from tradebus.store.backlog import Backlog, OutboxRow


def row(outbox_id: int) -> OutboxRow:
    return OutboxRow(outbox_id, Outgoing("stream", "KIND", str(outbox_id).encode()))


class Chain:
    """Transactions that one lock serialises: the next inserts only after the one before has committed on the server.
    The answers to their COMMITs arrive whenever they do."""

    def __init__(self, backlog: Backlog, ids: Iterator[int]) -> None:
        self._backlog = backlog
        self._ids = ids
        self.committed_ids: list[int] = []
        self._open: list[OutboxRow] = []
        self._unanswered: list[list[OutboxRow]] = []

    def insert(self, size: int) -> None:
        if not self._open:
            self._open = [row(next(self._ids)) for _ in range(size)]
            self._backlog.writing(self._open)

    def server_commits(self) -> None:
        if self._open:
            self.committed_ids += [item.outbox_id for item in self._open]
            self._unanswered.append(self._open)
            self._open = []

    def answer(self, place: int) -> None:
        if self._unanswered:
            self._backlog.committed(self._unanswered.pop(place % len(self._unanswered)))

    def rolls_back(self) -> None:
        if self._open:
            self._backlog.abandoned(self._open)
            self._open = []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "commit", "answer", "roll back", "flush", "failed flush"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=80,
)


async def play(steps: list[tuple[str, int, int]]) -> None:
    backlog, ids, published = Backlog(), iter(range(1, 10_000)), []
    chains = [Chain(backlog, ids) for _ in range(3)]
    flushes: list[asyncio.Task[None]] = []
    flushing = asyncio.Lock()

    async def flush(*, fails: bool) -> None:
        async with flushing:
            await backlog.settle()
            rows = backlog.take()
            if fails:
                backlog.put_back(rows)
            else:
                published.extend(item.outbox_id for item in rows)
                backlog.published(rows)

    for what, which, number in steps:
        chain = chains[which]
        actions: dict[str, Callable[[], None]] = {
            "insert": lambda chain=chain, number=number: chain.insert(number + 1),  # type: ignore[misc]
            "commit": chain.server_commits,
            "answer": lambda chain=chain, number=number: chain.answer(number),  # type: ignore[misc]
            "roll back": chain.rolls_back,
        }
        if what in actions:
            actions[what]()
        else:
            flushes.append(asyncio.create_task(flush(fails=what == "failed flush")))
        await asyncio.sleep(0)
    for chain in chains:
        chain.rolls_back()
        for _ in range(len(steps)):
            chain.answer(0)
    await asyncio.gather(*flushes)
    await flush(fails=False)

    committed = [outbox_id for chain in chains for outbox_id in chain.committed_ids]
    assert sorted(published) == sorted(committed), "each committed row once, no other"
    for chain in chains:
        assert [outbox_id for outbox_id in published if outbox_id in chain.committed_ids] == chain.committed_ids
    assert all(backlog.knows(outbox_id) for outbox_id in published)
    assert sorted(backlog.take_published()) == sorted(published)
    backlog.deleted(published)
    assert not any(backlog.knows(outbox_id) for outbox_id in range(1, 10_000))


@given(STEPS)
def test_rows_leave_once_and_in_the_order_their_transactions_ran(steps: list[tuple[str, int, int]]) -> None:
    asyncio.run(play(steps))


async def test_a_row_waits_for_an_earlier_transaction_whose_answer_is_late() -> None:
    backlog = Backlog()
    backlog.writing([row(1)])
    backlog.writing([row(2)])
    backlog.committed([row(2)])
    settled = asyncio.create_task(backlog.settle())
    await asyncio.sleep(0)
    assert not settled.done()
    backlog.committed([row(1)])
    await settled
    assert [item.outbox_id for item in backlog.take()] == [1, 2]


async def test_a_transaction_with_later_rows_holds_nothing_up() -> None:
    backlog = Backlog()
    backlog.writing([row(1)])
    backlog.committed([row(1)])
    backlog.writing([row(2)])
    async with asyncio.timeout(10):
        await backlog.settle()
    assert [item.outbox_id for item in backlog.take()] == [1]


async def test_an_unheard_commit_makes_a_sweep_due_and_its_rows_unknown() -> None:
    backlog = Backlog()
    backlog.writing([row(1)])
    assert backlog.knows(1)
    backlog.abandoned([row(1)])
    assert backlog.is_doubtful
    assert not backlog.knows(1)
