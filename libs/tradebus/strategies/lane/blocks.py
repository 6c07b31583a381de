"""Room for any number of instruments, of whose states none moves when room is made for more.

    slots  0 … 511 │ 512 … 1023 │ 1024 … 2047 │ …       a computation each, twice as large as the one before

A batch whose instruments lie in one block is computed in one call, as nearly all are.
"""

from typing import Any

import numpy as np

from tradebus.contracts.records import Records
from tradebus.strategies.opinions import OPINION, AnyCompiled, Int64s

_SLOTS_AT_FIRST = 512


class Blocks:
    """The computations of one compiled strategy with one set of parameters. Slots count through all of them."""

    def __init__(self, strategy: type[AnyCompiled], parameters: Any, *, slots: int = _SLOTS_AT_FIRST) -> None:
        """`slots`: of the first block."""
        self._strategy, self._parameters = strategy, parameters
        self._blocks = [strategy(parameters, slots=slots)]
        self._starts = np.zeros(1, np.int64)

    @property
    def first(self) -> AnyCompiled:
        """One of them, for what is the same in all."""
        return self._blocks[0]

    def make_room(self, slot: int) -> None:
        """So that there is such a slot."""
        while slot >= (end := int(self._starts[-1]) + self._blocks[-1].slots):
            self._blocks.append(self._strategy(self._parameters, slots=end))
            self._starts = np.append(self._starts, end)

    def reset(self, slot: int) -> None:
        """See `CompiledStrategy`."""
        block = self._of(slot)
        self._blocks[block].reset(slot - int(self._starts[block]))

    def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
        """See `CompiledStrategy`."""
        whole = self._only(slots)
        if whole is not None:
            local = slots - self._starts[whole]
            return self._blocks[whole].on_candles(local, candles, opens_ns=opens_ns, closes_ns=closes_ns)
        opinions = np.zeros(len(candles), OPINION)
        for block, rows in self._parts(slots):
            opinions[rows] = self._blocks[block].on_candles(
                slots[rows] - self._starts[block], candles[rows], opens_ns=opens_ns[rows], closes_ns=closes_ns[rows]
            )
        return opinions

    def on_ticks(self, slots: Int64s, ticks: Records) -> Records:
        """See `CompiledStrategy`."""
        whole = self._only(slots)
        if whole is not None:
            return self._blocks[whole].on_ticks(slots - self._starts[whole], ticks)
        parts = []
        for block, rows in self._parts(slots):
            part = self._blocks[block].on_ticks(slots[rows] - self._starts[block], ticks[rows])
            part["row"] = rows[part["row"]]
            parts.append(part)
        opinions = np.concatenate(parts)
        return opinions[np.argsort(opinions["row"], kind="stable")]

    def _of(self, slot: int) -> int:
        return int(np.searchsorted(self._starts, slot, side="right")) - 1

    def _only(self, slots: Int64s) -> int | None:
        """The block that all of them lie in; None where there are several."""
        if len(self._blocks) == 1 or not len(slots):
            return 0
        block = self._of(int(slots.min()))
        return block if block == self._of(int(slots.max())) else None

    def _parts(self, slots: Int64s) -> list[tuple[int, Int64s]]:
        """By block the rows that lie in it."""
        blocks = np.searchsorted(self._starts, slots, side="right") - 1
        return [(int(block), np.flatnonzero(blocks == block)) for block in np.unique(blocks)]
