"""Compiles every kernel once, so that services load machine code instead of making it.

    python -m tradebus.indicators.warm

`make setup` and the image build run it. The code is kept beside the modules or, where `NUMBA_CACHE_DIR` is set, under
that folder; it holds for this source (by time stamp) and this kind of processor only. A container with a read-only
root sets `NUMBA_CACHE_DIR` to a writable folder (numba wants to write even where nothing is missing) and runs this once
at its first start; an image that carries the folder from its build runs on other processors too when build and run
both set `NUMBA_CPU_NAME=generic` and `NUMBA_CPU_FEATURES=` (empty).
"""

from collections.abc import Iterator
from importlib import import_module

# Importing a kernel module compiles what is not in the cache: every kernel has its one signature fixed.
KERNEL_MODULES = ("_moving_kernel", "_bar_kernel", "_candle_kernel", "_aggregate_kernel", "path", "measure")


def compile_each() -> Iterator[str]:
    """Compiles or loads module by module, and says which is done."""
    for name in KERNEL_MODULES:
        import_module(f"tradebus.indicators.{name}")
        yield name


def compile_all() -> None:
    """Compiles or loads every kernel. Raises Unavailable where compiled code cannot be kept."""
    for _ in compile_each():
        pass


def main() -> None:
    """Compiles with a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    steps = track(
        compile_each(), total=len(KERNEL_MODULES), description="compiling kernels", console=Console(stderr=True)
    )
    for _ in steps:
        pass


if __name__ == "__main__":
    main()
