"""The rules of DESIGN as checks: layers, stream owners, clocks. Each has a named escape or a ratchet."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tradebus.contracts import streams
from tradebus.contracts.streams import STREAMS, Stream

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("libs/tradebus/**/*.py"), *ROOT.glob("services/**/*.py")])
# What a service may publish besides its own streams: the gateway's relay is the only one that copies others' messages.
CLOCKS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "datetime.now", "datetime.utcnow", "date.today", "uuid.uuid4", "uuid.uuid1"
}  # fmt: skip
# Passwords and tokens must not be repeatable.
DRAWS_SECRETS = {"libs/tradebus/runtime/embedded/servers.py", "services/gateway/settings.py"}
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
    """Names of stream constants that the file hands to `emit(...)` or `Outgoing(...)` as first argument."""
    module = tree(path)
    # A module constant such as _INTENTS = INTENTS.shard(0) stands for its stream.
    alias = {
        target.id: name
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
        for name in constants_in(node.value)
    }
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("emit", "Outgoing"):
                found |= constants_in(node.args[0])
                found |= {alias[part.id] for part in ast.walk(node.args[0]) if getattr(part, "id", None) in alias}
    return found


def constants_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in CONSTANTS}


def test_a_service_publishes_only_to_the_streams_it_owns():
    for path in ROOT.glob("services/*/**/*.py"):
        service = path.relative_to(ROOT / "services").parts[0]
        if service == "cli":
            continue
        for name in published_streams(path):
            assert CONSTANTS[name].producer in (service, "external"), f"{relative(path)} publishes to {name}"


def test_the_check_of_owners_can_fail(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("from tradebus.contracts.streams import ORDERS\n_HERE = ORDERS.name\ntx.emit(_HERE, message)\n")
    assert published_streams(bad) == {"ORDERS"}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_outside_the_kernel_reads_a_clock_or_draws_at_random(path):
    if "tradebus/kernel/" in relative(path):
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = getattr(node.func.value, "id", getattr(node.func.value, "attr", ""))
            called = f"{owner}.{node.func.attr}"
            assert called not in CLOCKS, f"{relative(path)}:{node.lineno} calls {called}"
        if isinstance(node, ast.Import):
            banned = {name.name for name in node.names} & {"random", "secrets"}
            assert not banned or relative(path) in DRAWS_SECRETS, f"{relative(path)}:{node.lineno} imports {banned}"


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
