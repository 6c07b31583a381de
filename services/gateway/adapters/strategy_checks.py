"""Asks about the strategies of a START, within bounds of time and number."""

import asyncio
from collections.abc import Sequence

from services.gateway.strategy_check import file_errors, strategy_errors
from tradebus.contracts.sessions import FieldError, StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.runtime.isolation.process import ProcessEnded, StrategyProcess

_PLACES = 2  # files that are looked at at the same time
_WAITING_MAX = 16  # users whose files are looked at, or wait for a place
Strategies = Sequence[tuple[str, StrategySpec]]  # with their places


class StrategyChecks:
    """Every bad field of a user's strategies, each with its place in the command.

    A user's own file is looked at in a process that lives for it; one user has one such file looked at at a time.
    """

    def __init__(self, *, seconds_max: float) -> None:
        self._limits = IsolationLimits(start_seconds=seconds_max)
        self._places = asyncio.Semaphore(_PLACES)
        self._users: set[str] = set()

    async def __call__(self, user_id: str, strategies: Strategies) -> list[FieldError]:
        if all(one.path is None for _, one in strategies):
            return await self._all(strategies)
        if user_id in self._users:
            return [_error("data.strategies", "a strategy file of this user is being looked at: wait for its answer")]
        if len(self._users) >= _WAITING_MAX:
            return [_error("data.strategies", "too many strategy files are being looked at: try again in a while")]
        self._users.add(user_id)
        try:
            async with self._places:
                return await self._all(strategies)
        finally:
            self._users.discard(user_id)

    async def _all(self, strategies: Strategies) -> list[FieldError]:
        found: list[FieldError] = []
        for place, strategy in strategies:
            if strategy.path is not None:
                errors = await self._in_a_process(strategy)
            else:
                errors = await asyncio.to_thread(strategy_errors, strategy)
            found += [_error(f"{place}.{one.field}", one.problem) for one in errors]
        return found

    async def _in_a_process(self, strategy: StrategySpec) -> list[FieldError]:
        try:
            process, _ = await StrategyProcess.start(strategy, self._limits)
        except InvalidInput as error:
            return file_errors(strategy, error)
        except ProcessEnded as error:
            return [_error("path", f"the process that loads the file {error}")]
        await process.end()
        return []


def _error(field: str, problem: str) -> FieldError:
    return FieldError(field=field, problem=problem)
