"""Pictures as SVG. They stretch to the page's width; text stands beside them in HTML, so that none is squeezed."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from html import escape
from typing import Final

WIDTH: Final = 1000
_HEIGHT: Final = 260
_POINTS_MAX: Final = 1500  # of a line: more than a screen has pixels only makes the file bigger


def line_chart(values: Sequence[float], *, style: str, label: str, base: float | None = None) -> str:
    """A line over evenly spaced values, filled down to `base` where one is given."""
    if not values:
        return ""
    at = _scale([*values, *(() if base is None else (base,))])
    points = " ".join(f"{x:.1f},{at(value):.1f}" for x, value in _thinned(values))
    parts = [f'<polyline class="{style}" points="{points}"/>']
    if base is not None:
        level = f"{at(base):.1f}"
        parts.insert(0, f'<polygon class="{style} area" points="0,{level} {points} {WIDTH},{level}"/>')
        parts.append(f'<line class="base" x1="0" x2="{WIDTH}" y1="{level}" y2="{level}"/>')
    return _svg("".join(parts), label=label)


def line_charts(lines: Sequence[tuple[Sequence[float], str]], *, label: str) -> str:
    """Several (values, style) on one scale, each over the whole width, the last on top."""
    every = [value for values, _ in lines for value in values]
    if not every:
        return ""
    at = _scale(every)
    made = (
        f'<polyline class="{style}" points="{" ".join(f"{x:.1f},{at(value):.1f}" for x, value in _thinned(values))}"/>'
        for values, style in lines
        if values
    )
    return _svg("".join(made), label=label)


def bar_chart(counts: Sequence[int], *, losing: int, label: str) -> str:
    """Bars side by side; the first `losing` ones are of losses."""
    if not any(counts):
        return ""
    wide, most = WIDTH / len(counts), max(counts)
    bars = (
        f'<rect class="{"loss" if number < losing else "win"}" x="{number * wide + 2:.1f}" width="{wide - 4:.1f}" '
        f'y="{_HEIGHT - count / most * (_HEIGHT - 10):.1f}" height="{count / most * (_HEIGHT - 10):.1f}"/>'
        for number, count in enumerate(counts)
    )
    return _svg("".join(bars), label=label)


def price_chart(
    prices: Sequence[tuple[int, int]], trades: Sequence[tuple[int, float, int, float, bool]], *, label: str
) -> str:
    """`prices`: (instant, price) ascending. `trades`: (instant and price of entry, of exit, whether it won); each is
    a stroke from entry to exit. Sessions follow one another without the nights."""
    if not prices:
        return ""
    at = _scale([*(price for _, price in prices), *(one for trade in trades for one in (trade[1], trade[3]))])
    instants = [ts_ns for ts_ns, _ in prices]
    points = " ".join(f"{x:.1f},{at(value):.1f}" for x, value in _thinned([price for _, price in prices]))
    parts = [f'<polyline class="price" points="{points}"/>']
    for entry_ns, entry, exit_ns, left, won in trades:
        style = "win" if won else "loss"
        x1, x2 = _place(instants, entry_ns), _place(instants, exit_ns)
        parts.append(
            f'<line class="{style}" x1="{x1:.1f}" y1="{at(entry):.1f}" x2="{x2:.1f}" y2="{at(left):.1f}"/>'
            f'<circle class="{style}" cx="{x1:.1f}" cy="{at(entry):.1f}" r="2.5"/>'
        )
    return _svg("".join(parts), label=label)


def _place(instants: Sequence[int], ts_ns: int) -> float:
    return min(bisect_left(instants, ts_ns), len(instants) - 1) * WIDTH / max(1, len(instants) - 1)


def _scale(values: Sequence[float]) -> Callable[[float], float]:
    """From a value to its height on the picture: the highest at the top."""
    highest = max(values)
    span = highest - min(values) or 1
    return lambda value: 6 + (highest - value) / span * (_HEIGHT - 12)


def _thinned(values: Sequence[float]) -> list[tuple[float, float]]:
    """(x, value); of many the lowest and highest of each stretch, so that no extreme is lost."""
    step = WIDTH / max(1, len(values) - 1)
    if len(values) <= _POINTS_MAX:
        return [(number * step, value) for number, value in enumerate(values)]
    stretch, found = -(-len(values) * 2 // _POINTS_MAX), []
    for begin in range(0, len(values), stretch):
        numbers = range(begin, min(begin + stretch, len(values)))
        ends = {min(numbers, key=values.__getitem__), max(numbers, key=values.__getitem__)}
        found += [(number * step, values[number]) for number in sorted(ends)]
    return found


def _svg(inside: str, *, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f"{inside}</svg>"
    )
