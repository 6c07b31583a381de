"""How kernels are compiled: ahead of time for the one signature they have, cached on disk, single-threaded.

The machine code lies beside the module (`__pycache__`), or under `NUMBA_CACHE_DIR` where that is set: a container with
a read-only root sets it to a writable folder and runs `python -m tradebus.indicators.warm` once. The cache is keyed by
the source file's time stamp and the processor, so it may be copied only together with both. Kernels of one file call
only each other: numba does not notice a change in a callee of another file.

A kernel does not check array bounds. Every kernel therefore refuses an instrument outside its state arrays itself.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba import types

from tradebus.contracts.records import CANDLE, TICK
from tradebus.kernel.errors import Unavailable

F = TypeVar("F", bound=Callable[..., Any])

# A readonly argument takes a writable array too; the other way round numba refuses.
TICKS = types.Array(numba.from_dtype(TICK), 1, "C", readonly=True)
CANDLES = types.Array(numba.from_dtype(CANDLE), 1, "C", readonly=True)
CANDLES_OUT = types.Array(numba.from_dtype(CANDLE), 1, "C")
TICKS_OUT = types.Array(numba.from_dtype(TICK), 1, "C")
INT64S = types.Array(types.int64, 1, "C", readonly=True)
FLOAT64S = types.Array(types.float64, 1, "C", readonly=True)


def helper(function: F) -> F:
    """Compiled into the kernels of its file that call it; nothing of its own is loaded at import."""
    return cast(F, numba.njit(error_model="numpy")(function))


def inlined(function: F) -> F:
    """As `helper`, written into the code of what calls it: for helpers of `lean_kernel`."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


def kernel(signature: Any) -> Callable[[F], F]:
    """Compiles the decorated function for `signature` when its module is imported, or loads it from the cache.

    Raises Unavailable where there is no folder in which compiled code can be kept.
    """
    return _compiling(signature)


def lean_kernel(signature: Any) -> Callable[[F], F]:
    """As `kernel`, for what makes no array: nothing counts who holds one, which took half of the time of a kernel that
    hands many to its helpers, and other threads run meanwhile. numba refuses to compile a kernel that makes one.
    """
    return _compiling(signature, _nrt=False, nogil=True)


def _compiling(signature: Any, **options: Any) -> Callable[[F], F]:
    def compiled(function: F) -> F:
        try:
            return cast(F, cast(Any, numba.njit)(signature, cache=True, error_model="numpy", **options)(function))
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
            raise Unavailable(
                "compiled kernels cannot be kept: neither the package folder nor the user's cache folder is writable; "
                "set NUMBA_CACHE_DIR to a writable folder"
            ) from error

    return compiled
