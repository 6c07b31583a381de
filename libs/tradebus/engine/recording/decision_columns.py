"""Every decision of a run, HOLDs too, in columns that are packed once there are many: a run over years is no bigger.

    add, extend ─► open columns ─ at a day's beginning, where there are many ─► packed, in order of time

A packed part has its own dictionary of texts. Reasons with figures in them are new words every time, and would
otherwise be kept for ever.
"""

import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradebus.strategies.lane.decisions import Source, storable

Int64s = npt.NDArray[np.int64]
Row = tuple[int, str, str, str, str, str, int]
_PACKED_FROM: Final = 50_000  # rows
_COLUMNS: Final = ("q", "i", "i", "i", "q")  # instant, source, action, reason, price
_DIFFERENCES: Final = (0, 4)  # the columns that are packed by their differences


class DecisionPart(NamedTuple):
    """A stretch of decisions: arrays of one length; `actions` and `reasons` are places in `texts`, `sources` in `names`
    (user, strategy, symbol)."""

    texts: Sequence[str]
    names: Sequence[tuple[str, str, str]]
    ts_ns: npt.NDArray[Any]
    sources: npt.NDArray[Any]
    actions: npt.NDArray[Any]
    reasons: npt.NDArray[Any]
    prices_paise: npt.NDArray[Any]


class DecisionColumns:
    """One row per decision: instant, source, action, reason, price. One decision per source and instant counts."""

    def __init__(self) -> None:
        self._packed: list[tuple[bytes, ...]] = []
        self._sources: list[Source] = []
        self._last_ns: list[int] = []
        self._counts: list[int] = []
        self._begin()

    def add_source(self, source: Source) -> int:
        """The number by which `add` knows who decides."""
        self._sources.append(source)
        self._last_ns.append(-1)
        self._counts.append(0)
        return len(self._sources) - 1

    def add(self, source: int, ts_ns: int, action: str, reason: str, price_paise: int) -> bool:
        """Takes a decision. False, and nothing taken, for another one of the same source and instant."""
        if ts_ns == self._last_ns[source]:
            return False
        self._last_ns[source] = ts_ns
        self._counts[source] += 1
        row = (ts_ns, source, self.text(action), self.text(reason), price_paise)
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)
        return True

    def text(self, text: str) -> int:
        """The number by which `extend` knows a reason, until the next day begins."""
        return self._texts.setdefault(text, len(self._texts))

    def extend(
        self, source: int, ts_ns: Int64s, action: str, reasons: npt.NDArray[np.int32], prices_paise: Int64s
    ) -> None:
        """Takes decisions of one source that are all the same action, ascending, at instants it decided nothing at."""
        count = len(ts_ns)
        self._last_ns[source] = max(self._last_ns[source], int(ts_ns[-1]))
        self._counts[source] += count
        given = (ts_ns, np.full(count, source, np.int32), np.full(count, self.text(action), np.int32), reasons,
                 prices_paise)  # fmt: skip
        for column, values in zip(self._columns, given, strict=True):
            column.frombytes(np.ascontiguousarray(values, column.typecode).tobytes())

    def begin_day(self) -> None:
        """All that was decided lies before what comes: it is packed, where it is much."""
        if len(self._columns[0]) >= _PACKED_FROM:
            self._packed.append(self._packed_part())
            self._begin()

    def __len__(self) -> int:
        return sum(self._counts)

    def of_session(self, session_id: str) -> int:
        """How many decisions a session's strategies made."""
        mine = [number for number, source in enumerate(self._sources) if source.key.session_id == session_id]
        return sum(self._counts[number] for number in mine)

    def rows(self) -> Iterator[Row]:
        """(instant, user, strategy, symbol, action, reason, price) as the decision log has them, by instant."""
        for part in self._packed:
            yield from self._rows_of(*_unpacked(part))
        yield from self._rows_of(self._in_order(), [storable(text) for text in self._texts])

    def parts(self) -> Iterator[DecisionPart]:
        """All decisions by column, by instant, stretch by stretch."""
        names = [(source.user_id, source.key.strategy, source.key.symbol) for source in self._sources]
        for packed in self._packed:
            columns, texts = _unpacked(packed)
            yield DecisionPart(texts, names, *columns)
        yield DecisionPart([storable(text) for text in self._texts], names, *self._in_order())

    def answers(self) -> Iterator[tuple[str, str, str, int, int]]:
        """(strategy, action, reason, how often, when first). The same three may come again, of another stretch."""
        for part in self.parts():
            yield from _counted(part)

    def _begin(self) -> None:
        self._columns: tuple[array[int], ...] = tuple(array(code) for code in _COLUMNS)
        self._texts: dict[str, int] = {}

    def _in_order(self) -> list[npt.NDArray[Any]]:
        columns = [np.frombuffer(column, column.typecode) for column in self._columns]
        order = np.argsort(columns[0], kind="stable")
        return [column[order] for column in columns]

    def _packed_part(self) -> tuple[bytes, ...]:
        """Instants and prices by their differences, which are small; then the other columns; the texts last."""
        columns = self._in_order()
        for number in _DIFFERENCES:
            columns[number] = np.diff(columns[number], prepend=0)
        texts = "\0".join(storable(text) for text in self._texts)
        return tuple(zlib.compress(part, 1) for part in (*(one.tobytes() for one in columns), texts.encode()))

    def _rows_of(self, columns: Sequence[npt.NDArray[Any]], texts: Sequence[str]) -> Iterator[Row]:
        sources = self._sources
        for ts_ns, number, action, reason, price_paise in zip(*(one.tolist() for one in columns), strict=True):
            source = sources[number]
            key = source.key
            yield ts_ns, source.user_id, key.strategy, key.symbol, texts[action], texts[reason], price_paise


def _unpacked(part: Sequence[bytes]) -> tuple[list[npt.NDArray[Any]], list[str]]:
    *packed, texts = (zlib.decompress(one) for one in part)
    columns = [np.frombuffer(column, code) for column, code in zip(packed, _COLUMNS, strict=True)]
    for number in _DIFFERENCES:
        columns[number] = np.cumsum(columns[number])
    return columns, texts.decode().split("\0")


def _counted(part: DecisionPart) -> Iterator[tuple[str, str, str, int, int]]:
    texts = part.texts
    keys = (part.sources.astype(np.int64) * len(texts) + part.actions) * len(texts) + part.reasons
    _, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
    for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
        _, strategy, _ = part.names[part.sources[first]]
        yield strategy, texts[part.actions[first]], texts[part.reasons[first]], count, int(part.ts_ns[first])
