"""No class, file, function or folder grows past what one reads in one go.

What is bigger today is named with its size and why: it may shrink, and never grow. Nothing is added to these lists.
"""

import ast
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("libs/tradebus/**/*.py"), *ROOT.glob("services/**/*.py")])
HELPERS = sorted(ROOT.glob("tests/testkit/**/*.py"))
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
CLASS_LINES_MAX = 200
CLASS_METHODS_MAX = 15
FOLDER_MODULES_MAX = 12

# Lines and methods of today.
BIGGER_CLASSES = {
    # One method per operation of the port they implement, each short.
    "RedisBus": (216, 19), "MemoryBus": (145, 19), "MemoryStream": (126, 19), "Backlog": (99, 18), "Exchange": (95, 33),
    # The one loop: eight things that may be asked of it, and a method for each of its steps, which share one entry's
    # fate (stop, reopen, one by one). Attempts, chores, input and completion stand apart already.
    "Consumer": (191, 17),
    # A broker's documented surface, one method per request.
    "SandboxExchange": (207, 41), "SuperOrders": (158, 17), "GttBook": (161, 16),
}  # fmt: skip
BIGGER_HELPERS = {
    # The hands of a test at a service or a broker: a short method for each thing that is done or asked there.
    "Around": (180, 26), "Stage": (262, 27), "BrokerLife": (117, 19), "Box": (93, 17), "KiteDesk": (159, 20),
    "Desk": (110, 17),
}  # fmt: skip
# Modules of today, `__init__` not counted.
BIGGER_FOLDERS = {
    # One module per kind of request, frame and stream of a broker's interface.
    "libs/tradebus/brokers/dhan": 20, "libs/tradebus/brokers/kite": 22, "libs/tradebus/brokers/upstox": 26,
    "services/sandbox/faces/dhan": 28, "services/sandbox/faces/kite": 19, "services/sandbox/faces/upstox": 27,
    # One module per message or kernel.
    "libs/tradebus/contracts": 16, "libs/tradebus/indicators": 15,
}  # fmt: skip


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def length(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def too_big(path: Path, bigger: Mapping[str, tuple[int, int]] = BIGGER_CLASSES) -> list[str]:
    """What of a file is over a limit, each with its size."""
    text = path.read_text()
    lines = len(text.splitlines())
    found = [f"{lines} lines"] if lines > FILE_LINES_MAX else []
    for node in ast.walk(ast.parse(text, filename=str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > FUNCTION_LINES_MAX:
            found.append(f"{node.name} {length(node)} lines")
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body)
            lines_max, methods_max = bigger.get(node.name, (CLASS_LINES_MAX, CLASS_METHODS_MAX))
            if length(node) > max(lines_max, CLASS_LINES_MAX) or methods > max(methods_max, CLASS_METHODS_MAX):
                found.append(f"{node.name} {length(node)} lines, {methods} methods")
    return found


def test_files_functions_and_classes_stay_small():
    found = {relative(path): big for path in SOURCES if (big := too_big(path))}
    found |= {relative(path): big for path in HELPERS if (big := too_big(path, BIGGER_HELPERS))}
    assert not found, found


def test_folders_stay_small():
    modules = Counter(relative(path.parent) for path in SOURCES if path.name != "__init__.py")
    over = {
        folder: count for folder, count in modules.items()
        if count > BIGGER_FOLDERS.get(folder, FOLDER_MODULES_MAX)
    }  # fmt: skip
    assert not over, over


def test_the_check_of_sizes_can_fail(tmp_path):
    bad = tmp_path / "bad.py"
    methods = "".join(f"    def m{number}(self): ...\n" for number in range(16))
    bad.write_text(f"class Big:\n{methods}\n" + "x = 1\n" * 400)
    assert too_big(bad) == ["418 lines", "Big 17 lines, 16 methods"]
    bad.write_text("def long():\n" + "    x = 1\n" * 60)
    assert too_big(bad) == ["long 61 lines"]
