"""The rules of DESIGN as checks: layers, stream owners, clocks. Each has a named escape or a ratchet."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.source_names import SourceNames

from tradebus.contracts import streams
from tradebus.contracts.streams import STREAMS, Stream

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("libs/tradebus/**/*.py"), *ROOT.glob("services/**/*.py")])
CLOCKS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "uuid.uuid4", "uuid.uuid1", "os.urandom", "random.SystemRandom",
}  # fmt: skip
# Passwords and tokens must not be repeatable.
DRAWS_SECRETS = {
    "libs/tradebus/runtime/embedded/starting.py",
    "services/gateway/settings.py",
    "services/cli/webhooks.py",
}
_SENDERS = {"emit", "Outgoing", "publish"}
UNKNOWN = "UNKNOWN"
# Emits what a handler of its own service has put beside its stream.
PASSES_ON = {"services/risk/adapters/memory.py", "services/risk/adapters/postgres.py"}
# A script of the standard library alone, beside every event loop: it has no kernel to ask.
_NO_KERNEL = "libs/tradebus/runtime/embedded/keeper.py"
CONSTANTS = {name: value for name, value in vars(streams).items() if isinstance(value, Stream)}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_go_down_only():
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-3000:]


def test_every_stream_has_one_producer_that_exists():
    names = [stream.name for stream in STREAMS]
    assert len(names) == len(set(names))
    for stream in STREAMS:
        assert stream.producer == "external" or (ROOT / "services" / stream.producer).is_dir(), stream
    assert {stream.name for stream in CONSTANTS.values()} == set(names), "a stream is missing from the table"


def published_streams(path: Path) -> set[str]:
    """Names of the stream constants, or of `UNKNOWN`, that the file hands to `emit(…)`, `Outgoing(…)` or `publish(…)`,
    however it calls them: by a module's attribute, under a further name, through another module's constant, as text."""
    module = tree(path)
    names = SourceNames(module)
    own = relative(path).removesuffix(".py").replace("/", ".") if path.is_relative_to(ROOT) else ""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and (called := names.path(node.func).rpartition(".")[2]).strip("_") in _SENDERS:
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            found |= {name for argument in given for name in streams_in(argument, names, own=own)}
            first = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "stream")]
            if called in ("emit", "Outgoing") and not any(streams_in(one, names, own=own) for one in first):
                found.add(UNKNOWN)
    return found


def streams_in(node: ast.AST, names: SourceNames, *, own: str) -> set[str]:
    """The stream constants that an expression in the module `own` is made of."""
    texts = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    for part in ast.walk(node):
        if isinstance(part, ast.Name | ast.Attribute):
            path = names.path(part)
            if path.startswith("tradebus.contracts.streams."):
                texts |= {CONSTANTS[name].name for name in path.split(".")[3:4] if name in CONSTANTS}
            texts |= {value_of(path)} if path.startswith("services.") else set()
            texts |= {value_of(f"{own}.{part.id}")} if isinstance(part, ast.Name) else set()
    return {
        name for name, stream in CONSTANTS.items()
        if any(text == stream.name or text.startswith(f"{stream.name}.{{") for text in texts)
    }  # fmt: skip


def value_of(path: str) -> str:
    """The text that another module's constant stands for; "" for what is none."""
    place, _, name = path.rpartition(".")
    if not name.isupper() or not (ROOT / f"{place.replace('.', '/')}.py").is_file():
        return ""
    value = getattr(importlib.import_module(place), name, None)
    return value.name if isinstance(value, Stream) else value if isinstance(value, str) else ""


