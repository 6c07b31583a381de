"""Built-in strategies are known by name before they are imported, and who runs none of them loads none."""

import subprocess
import sys

import pytest

from tradebus.strategies.on_demand import ClassesOnDemand
from tradebus.strategies.registry import BUILT_IN, COMPILED


@pytest.mark.parametrize("classes", [BUILT_IN, COMPILED], ids=["plain", "compiled"])
def test_every_class_goes_by_its_own_name(classes):
    assert {name: found.NAME for name, found in classes.items()} == {name: name for name in classes}
    assert sorted(classes) == sorted(BUILT_IN)


@pytest.mark.parametrize(
    "module",
    ["tradebus.runtime.isolation.worker", "services.gateway.bootstrap", "services.cli.runs.trading"],
)
def test_who_runs_no_built_in_strategy_loads_no_compiled_code(module):
    program = f"import sys, {module}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert module in found
    assert "numba" not in found


def test_a_class_is_put_in_and_taken_out_as_in_any_mapping():
    classes = ClassesOnDemand[object]({"date": "datetime:date"})
    classes["int"] = int
    assert dict(classes).keys() == {"date", "int"}
    assert len(classes) == 2
    assert classes["date"].__name__ == "date"
    assert classes["int"] is int
    del classes["date"]
    assert "date" not in classes
    with pytest.raises(KeyError):
        classes["date"]
