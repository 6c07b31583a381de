"""Compiles bulk mode once, so that a sweep begins at once.

    python -m tradebus.engine.warm

Beside `tradebus.indicators.warm`, under the same rules: `make setup` and the image build run both.
"""

from importlib import import_module

# Importing such a module compiles what is not in the cache: every kernel has its one signature fixed.
KERNEL_MODULES = ("tradebus.engine.bulk._crosses_kernel", "tradebus.engine.bulk._opinions_kernel")


def compile_all() -> None:
    """Compiles or loads every kernel. Raises Unavailable where compiled code cannot be kept."""
    for name in KERNEL_MODULES:
        import_module(name)


if __name__ == "__main__":
    compile_all()