def test_a_service_publishes_only_to_the_streams_it_owns():
    for path in ROOT.glob("services/*/**/*.py"):
        service = path.relative_to(ROOT / "services").parts[0]
        published = published_streams(path)
        if service == "cli":  # measures: its benchmarks play every part, in namespaces of their own
            continue
        assert UNKNOWN not in published or relative(path) in PASSES_ON, f"{relative(path)} publishes to what it is told"
        for name in published - {UNKNOWN}:
            assert CONSTANTS[name].producer in (service, "external"), f"{relative(path)} publishes to {name}"
    assert {place for place in PASSES_ON if UNKNOWN not in published_streams(ROOT / place)} == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from tradebus.contracts.streams import ORDERS\n_HERE = ORDERS.name\ntx.emit(_HERE, message)", "ORDERS"),
        ("from tradebus.contracts import streams\nbus.publish([port.Outgoing(streams.ORDERS.name, 'a')])", "ORDERS"),
        ("from tradebus.contracts import streams as s\nself._bus.publish(s.INTENTS.shard(0))", "INTENTS"),
        ("from tradebus.contracts.streams import ORDERS as O\nfrom tradebus.bus.port import Outgoing as P\nP(O.name)",
         "ORDERS"),
        ("from tradebus.contracts.streams import ORDERS\nOutgoing(stream=ORDERS.name, kind='a')", "ORDERS"),
        ("from services.execution.handlers import INTENTS_STREAM\ntx.emit(INTENTS_STREAM, message)", "INTENTS"),
        ("tx.emit('orders.v1', message)", "ORDERS"),
        ("from tradebus.contracts import streams\ndef f():\n    here = streams.ORDERS\n    tx.emit(here.name, m)",
         "ORDERS"),
        ("from tradebus.contracts.streams import ORDERS\nself._emit(tx, 'a', stream=ORDERS.name)", "ORDERS"),
        ("from tradebus.contracts.streams import ORDERS\ndef f(*, to=ORDERS.name):\n    tx.emit(to, m)", "ORDERS"),
        ("tx.emit(stream, message)", "UNKNOWN"),
        ("bus.publish([Outgoing(stream, message)])", "UNKNOWN"),
    ],
)  # fmt: skip
def test_the_check_of_owners_can_fail(tmp_path, text, found):
    bad = tmp_path / "bad.py"
    bad.write_text(text)
    assert published_streams(bad) == {found}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_outside_the_kernel_reads_a_clock_or_draws_at_random(path):
    if "tradebus/kernel/" in relative(path) or relative(path) == _NO_KERNEL:
        return
    found = clocks_and_draws(tree(path))
    if relative(path) in DRAWS_SECRETS:
        found = [said for said in found if " secrets" not in said]
    assert found == []


def clocks_and_draws(module: ast.Module) -> list[str]:
    names = SourceNames(module)
    draws = {(line, path) for line, path in names.imported if path.partition(".")[0] in ("random", "secrets")}
    reads = {
        (node.lineno, path) for node, path in names.read() if path in CLOCKS or path.startswith("numpy.random.rand")
    }  # fmt: skip
    return [f"line {line}: {path}" for line, path in sorted(draws | reads)]


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.time()", "from time import time_ns as now\nnow()", "import time as t\nt.monotonic()",
        "from datetime import datetime as moment\nmoment.now()", "import datetime\ndatetime.date.today()",
        "from uuid import uuid4\nuuid4()", "from random import choice", "from secrets import token_hex",
        "import numpy as np\nnp.random.rand()", "import os\nos.urandom(8)",
    ],
)  # fmt: skip
def test_the_check_of_clocks_can_fail(text):
    assert clocks_and_draws(ast.parse(text))


def test_no_mock_no_todo_no_silent_except():
    for path in [*SOURCES, *ROOT.glob("tests/**/*.py")]:
        text = path.read_text()
        if path == Path(__file__):
            continue
        for word in ("unittest.mock", "MagicMock", "TO" + "DO", "FIX" + "ME"):
            assert word not in text, f"{relative(path)} contains {word}"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                raise AssertionError(f"{relative(path)}:{node.lineno} catches everything without a name")


def test_every_dependency_is_pinned_with_hashes():
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("==" in line for line in pins), name
        assert text.count("--hash=sha256:") >= len(pins)
        assert "http" + "s://" not in text


def test_contracts_are_json_serialisable_and_named():
    from tradebus.contracts.registry import MESSAGES

    for name, model in MESSAGES.items():
        assert name == model.TYPE
        json.dumps(model.model_json_schema())
        assert model.__doc__, f"{name} has no docstring for the catalogue"
