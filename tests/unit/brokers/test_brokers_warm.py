"""`make setup` compiles every frame decoder: none is left to a feed's first tick."""

from pathlib import Path

import tradebus.brokers
from tradebus.brokers.warm import KERNEL_MODULES, compile_all


def test_every_module_of_compiled_code_is_compiled():
    folder = Path(tradebus.brokers.__file__).parent
    found = {
        f"tradebus.brokers.{path.parent.name}.{path.stem}"
        for path in folder.glob("*/*.py")
        if "@kernel(" in path.read_text()
    }
    assert found == set(KERNEL_MODULES)
    compile_all()
