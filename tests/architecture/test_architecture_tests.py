"""What a test may not do: wait for luck, look inside, stand on another test, go on for ever.

A sleep, a database's `pg_sleep` too, is a poll (in a `while` that asks for a condition), a yield (`sleep(0)`), or says
on its line why it lasts as long as it does. Private attributes are reached through `self` and `cls` only, by whatever
way: `a._b`, `getattr(a, "_b")`, `vars(a)["_b"]`, `attrgetter("_b")`, `monkeypatch.setattr(a, "_b", …)`.
"""

import ast
import re
from pathlib import Path

import pytest
from testkit.source_names import SourceNames

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 400
TESTS = sorted(ROOT.glob("tests/**/*.py"))
# A named tuple's own words begin with an underscore.
PUBLIC = {"_replace", "_asdict", "_fields", "_make"}
# Oracles: the official clients parse inside what they call private, and say so nowhere else. Dhan's feed is ended by
# `_running`: its own `close_connection` waits for a loop that has ended.
_REACHERS = {
    "getattr", "setattr", "delattr", "hasattr", "delitem", "setitem", "attrgetter", "methodcaller", "getattr_static",
    "__getattribute__", "__setattr__",
}  # fmt: skip
ORACLES = {"_parse_binary", "_parse_text_message", "_default_login_uri", "_running"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def unexplained_sleeps(text: str) -> list[int]:
    """Lines of sleeps that are neither a poll, nor a yield, nor explained."""
    lines = text.splitlines()
    polls: set[ast.AST] = set()
    tree = ast.parse(text)
    names = SourceNames(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.While):
            polls |= set(ast.walk(node))
    found = []
    for node in ast.walk(tree):
        is_explained = "# " in lines[getattr(node, "lineno", 1) - 1].replace("# noqa", "")
        if isinstance(node, ast.Call):
            is_yield = bool(node.args) and ast.unparse(node.args[0]) == "0"
            sleeps = names.path(node.func) in ("time.sleep", "asyncio.sleep") and node not in polls and not is_yield
        else:
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            sleeps = is_text and re.search(r"\bpg_sleep\w*\(", node.value) is not None
        if sleeps and not is_explained:
            found.append(node.lineno)
    return sorted(found)


def private_accesses(text: str) -> list[int]:
    """Lines that reach for `._name` of something else than `self` or `cls`."""
    tree = ast.parse(text)
    names = SourceNames(tree)
    return sorted({node.lineno for node in ast.walk(tree) if _is_private_access(node, names)})


def _is_private_access(node: ast.AST, names: SourceNames) -> bool:
    if isinstance(node, ast.Attribute):
        return is_private(node.attr) and not _is_own(node.value)
    if isinstance(node, ast.ImportFrom):
        return any(is_private(name.name) for name in node.names)
    if isinstance(node, ast.Subscript):
        owner = node.value
        inside = isinstance(owner, ast.Call) and names.path(owner.func) == "vars" and not _is_own(*owner.args[:1])
        inside = inside or (isinstance(owner, ast.Attribute) and owner.attr == "__dict__" and not _is_own(owner.value))
        return inside and any(map(is_private, _texts(node.slice)))
    if not isinstance(node, ast.Call):
        return False
    called = names.path(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")
    if called not in _REACHERS or (node.args and _is_own(node.args[0])):
        return False
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    return any(is_private(part) for one in given for text in _texts(one) for part in text.split("."))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC | ORACLES


def _is_own(*owners: ast.expr) -> bool:
    return any(isinstance(one, ast.Name) and one.id in ("self", "cls") for one in owners)


def _texts(node: ast.AST) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


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
    assert unexplained_sleeps("from asyncio import sleep as rest\nimport time as t\nrest(1)\nt.sleep(2)\n") == [3, 4]
    assert unexplained_sleeps("run('SELECT pg_sleep(1)')\nrun('SELECT pg_sleep(1)')  # a slow one\n") == [1]
    assert private_accesses("a._b\nself._b\nrow._replace(x=1)\nself.a._b\n") == [1, 4]


@pytest.mark.parametrize(
    "text",
    [
        "getattr(a, '_b')", "getattr(a, '_b', None)", "setattr(a, '_b', 1)", "delattr(a, '_b')", "vars(a)['_b']",
        "a.__dict__['_b']", "from operator import attrgetter as get\nget('_b')",
        "import operator\noperator.attrgetter('c._b')",
        "monkeypatch.setattr('tradebus.store.migrate._RETRY', 1)", "monkeypatch.setattr(shell, '_GRACE', 1)",
        "monkeypatch.delattr(shell, name='_GRACE')", "object.__setattr__(a, '_b', 1)", "from tradebus.a import _b",
        "operator.methodcaller('_b')(a)",
    ],
)  # fmt: skip
def test_the_check_of_private_access_can_fail(text):
    assert private_accesses(text)
    assert (
        private_accesses("getattr(a, 'b')\nsetattr(self, '_b', 1)\nvars(a)['b']\na['_b']\nfrom a import b as _b") == []
    )
