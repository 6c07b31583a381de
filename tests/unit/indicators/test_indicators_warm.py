"""Kernels are compiled once and then loaded."""

import subprocess
import sys

import numba
import pytest

from tradebus.indicators._compile import kernel
from tradebus.indicators.warm import KERNEL_MODULES, compile_all, compile_each
from tradebus.kernel.errors import Unavailable

COUNT_LOADED = """
import gc
from numba.core.dispatcher import Dispatcher
from tradebus.indicators.warm import compile_all
compile_all()
kernels = [one for one in gc.get_objects() if isinstance(one, Dispatcher) and "tradebus" in one.py_func.__module__]
print(sum(sum(one.stats.cache_hits.values()) for one in kernels))
print(sum(sum(one.stats.cache_misses.values()) for one in kernels))
"""


def test_another_process_loads_every_kernel_and_compiles_none() -> None:
    compile_all()
    done = subprocess.run([sys.executable, "-c", COUNT_LOADED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded, made = map(int, done.stdout.split())
    assert made == 0
    assert loaded > len(KERNEL_MODULES)


def test_every_module_is_reported_when_it_is_done() -> None:
    assert tuple(compile_each()) == KERNEL_MODULES


def test_a_place_where_nothing_can_be_kept_is_one_clear_error() -> None:
    # Code that lies in no file has nowhere to keep its machine code, as a package in a read-only root has not.
    names: dict[str, object] = {}
    exec("def nowhere(value):\n    return value\n", names)
    with pytest.raises(Unavailable, match="set NUMBA_CACHE_DIR"):
        kernel(numba.int64(numba.int64))(names["nowhere"])
