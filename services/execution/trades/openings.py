"""Approved entries at brokers that come together: each is opened in a task of its own, and the book stores together
what comes together (`StatementTogether`).

    approvals ─► begin, begin, begin … ─► book ─► senders          `finish`: all of them are stored

Entries on paper are opened one by one, in the market's order.
"""

import asyncio
from dataclasses import dataclass

from services.execution.trades.commits import EntryApproval
from services.execution.trades.keeper import Keeper


@dataclass(slots=True)
class _Opening:
    approval: EntryApproval
    refusal: str | None
    at_ns: int
    task: "asyncio.Task[None] | None" = None  # None: to be begun again
    has_failed: bool = False


class Openings:
    """Those that are under way, by intent."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._under_way: dict[str, _Opening] = {}
        self._in_doubt = False

    def begin(self, approval: EntryApproval, *, refusal: str | None, at_ns: int) -> int:
        """See `Keeper.open`; how many are under way. What it raises is `finish`'s to raise."""
        opening = self._under_way.setdefault(approval.intent_id, _Opening(approval, refusal, at_ns))
        self._run(opening)
        return len(self._under_way)

    async def finish(self) -> None:
        """Returns once all are stored. Raises what the first of them has failed of: those that failed are begun again
        by the next call."""
        tasks = {name: self._run(opening) for name, opening in self._under_way.items()}
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        failed: BaseException | None = None
        for name, task in tasks.items():
            error = task.exception() if not task.cancelled() else asyncio.CancelledError()
            opening = self._under_way[name]
            if error is None:
                self._in_doubt |= opening.has_failed
                del self._under_way[name]
                continue
            failed = failed or error
            opening.task, opening.has_failed = None, True
        if failed is not None:
            raise failed

    def take_doubt(self) -> bool:
        """Whether some were begun again since this was asked last: the book may have had them the first time, and then
        nobody has sent them."""
        doubt, self._in_doubt = self._in_doubt, False
        return doubt

    async def drop(self) -> None:
        """What is under way ends; what has failed comes again."""
        tasks = [opening.task for opening in self._under_way.values() if opening.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        self._under_way.clear()

    def _run(self, opening: _Opening) -> "asyncio.Task[None]":
        if opening.task is None:
            opening.task = asyncio.create_task(
                self._keeper.open(opening.approval, refusal=opening.refusal, at_ns=opening.at_ns)
            )
        return opening.task
