"""What a session may name: the registered instruments, the strategies and the logins this machine can find."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from pydantic import ValidationError

from services.gateway.adapters.logins import Logins
from services.gateway.domain.problems import child
from services.gateway.domain.start import Catalogue
from tradebus.contracts.sessions import FieldError, StrategySpec
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.store.instruments import load_instruments
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.gateway.sql", "sessions")


def strategy_errors(spec: StrategySpec) -> Collection[FieldError]:
    """Every bad field of one strategy, relative to it; [] where it can be started."""
    # Strategies bring the compiled indicators with them; the gateway stands up without waiting for those.
    from tradebus.runtime.isolation.inspection import inspect_file
    from tradebus.runtime.isolation.limits import IsolationLimits
    from tradebus.runtime.isolation.process import ParametersRefused
    from tradebus.strategies.registry import find_strategy

    if spec.path is not None:  # a user's code never runs in this process
        try:
            inspect_file(spec, IsolationLimits())
        except ParametersRefused as refused:
            return [_parameter_error(spec.name, *problem) for problem in refused.problems]
        except InvalidInput as error:
            return [FieldError(field="path", problem=str(error))]
        return []

    try:
        strategy = find_strategy(spec)
    except InvalidInput as error:
        return [FieldError(field="name", problem=str(error))]
    try:
        strategy.PARAMETERS.model_validate(spec.parameters)
    except ValidationError as error:
        known = list(strategy.PARAMETERS.model_fields)
        return [
            _parameter_error(
                strategy.NAME, ".".join(str(part) for part in item["loc"]), item["type"], str(item["msg"]),
                ",".join(known),
            )
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]  # fmt: skip
    return []


def _parameter_error(strategy: str, place: str, problem_type: str, text: str, known: str) -> FieldError:
    names = known.split(",")
    return FieldError(
        field=child("parameters", place) if place else "parameters",
        problem=(
            f"{strategy} has no such parameter{nearest(place.split('.')[0], names)}; known are {', '.join(names)}"
            if problem_type == "extra_forbidden"
            else text.removeprefix("Value error, ")
        ),
    )


def catalogue_from(store: Store, logins: Logins) -> Callable[[], Awaitable[Catalogue]]:
    """Loads it afresh for every START: instruments are registered while the gateway runs, and starts are rare."""

    async def load() -> Catalogue:
        async with store.pool.acquire() as connection:
            instruments = await load_instruments(connection)
            row = await connection.fetchrow(_SQL["feed_in_force"])
        feed, day = (row["feed"], row["day"]) if row is not None else (None, None)
        return Catalogue(
            instruments=instruments, check_strategy=strategy_errors, reach=await asyncio.to_thread(logins.reach, feed),
            market_day=day,
        )  # fmt: skip

    return load
