"""Bytes changed, cut, doubled, inserted and removed: what a decoder must bear."""

from collections.abc import Callable, Sequence

import numpy as np

# Changes the bytes at a place in a way of its own; False where there is no room for it.
Overwrite = Callable[[np.random.Generator, bytearray, int], bool]
BYTES_MAX = 100_000


def changed(draw: np.random.Generator, message: bytes, overwrites: Sequence[Overwrite]) -> bytes:
    """One or more changes of any kind; `overwrites` are those that only this format has."""
    body = bytearray(message)
    for _ in range(int(draw.integers(1, 5))):
        at = int(draw.integers(0, len(body) + 1))
        kind = int(draw.integers(0, 5 + len(overwrites)))
        if kind == 0 and at < len(body):
            body[at] = int(draw.integers(0, 256))
        elif kind == 1:
            del body[at:]
        elif kind == 2:
            body += body[at:]
        elif kind == 3:
            body[at:at] = draw.bytes(int(draw.integers(1, 9)))
        elif not (4 <= kind < 4 + len(overwrites) and overwrites[kind - 4](draw, body, at)):
            del body[at : at + int(draw.integers(1, 9))]
    return bytes(body[:BYTES_MAX])
