"""`make setup` compiles bulk mode: no sweep waits for it."""

from pathlib import Path

import tradebus.engine
from tradebus.engine.warm import KERNEL_MODULES, compile_all


def test_every_module_of_compiled_code_is_compiled() -> None:
    folder = Path(tradebus.engine.__file__).parent
    found = {
        ".".join(("tradebus.engine", *path.relative_to(folder).with_suffix("").parts))
        for path in folder.rglob("*.py")
        if "@lean_kernel(" in path.read_text() or "@kernel(" in path.read_text()
    }
    assert found == set(KERNEL_MODULES)
    compile_all()
