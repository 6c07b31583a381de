"""Compiles every frame decoder once, so that a feed loads machine code instead of making it.

    python -m tradebus.brokers.warm

Beside `tradebus.indicators.warm`, under the same rules: `make setup` and the image build run both.
"""

from collections.abc import Iterator
from importlib import import_module

# Importing such a module compiles what is not in the cache: every kernel has its one signature fixed.
KERNEL_MODULES = (
    "tradebus.brokers.kite._frame_kernel",
    "tradebus.brokers.dhan._feed_kernel",
    "tradebus.brokers.upstox._wire_kernel",
    "tradebus.brokers.upstox._row_kernel",
)


def compile_each() -> Iterator[str]:
    """Compiles or loads module by module, and says which is done."""
    for name in KERNEL_MODULES:
        import_module(name)
        yield name


def compile_all() -> None:
    """Compiles or loads every kernel. Raises Unavailable where compiled code cannot be kept."""
    for _ in compile_each():
        pass


if __name__ == "__main__":
    compile_all()
