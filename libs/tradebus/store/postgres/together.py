"""One statement that many callers run at once, each as if it were alone: those that come while one is under way go
together in the next, in one transaction and one durable commit.

    caller ─┐
    caller ─┼─► waiting ─► [ … ] one round trip ─► each its own row, or its own failure
    caller ─┘

Invariant (tested): what one caller's arguments spoil fails nobody else's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import asyncpg

_TOGETHER_MAX = 32
# The arguments' fault, and so one caller's.
_SPOILT = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError, TypeError)
T = TypeVar("T")


def _answer() -> "asyncio.Future[asyncpg.Record | None]":
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    key: str
    asked: T
    answer: "asyncio.Future[asyncpg.Record | None]" = field(default_factory=_answer)


class StatementTogether(Generic[T]):
    """`send` runs the statement for each of what several callers ask, in one transaction; it returns at most one row of
    each, which has what `run` was given as `key` in its column `key_column`."""

    def __init__(self, send: Callable[[Sequence[T]], Awaitable[list[asyncpg.Record]]], *, key_column: str) -> None:
        self._send_all, self._key_column = send, key_column
        self._waiting: list[_Call[T]] = []
        self._sending: asyncio.Task[None] | None = None  # held, or nobody would
        self._is_busy = False

    async def run(self, key: str, asked: T) -> asyncpg.Record | None:
        """The row, None where there is none. Raises what Postgres raises; then nothing was written, or that is not
        known."""
        if self._is_busy:
            call = _Call(key, asked)
            self._waiting.append(call)
            return await call.answer
        self._is_busy = True  # alone, nothing stands between it and the server
        try:
            rows = await self._send_all([asked])
            return rows[0] if rows else None
        finally:
            if self._waiting:
                self._sending = asyncio.create_task(self._send())
            else:
                self._is_busy = False

    async def _send(self) -> None:
        calls: list[_Call[T]] = []
        try:
            while self._waiting:
                # In one order everywhere: two processes that lock the same rows wait for each other in no circle.
                calls = sorted(self._waiting[:_TOGETHER_MAX], key=lambda call: call.key)
                del self._waiting[:_TOGETHER_MAX]
                await self._together(calls)
        finally:
            for call in (*calls, *self._waiting):  # none is left unless this was cancelled
                call.answer.cancel()
            self._waiting.clear()
            self._is_busy = False

    async def _together(self, calls: Sequence[_Call[T]]) -> None:
        try:
            rows = await self._send_all([call.asked for call in calls])
        except Exception as error:  # noqa: BLE001 - it is raised to whoever called
            if len(calls) > 1 and isinstance(error, _SPOILT):
                for call in calls:
                    await self._together([call])
                return
            for call in calls:
                if not call.answer.done():
                    call.answer.set_exception(error)
            return
        found = {row[self._key_column]: row for row in rows}
        for call in calls:
            if not call.answer.done():
                call.answer.set_result(found.get(call.key))
