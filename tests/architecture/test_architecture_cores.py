"""The cores are pure, and whatever is new has its place: what `.importlinter` cannot say, and that it is not toothless.

Nothing from the engine down opens a file, asks the environment or imports by a name it makes up; nothing that decides
is a pydantic model. What does so all the same is named here with why.
"""

import ast
import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.source_names import SourceNames

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")
CONTRACTS = configparser.ConfigParser()
CONTRACTS.read(ROOT / ".importlinter")


def listed(contract: str, key: str) -> list[str]:
    return CONTRACTS[f"importlinter:contract:{contract}"][key].split()


CORES = [name.removeprefix("tradebus.") for name in listed("cores", "source_modules")]
SOURCES = sorted(path for core in CORES for path in (ROOT / "libs/tradebus" / core).glob("**/*.py"))
# Files that read the outside, and why. They do so at import or where a program starts, never while it decides.
READS = {
    "libs/tradebus/calendar/rules.py": "the market's rules are rows in a file of the package, read once (decision 13)",
    "libs/tradebus/execution/governor/limits.py": "the brokers' limits are rows in a file of the package, read once",
    "libs/tradebus/contracts/export.py": "a command that writes the schemas",
    "libs/tradebus/strategies/loader.py": "a user's strategy is a file of theirs, read where a session opens",
    "libs/tradebus/strategies/on_demand.py": "imports a built-in strategy of ours when it is first asked for by name",
    "libs/tradebus/strategies/registry.py": "finds what is installed, and the path that a session gives",
    "libs/tradebus/strategies/warm.py": "compiles ahead of time: names the modules that hold kernels",
    "libs/tradebus/engine/warm.py": "the same for bulk mode",
    "libs/tradebus/indicators/warm.py": "compiles ahead of time: names the modules that hold kernels",
    "libs/tradebus/kernel/ids.py": "where random ids are drawn for all others",
}
# Files that have pydantic models, and why. What is decided with are slotted values (decision 16).
MODELS = {
    "libs/tradebus/contracts": "the bus's messages, and sessions' specs as START_TRADING gives them",
    "libs/tradebus/calendar/charging/rows.py": "rows that a user may give in a file: read and checked once",
    "libs/tradebus/calendar/refusals.py": "says what pydantic found wrong with such a file",
    "libs/tradebus/calendar/rows.py": "rows that a user may give in a file: read and checked once",
    "libs/tradebus/calendar/rules.py": "rows that a user may give in a file: read and checked once",
    "libs/tradebus/calendar/written.py": "the types of those rows' values",
    "libs/tradebus/strategies/protocol.py": "a strategy's parameters, checked where a session opens",
    "libs/tradebus/strategies/registry.py": "says which parameter of a session is wrong, where it opens",
    "libs/tradebus/strategies/built_in/ema_20_50.py": "its parameters, checked where a session opens",
    "libs/tradebus/strategies/built_in/ema_cross/strategy.py": "its parameters, checked where a session opens",
    "libs/tradebus/strategies/built_in/orb_parameters.py": "its parameters, checked where a session opens",
}
_READERS = (
    "pathlib", "os", "shutil", "tempfile", "io", "glob", "fileinput", "sqlite3", "pickle", "shelve", "mmap", "csv",
    "pandas", "pyarrow", "importlib", "pkgutil", "runpy", "open", "exec", "eval", "compile", "__import__", "input",
    "print", "numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap", "numpy.save",
    "numpy.savez", "numpy.savetxt", "numba.objmode", "sys.stdin", "sys.stdout", "sys.stderr",
)  # fmt: skip
_MODEL = ("pydantic", "tradebus.contracts.base.Model", "tradebus.contracts.base.Message")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def used(module: ast.Module, paths: tuple[str, ...]) -> list[str]:
    """Where one of them, or part of one, is imported or read."""
    names = SourceNames(module)
    found = {*names.imported, *((node.lineno, path) for node, path in names.read())}
    return [f"line {line}: {path}" for line, path in sorted(found) if any(_is_of(path, one) for one in paths)]


