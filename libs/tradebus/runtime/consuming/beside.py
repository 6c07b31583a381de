"""Stores beside the work: one at a time, each taking what has come together since the one before began."""

import asyncio
from collections.abc import Awaitable, Callable


class StoresBeside:
    """`store` stores everything there is up to what `mark` says when it begins."""

    def __init__(self, store: Callable[[], Awaitable[None]], mark: Callable[[], int]) -> None:
        self._store, self._mark = store, mark
        self._task: asyncio.Task[None] | None = None
        self._wanted = 0  # up to this mark

    @property
    def is_under_way(self) -> bool:
        return self._task is not None and not self._task.done()

    async def begin(self, *, wait: bool) -> None:
        """Everything there is now is to be stored: at once, or after what is under way. `wait`: not before that has
        finished, since it has become too much while a server is away."""
        if wait:
            await self.finished()
        self._wanted = self._mark()
        if not self.is_under_way:
            self._task = asyncio.create_task(self._run(after=self._task))

    async def finished(self) -> None:
        """Returns once nothing is under way; raises what went wrong."""
        if self._task is not None:
            task, self._task = self._task, None
            await task

    def abandon(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, after: "asyncio.Task[None] | None") -> None:
        if after is not None:
            await after  # nobody has heard yet what it raised
        stored = -1
        while stored < self._wanted:
            stored = self._wanted
            await self._store()
