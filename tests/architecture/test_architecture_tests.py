"""What a test may not do: wait for luck, look inside, stand on another test, go on for ever.

A sleep is a poll (in a `while` that asks for a condition), a yield (`sleep(0)`), or says on its line why it lasts as
long as it does. Private attributes are reached through `self` and `cls` only.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 400
TESTS = sorted(ROOT.glob("tests/**/*.py"))
# A named tuple's own words begin with an underscore.
PUBLIC = {"_replace", "_asdict", "_fields", "_make"}
# Oracles: the official clients parse inside what they call private, and say so nowhere else. Dhan's feed is ended by
# `_running`: its own `close_connection` waits for a loop that has ended.
ORACLES = {"_parse_binary", "_parse_text_message", "_default_login_uri", "_running"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def unexplained_sleeps(text: str) -> list[int]:
    """Lines of sleeps that are neither a poll, nor a yield, nor explained."""
    lines = text.splitlines()
    polls: set[ast.AST] = set()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.While):
            polls |= set(ast.walk(node))
    bare = ["sleep"] if re.search(r"from (time|asyncio) import .*\bsleep\b", text) else []
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and node not in polls):
            continue
        name = ast.unparse(node.func)
        is_yield = bool(node.args) and ast.unparse(node.args[0]) == "0"
        is_explained = "# " in lines[node.lineno - 1].replace("# noqa", "")
        if name in ("time.sleep", "asyncio.sleep", *bare) and not is_yield and not is_explained:
            found.append(node.lineno)
    return found


def private_accesses(text: str) -> list[int]:
    """Lines that reach for `._name` of something else than `self` or `cls`."""
    return [
        node.lineno for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_") and not node.attr.startswith("__") and node.attr not in PUBLIC | ORACLES
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]  # fmt: skip


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_waits_for_luck(path):
    found = unexplained_sleeps(path.read_text())
    assert found == [], f"sleeps without a reason: lines {found}"


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_looks_inside(path):
    found = private_accesses(path.read_text())
    assert found == [], f"private attributes: lines {found}"


def test_no_file_of_tests_is_longer_than_one_reads_in_one_go():
    lines = {relative(path): len(path.read_text().splitlines()) for path in TESTS}
    assert {path: count for path, count in lines.items() if count > FILE_LINES_MAX} == {}


def test_no_test_stands_on_another():
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            bad = [name for name in names if name.rpartition(".")[2].startswith("test_") or name == "conftest"]
            assert not bad, f"{relative(path)}:{node.lineno} imports {bad}"


def test_the_checks_can_fail():
    assert unexplained_sleeps("import time\ntime.sleep(0.1)\n") == [2]
    assert unexplained_sleeps("await asyncio.sleep(0.1)  # noqa: X\n") == [1]
    assert unexplained_sleeps("from time import sleep\nsleep(1)\n") == [2]
    assert unexplained_sleeps("await asyncio.sleep(0.1)  # the server's clock\nawait asyncio.sleep(0)\n") == []
    assert unexplained_sleeps("while not ready():\n    time.sleep(0.1)\n") == []
    assert private_accesses("a._b\nself._b\nrow._replace(x=1)\nself.a._b\n") == [1, 4]
