"""A window of a history, checked and cut to trading hours: all or nothing.

a file, or each of a folder or zip ─► parts ─► merging ─► rows in trading hours ─► LoadedHistory
                                                     └► rows before them, as far as they are sound ─► warm-up
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from tradebus.history.columns import MINUTE_NS, Columns, sound_suffix
from tradebus.history.history_file import open_file, says_no_symbol
from tradebus.history.merging import merge
from tradebus.history.parts import Part, WantedDays, about_of, is_in_session, read_part, require_rows, said_of
from tradebus.history.sources import SourceFile, SourceFiles, sources_of
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.errors import InvalidInput
from tradebus.symbols.descriptions import canonical

_NAMED_MAX = 5  # files, of many, that are named

Watch = Callable[[int, int], None]  # is told how many of how many files are read


@dataclass(frozen=True, slots=True)
class LoadedHistory:
    """Sound rows inside continuous trading: in file order, or by time where they are of several files."""

    name: str  # of the file, folder or zip
    said: tuple[str, ...]  # lines for a person: what was taken for what, what was not used
    columns: Columns
    warmup: Columns
    dropped_outside_session: int
    warmup_dropped: int  # rows before the window that were left out as unsound
    strays: int = 0  # rows at no time of a market, which are left out too
    first_stray: int = 0  # the row of the first of them


def load_history(
    path: Path,
    *,
    symbols: Sequence[str],
    from_date: date | None,
    to_date: date | None,
    warmup_minutes: int = 0,
    reading: FileReading | None = None,
    watch: Watch | None = None,
) -> LoadedHistory:
    """The window [from_date, to_date] of `symbols` (empty: all there are) of a file, or of the files of a folder or
    zip.

    `warmup_minutes` bounds the bars per symbol before the window, or the minutes that hold ticks. Raises InvalidInput
    in one line that names the file, and the row where there is one. `reading` overrules what would be recognised.
    """
    span = WantedDays.of(from_date, to_date, warms_up=bool(warmup_minutes))
    sources = sources_of(path)
    wanted = tuple(dict.fromkeys(canonical(symbol) for symbol in symbols))
    parts, unused = _parts(sources, wanted=wanted, span=span, reading=reading or FileReading(), watch=watch)
    together = merge([(part.file.of.short, part.trading) for part in parts], names=wanted)
    trading = together.columns
    if not sources.is_one:
        trading = trading if wanted else _of_those_present(trading)
        require_rows([(str(path), part.window) for part in parts], trading, span)
    dropped = sum(part.dropped_outside_session for part in parts)
    if not len(trading):
        raise InvalidInput(
            f"{path}: none of the {dropped} rows lies in a trading session: ts must be Indian time, a bar's start"
        )
    earlier = [(part.file.of.short, part.before) for part in parts if part.before.is_ticks == trading.is_ticks]
    before = merge(earlier, names=trading.names, is_strict=False).columns
    sound = sound_suffix(before.where(before.symbol < len(trading.names)))
    stray = next((part.window for part in parts if part.window.strays), None)
    return LoadedHistory(
        path.name or path.resolve().name,
        (*said_of(parts, sources), *together.said, *unused),
        trading,
        _newest(_tradable(sound), warmup_minutes),
        dropped,
        len(before) - len(sound),
        sum(part.window.strays for part in parts),
        stray.first_stray if stray else 0,
    )


def _parts(
    sources: SourceFiles, *, wanted: tuple[str, ...], span: WantedDays, reading: FileReading, watch: Watch | None
) -> tuple[list[Part], list[str]]:
    """Of each file that holds something that is wanted, and lines about those that are not used."""
    parts, of_others, empty = [], 0, []
    for number, source in enumerate(sources.files):
        part = _part(source, wanted=wanted, span=span, reading=reading, is_one=sources.is_one)
        if part is None:
            of_others += 1
        elif part.window.last_ns or part.window.strays or sources.is_one:
            parts.append(part)
        else:
            empty.append(f"{source.short} (it holds no row)")
        if watch is not None:
            watch(number + 1, len(sources.files))
    left = [*sources.unused, *empty]
    if not parts:
        first = sources.files[0]
        raise InvalidInput(
            f"history: {first.folder or first.path}: none of its {len(sources.files):,} files holds "
            f"{' or '.join(wanted) if of_others else 'a row'}"
        )
    others = [f"{of_others:,} file{'s' if of_others > 1 else ''} of other instruments"] if of_others else []
    more = [f"{len(left) - _NAMED_MAX:,} more"] if len(left) > _NAMED_MAX else []
    listed = [*left[:_NAMED_MAX], *more, *others]
    return parts, [f"files not used: {', '.join(listed)}"] if listed else []


def _part(
    source: SourceFile, *, wanted: tuple[str, ...], span: WantedDays, reading: FileReading, is_one: bool
) -> Part | None:
    """None for one of several files that is of another instrument, by its name."""
    is_unnamed = not is_one and wanted and says_no_symbol(source, reading)
    if is_unnamed and about_of(source, wanted, is_one=False).symbol not in wanted:
        return None
    file = open_file(source, reading)
    about = None if file.layout.symbol else about_of(source, wanted, is_one=is_one)
    return read_part(
        file, symbols=wanted if about is None else (about.symbol,), span=span, reading=reading,
        is_one_of_several=not is_one, about=about,
    )  # fmt: skip


def _of_those_present(columns: Columns) -> Columns:
    """Without the names of instruments that have no row."""
    present = np.unique(columns.symbol)
    place = np.full(len(columns.names), -1, np.int64)
    place[present] = np.arange(len(present))
    names = tuple(columns.names[code] for code in present.tolist())
    return replace(columns, symbol=place[columns.symbol], names=names)


def _tradable(before: Columns) -> Columns:
    """The rows before the window that warm up: none where they reach back before the rules of what they are of."""
    try:
        return before.where(is_in_session(before))
    except InvalidInput:
        return before.where(np.zeros(len(before), bool))


def _newest(columns: Columns, count: int) -> Columns:
    """The rows of the last `count` minutes of each symbol that hold any: `count` bars, or the ticks of so many."""
    keep = np.zeros(len(columns), bool)
    if count and len(columns):
        minutes = columns.ts_ns // MINUTE_NS
        for code in range(len(columns.names)):
            mine = columns.symbol == code
            held = np.unique(minutes[mine])
            keep |= mine & (minutes >= (held[-count:][0] if len(held) else 0))
    return columns.where(keep)
