"""`make setup` compiles every built-in strategy: none is left to a service's first candle."""

from pathlib import Path

import tradebus.strategies.built_in
from tradebus.strategies.warm import KERNEL_MODULES, compile_all


def test_every_module_of_compiled_code_is_compiled():
    folder = Path(tradebus.strategies.built_in.__file__).parent
    found = {
        ".".join(("tradebus.strategies.built_in", *path.relative_to(folder).with_suffix("").parts))
        for path in folder.rglob("*.py")
        if "@kernel(" in path.read_text()
    }
    assert found == set(KERNEL_MODULES)
    compile_all()
