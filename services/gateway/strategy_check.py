"""What is wrong with a strategy that a START names. Where the sender is not the user at the machine, neither its
name nor its path is repeated: who confuses fields has written a token there."""

from pydantic import ValidationError

from services.gateway.domain.problems import child
from tradebus.contracts.sessions import FieldError, StrategySpec
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.runtime.isolation.process import ParametersRefused


def strategy_errors(spec: StrategySpec, *, says_back: bool = False) -> list[FieldError]:
    """Every bad field of one strategy, relative to it; [] where it can be started. `says_back`: with name and path.
    Blocking: a user's own file is looked at in a process of its own, for seconds."""
    # Strategies bring the compiled indicators with them; who only stands up does not wait for those.
    from tradebus.runtime.isolation.inspection import inspect_file
    from tradebus.runtime.isolation.limits import IsolationLimits
    from tradebus.strategies.registry import find_strategy

    if spec.path is not None:
        try:
            inspect_file(spec, IsolationLimits())
        except InvalidInput as error:
            return file_errors(spec, error, says_back=says_back)
        return []
    try:
        strategy = find_strategy(spec)
    except InvalidInput as error:
        text = str(error) if says_back else str(error).replace(f"strategy {spec.name!r}", "the name", 1)
        return [FieldError(field="name", problem=text)]
    try:
        strategy.PARAMETERS.model_validate(spec.parameters)
    except ValidationError as error:
        known = list(strategy.PARAMETERS.model_fields)
        return [
            _parameter_error(
                strategy.NAME, ".".join(str(part) for part in item["loc"]), item["type"], str(item["msg"]), known
            )
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    return []


def file_errors(spec: StrategySpec, error: Exception, *, says_back: bool = False) -> list[FieldError]:
    """What the look at a user's own file said."""
    if isinstance(error, ParametersRefused):
        return [
            _parameter_error("the strategy", place, kind, text, known.split(","))
            for place, kind, text, known in error.problems
        ]
    text = str(error)
    if spec.path is not None and not says_back:
        text = text.replace(spec.path, "given").replace("file given: ", "file: ")
        text = text.replace(repr(spec.name), "the name")
    return [FieldError(field="path", problem=text)]


def _parameter_error(strategy: str, place: str, kind: str, text: str, known: list[str]) -> FieldError:
    return FieldError(
        field=child("parameters", place) if place else "parameters",
        problem=(
            f"{strategy} has no such parameter{nearest(place.split('.')[0], known)}; known are {', '.join(known)}"
            if kind == "extra_forbidden"
            else text.removeprefix("Value error, ")
        ),
    )
