"""Rows of numbers and texts that are kept small: packed, part by part, once there are many."""

import marshal
import zlib
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

_PACKED_FROM: Final = 2_000  # rows

Row = TypeVar("Row", bound=tuple[Any, ...])


class PackedRows(Generic[Row]):
    """Property: iterated over, it gives the rows that were appended, in their order."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._open: list[Row] = []

    def append(self, row: Row) -> None:
        self._open.append(row)
        if len(self._open) == _PACKED_FROM:
            self._parts.append(zlib.compress(marshal.dumps(self._open), 1))
            self._open = []

    def __len__(self) -> int:
        return len(self._parts) * _PACKED_FROM + len(self._open)

    def __iter__(self) -> Iterator[Row]:
        for part in self._parts:
            yield from marshal.loads(zlib.decompress(part))  # noqa: S302 -- made here, never read from outside
        yield from self._open