def _is_of(path: str, owner: str) -> bool:
    return path == owner or path.startswith((f"{owner}.", f"{owner}()"))


def is_named(path: Path, named: dict[str, str]) -> bool:
    return any(relative(path) == place or relative(path).startswith(f"{place}/") for place in named)


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        pytest.param(_READERS, READS, id="reads nothing from outside"),
        pytest.param(_MODEL, MODELS, id="decides with plain values"),
    ],
)
def test_a_core(paths: tuple[str, ...], named: dict[str, str]) -> None:
    found = {path: where for path in SOURCES if (where := used(ast.parse(path.read_text()), paths))}
    assert {relative(path): where for path, where in found.items() if not is_named(path, named)} == {}
    unused = [place for place in named if not any(is_named(path, {place: ""}) for path in found)]
    assert unused == [], "a reason that nothing needs"


@pytest.mark.parametrize(
    "text",
    [
        "open('a')", "from pathlib import Path as P\nP('a').read_text()", "import os\nos.environ['X']",
        "import io\nio.open('a')", "from importlib import import_module\nimport_module('asyncio')",
        "__import__('socket')", "import numpy as np\nnp.load('a')", "print('a')",
        "def f():\n    from os import getenv\n    return getenv('A')", "read = open\nread('a')",
    ],
)  # fmt: skip
def test_the_check_of_readers_can_fail(text: str) -> None:
    assert used(ast.parse(text), _READERS)
    assert used(ast.parse("state.open()\nrow.compile\nimport numpy as np\nnp.ones(3)"), _READERS) == []


@pytest.mark.parametrize(
    "text",
    [
        "from pydantic import BaseModel\nclass A(BaseModel): ...", "import pydantic as p\nclass A(p.BaseModel): ...",
        "from tradebus.contracts.base import Model\nclass A(Model): ...",
        "from tradebus.contracts import base\nclass A(base.Message): ...",
    ],
)  # fmt: skip
def test_the_check_of_models_can_fail(text: str) -> None:
    assert used(ast.parse(text), _MODEL)
    assert used(ast.parse("from tradebus.contracts.base import event_id_for\nevent_id_for(1)"), _MODEL) == []


def layers_down_from(layer: str) -> set[str]:
    """The layers of the libraries from this one down, those that are not there yet left out."""
    names = [line.split(" | ") for line in CONTRACTS["importlinter:contract:layers"]["layers"].strip().splitlines()]
    [first] = [number for number, line in enumerate(names) if layer in line]
    below = {name.strip("()") for line in names[first:] for name in line}
    return {name for name in below if (ROOT / "libs/tradebus" / name).is_dir()}


def test_every_library_from_the_engine_down_is_a_core() -> None:
    assert set(CORES) == layers_down_from("engine")


def test_every_domain_of_a_service_is_pure() -> None:
    domains = {f"services.{path.parent.name}.domain" for path in ROOT.glob("services/*/domain")}
    assert domains <= set(listed("pure", "source_modules"))


PLANTED = {
    "libs/tradebus/newcomer/__init__.py": "",
    "services/newcomer/__init__.py": "",
    "libs/tradebus/trading/planted.py": "import threading\n",
    "libs/tradebus/config/planted.py": "import services.risk.settings\n",
    "libs/tradebus/brokers/paper/planted.py": "import tradebus.brokers.registry\n",
    "services/sandbox/domain/planted.py": "from services.sandbox import driver\n",  # which imports asyncio
}


def test_each_contract_of_imports_can_fail(tmp_path: Path) -> None:
    for folder in ("libs/tradebus", "services"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.json"))
    for place, text in PLANTED.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)
    run = subprocess.run(
        [LINT, "--no-cache", "--config", ROOT / ".importlinter"], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": f"{tmp_path / 'libs'}:{tmp_path}"},
    )  # fmt: skip
    contracts = [CONTRACTS[name]["name"] for name in CONTRACTS.sections() if ":contract:" in name]
    said = run.stdout.splitlines()
    assert [name for name in contracts if f"{name} BROKEN" not in said] == [], run.stdout[-3000:] + run.stderr[-2000:]
