"""A grid of parameters: what a person writes for each, and the sets that come of it. Pure.

fast=5:20:5   5, 10, 15, 20        slow=21,34,55   those        stop_pct=0.5:2:0.5   steps may be decimal
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import prod
from typing import Any, Final

import numpy as np

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.rng import seed_for

POINTS_MAX: Final = 50_000
_VALUES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter and its values, in the order that they were written."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    axes: tuple[Axis, ...]

    @property
    def size(self) -> int:
        return prod(len(axis.values) for axis in self.axes)

    def point(self, number: int) -> dict[str, Any]:
        """The last parameter changes first."""
        found = {}
        for axis in reversed(self.axes):
            number, place = divmod(number, len(axis.values))
            found[axis.name] = axis.values[place]
        return {axis.name: found[axis.name] for axis in self.axes}


def parse_grid(texts: Sequence[str]) -> Grid:
    """Of `name=values`, once per parameter. Raises InvalidInput naming the one that cannot be read."""
    axes = [parse_axis(text) for text in texts]
    names = [axis.name for axis in axes]
    if len(set(names)) < len(names):
        raise InvalidInput(f"--param: {max(names, key=names.count)} is given twice")
    return Grid(tuple(axes))


def parse_axis(text: str) -> Axis:
    """`fast=5:20:1` (both ends, and a step of 1 where none is given), `slow=21,34`, `vwap_filter=true`."""
    name, equals, written = text.partition("=")
    name, parts = name.strip(), [part.strip() for part in written.split(",")]
    if not equals or not name or not all(parts):
        raise InvalidInput(f"--param {text!r}: write name=value, name=5:20:1 or name=5,8,13")
    values: list[Any] = []
    for part in parts:
        values += _range(part, text=text) if ":" in part else [_value(part, text=text)]
    return Axis(name, tuple(dict.fromkeys(values)))


def chosen_points(grid: Grid, *, sample: int | None, seed: int) -> list[dict[str, Any]]:
    """Every point, or `sample` of them drawn by the seed. Raises InvalidInput for more than POINTS_MAX."""
    if sample is not None and sample < 1:
        raise InvalidInput(f"--sample {sample}: draw at least one point")
    wanted = grid.size if sample is None else min(sample, grid.size)
    if wanted > POINTS_MAX:
        raise InvalidInput(
            f"the grid has {grid.size:,} points, and at most {POINTS_MAX:,} are tried in one sweep (the best of so "
            "many says little): take wider steps, or draw some of them with --sample 5000"
        )
    if wanted == grid.size:
        return [grid.point(number) for number in range(grid.size)]
    draws = np.random.default_rng(seed_for(seed, "grid"))
    drawn: set[int] = set()
    while len(drawn) < wanted:
        drawn.add(int(draws.integers(0, grid.size)))
    return [grid.point(number) for number in sorted(drawn)]


def _range(part: str, *, text: str) -> list[Any]:
    bounds = part.split(":")
    try:
        first, last, *rest = (Decimal(bound) for bound in bounds)
        step = rest[0] if rest else Decimal(1)
        if len(bounds) > 3 or step <= 0 or last < first or not (first + last + step).is_finite():
            raise InvalidOperation
        count = int((last - first) / step) + 1
    except (InvalidOperation, ValueError) as error:
        raise InvalidInput(f"--param {text!r}: {part!r} is no range; write first:last:step, such as 5:20:1") from error
    if count > _VALUES_MAX:
        raise InvalidInput(f"--param {text!r}: {count:,} values of one parameter; at most {_VALUES_MAX:,}")
    whole = all(one == one.to_integral_value() for one in (first, step))
    return [int(value) if whole else float(value) for value in (first + step * place for place in range(count))]


def _value(part: str, *, text: str) -> Any:
    try:
        value = json.loads(part, parse_constant=_refused)
    except ValueError:
        return part
    if isinstance(value, list | dict):
        raise InvalidInput(f"--param {text!r}: {part!r} is no single value")
    return value


def _refused(word: str) -> Any:
    raise InvalidInput(f"--param: {word} is not a number that can be used")
