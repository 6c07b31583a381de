"""Finds a strategy: built in, installed by another package, or a user's own file.

    spec ─► path? ─► loader (the file's class)
        └─► name ─► built-in ─► entry point "tradebus.strategies" ─► InvalidInput with the nearest name

`validate_strategy` starts nothing: it only imports the strategy's own file. Every problem is one InvalidInput line.
"""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tradebus.contracts.sessions import StrategySpec
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.strategies.loader import check_class, load_file
from tradebus.strategies.on_demand import ClassesOnDemand
from tradebus.strategies.opinions import AnyCompiled
from tradebus.strategies.protocol import Strategy, StrategyParameters
from tradebus.strategies.raised import error_text

ENTRY_POINT_GROUP = "tradebus.strategies"
AnyStrategy = Strategy[Any]

BUILT_IN = ClassesOnDemand[AnyStrategy](
    {
        "orb": "tradebus.strategies.built_in.orb:Orb",
        "ema_20_50": "tradebus.strategies.built_in.ema_20_50:Ema2050",
        "ema_cross": "tradebus.strategies.built_in.ema_cross.strategy:EmaCross",
    }
)

# Those of them that are computed for all sessions at once, where many run them. Their decisions are the same.
COMPILED = ClassesOnDemand[AnyCompiled](
    {
        "orb": "tradebus.strategies.built_in.orb_lane:OrbLane",
        "ema_20_50": "tradebus.strategies.built_in.ema_20_50_lane:Ema2050Lane",
        "ema_cross": "tradebus.strategies.built_in.ema_cross.lane:EmaCrossLane",
    }
)


def strategy_names() -> list[str]:
    """Every name that needs no path: built in and installed."""
    return sorted({*BUILT_IN, *(point.name for point in _installed())})


def find_strategy(spec: StrategySpec) -> type[AnyStrategy]:
    """The class `spec` means. Raises InvalidInput where there is none, or its name is not the class's NAME."""
    if spec.path is not None:
        strategy = load_file(spec.path)
        check_file_name(spec, spec.path, strategy.NAME)
        return strategy
    if spec.name in BUILT_IN:
        return BUILT_IN[spec.name]
    for point in _installed():
        if point.name == spec.name:
            return _load_installed(point)
    names = strategy_names()
    raise InvalidInput(
        f"strategy {spec.name!r} is not known{nearest(spec.name, names)}; known are {', '.join(names)}, "
        "or give the path of your own file"
    )


def check_file_name(spec: StrategySpec, path: str, name: str) -> None:
    """Raises InvalidInput where the class's NAME in the file at `path` is not what `spec` means, or a built-in's."""
    if spec.name not in (name, Path(path).stem):
        raise InvalidInput(f"strategy {spec.name!r}: the file {path} defines {name!r}; use that name")
    if name in BUILT_IN:
        raise InvalidInput(f"strategy file {path}: NAME {name!r} is a built-in's; choose another")


def validate_strategy(spec: StrategySpec) -> type[AnyStrategy]:
    """The class, with the parameters of `spec` checked. Raises InvalidInput naming every bad parameter."""
    strategy = find_strategy(spec)
    parse_parameters(strategy, spec.parameters)
    return strategy


def parse_parameters(strategy: type[AnyStrategy], parameters: dict[str, Any]) -> StrategyParameters:
    """`parameters` as the strategy's own type. Raises InvalidInput naming every bad one, and the nearest valid name."""
    try:
        return strategy.PARAMETERS.model_validate(parameters)
    except ValidationError as error:
        known = list(strategy.PARAMETERS.model_fields)
        problems = "; ".join(_problem(item, known) for item in error.errors(include_url=False, include_context=False))
        raise InvalidInput(f"strategy {strategy.NAME}: {problems}") from None


def _problem(item: Any, known: Iterable[str]) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"parameter {name!r} is not known{nearest(name, known)}; known are {', '.join(known)}"
    text = str(item["msg"]).removeprefix("Value error, ")
    return f"parameter {name}: {text}, got {item['input']!r}" if name else text


def _installed() -> list[EntryPoint]:
    """Entry points of other packages, by name; a built-in's name cannot be taken over."""
    return sorted(
        (point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name not in BUILT_IN),
        key=lambda point: (point.name, point.value),
    )


def _load_installed(point: EntryPoint) -> type[AnyStrategy]:
    try:
        found = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # another package's code may raise anything
        raise InvalidInput(f"strategy {point.name!r} ({point.value}): {error_text(error)}") from error
    return check_class(found, where=f"entry point {point.name!r} ({point.value})", name=point.name)
