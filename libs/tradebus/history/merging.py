"""Several files into one history: rows in time order, each with the file it is of.

Invariants (property-tested): the same rows in one file or in many, in any order of files, are the same history; a row
that stands alike in two files is taken once and counted; two files that say different things of one instrument and
minute are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradebus.history.columns import PRICE_COLUMNS, QUANTITY_COLUMNS, Columns, Ints
from tradebus.history.hours import day_numbers
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_datetime


@dataclass(frozen=True, slots=True)
class Merged:
    """`said`: lines for a person about what files have in common, and what some lack."""

    columns: Columns
    said: tuple[str, ...] = ()


def merge(pieces: Sequence[tuple[str, Columns]], *, names: Sequence[str] = (), is_strict: bool = True) -> Merged:
    """Of files by what to call them, each with its rows; at least one. `names` come first in the result's. Raises
    InvalidInput where they are of two kinds, or, `is_strict`, say two things of one moment."""
    if len(pieces) == 1:
        return Merged(pieces[0][1])
    held = [(source, piece) for source, piece in pieces if len(piece)] or list(pieces[:1])
    _require_one_kind(held)
    together = _stacked(held, names=names)
    if together.is_ticks:
        if is_strict:
            _require_apart(together)
        return Merged(together, _lacking(held))
    again = _repeated(together, is_strict=is_strict)
    if not len(again):
        return Merged(together, _lacking(held))
    first = int(again[0])
    alike = (
        f"{len(again):,} row{'s stand' if len(again) > 1 else ' stands'} alike in more than one file (the first: "
        f"{_moment(together, first)}, {together.place(first)}): each is taken once"
    )
    keep = np.ones(len(together), bool)
    keep[again] = False
    return Merged(together.where(keep), (alike, *_lacking(held)))


def _require_one_kind(held: Sequence[tuple[str, Columns]]) -> None:
    ticks = next((source for source, piece in held if piece.is_ticks), None)
    bars = next((source for source, piece in held if not piece.is_ticks), None)
    if ticks is not None and bars is not None:
        raise InvalidInput(f"{ticks} holds ticks and {bars} bars: give a folder with one of the two")


def _stacked(held: Sequence[tuple[str, Columns]], *, names: Sequence[str]) -> Columns:
    """All rows by time, those of one moment in the order of the files and of their rows."""
    every = tuple(dict.fromkeys([*names, *(name for _, piece in held for name in piece.names)]))
    place = {name: code for code, name in enumerate(every)}
    codes = [np.asarray([place[name] for name in piece.names], np.int64)[piece.symbol] for _, piece in held]
    columns = {name for _, piece in held for name in piece.values}
    values = {
        # A column that only some files have is 0 in the others, as it is where no file has it.
        name: np.concatenate([piece.values.get(name, np.zeros(len(piece))) for _, piece in held])
        for name in ("price", *PRICE_COLUMNS, *QUANTITY_COLUMNS)
        if name in columns
    }
    origin = np.repeat(np.arange(len(held)), [len(piece) for _, piece in held])
    together = Columns(
        np.concatenate([piece.row for _, piece in held]), np.concatenate([piece.ts_ns for _, piece in held]),
        np.concatenate(codes), every, values, origin, tuple(source for source, _ in held),
    )  # fmt: skip
    return together.pick(np.argsort(together.ts_ns, kind="stable"))


def _repeated(together: Columns, *, is_strict: bool) -> Ints:
    """Indices of rows that another file has alike. Raises InvalidInput where two differ and `is_strict`."""
    assert together.origin is not None
    order = np.lexsort((together.ts_ns, together.symbol))
    symbol, ts_ns, origin = together.symbol[order], together.ts_ns[order], together.origin[order]
    same = (np.diff(symbol) == 0) & (np.diff(ts_ns) == 0) & (np.diff(origin) != 0)
    before, again = order[:-1][same], order[1:][same]
    alike = np.ones(len(again), bool)
    for name, cells in together.values.items():
        differ = np.flatnonzero(cells[before] != cells[again])
        alike[differ] = False
        if is_strict and len(differ):
            one, other = int(before[differ[0]]), int(again[differ[0]])
            more = f", and {len(differ) - 1:,} more such rows" if len(differ) > 1 else ""
            raise InvalidInput(
                f"history: {together.place(one)} and {together.place(other)} differ on {_moment(together, one)} "
                f"({name.replace('_', ' ')} {cells[one]:.12g} and {cells[other]:.12g}){more}: keep one of the two files"
            )
    found: Ints = np.sort(again[alike])
    return found


def _require_apart(together: Columns) -> None:
    """Raises InvalidInput where two files hold ticks of one instrument and the same hours: which of them are the same
    trade, nothing tells."""
    assert together.origin is not None
    days = day_numbers(together.ts_ns)
    for code in range(len(together.names)):
        mine = np.flatnonzero(together.symbol == code)
        changes = np.flatnonzero((np.diff(together.origin[mine]) != 0) & (np.diff(days[mine]) == 0)) + 1
        # One file after the other changes once from each to the next.
        for change in changes.tolist():
            at, earlier = int(mine[change]), mine[:change]
            if together.origin[at] in together.origin[earlier][days[earlier] == days[at]]:
                raise InvalidInput(
                    f"history: {together.place(at)} and {together.place(int(mine[change - 1]))} hold ticks of the same "
                    f"hours ({_moment(together, at)}): keep one of the two files"
                )


def _lacking(held: Sequence[tuple[str, Columns]]) -> tuple[str, ...]:
    """Lines about a quantity that some files have and others have not."""
    lines = []
    for name in QUANTITY_COLUMNS:
        without = [source for source, piece in held if name not in piece.values]
        if without and len(without) < len(held):
            more = f" and {len(without) - 1} more" if len(without) > 1 else ""
            lines.append(f"{name.replace('_', ' ')} is 0 in {without[0]}{more}, which {'have' if more else 'has'} none")
    return tuple(lines)


def _moment(columns: Columns, index: int) -> str:
    when = ist_datetime(int(columns.ts_ns[index])).strftime("%Y-%m-%d %H:%M:%S")
    return f"{columns.names[columns.symbol[index]]} at {when} IST"
