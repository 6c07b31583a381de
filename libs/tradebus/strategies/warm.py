"""Compiles the built-in strategies once, so that a service loads machine code instead of making it.

    python -m tradebus.strategies.warm

Beside `tradebus.indicators.warm`, under the same rules: `make setup` and the image build run both.
"""

from importlib import import_module

# Importing such a module compiles what is not in the cache: every kernel has its one signature fixed.
KERNEL_MODULES = (
    "tradebus.strategies.built_in._ema_20_50_kernel",
    "tradebus.strategies.built_in.ema_cross._kernel",
    "tradebus.strategies.built_in._orb_kernel",
)


def compile_all() -> None:
    """Compiles or loads every kernel. Raises Unavailable where compiled code cannot be kept."""
    for name in KERNEL_MODULES:
        import_module(name)


if __name__ == "__main__":
    compile_all()
