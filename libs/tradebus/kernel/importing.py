"""How a process imports its parts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """While a process imports its parts nothing becomes garbage: looking for some all the same takes a fifth of its
    start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
