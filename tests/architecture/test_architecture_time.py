"""Everything waits and measures by the timers that it is given: nothing below the top asks the machine's clock.

What is real, a socket on a thread, a server's process, a person, is waited for in real time, and named here with why.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for pattern in ("libs/tradebus/*/**/*.py", "services/**/*.py")
    for path in ROOT.glob(pattern)
    if "libs" not in path.relative_to(ROOT).parts[:1]
    or path.relative_to(ROOT).parts[2] in ("brokers", "bus", "store", "runtime")
)
# Folders and files that may wait by the machine's clock, and why.
REAL = {
    "services/cli": "the top: it makes the wall timers, starts processes, waits for them and for people, and measures",
    "services/sandbox": "servers for real sockets, and what they are measured with",
    "libs/tradebus/runtime/embedded": "starts the processes of real servers, beside every event loop",
    "libs/tradebus/runtime/shell.py": "the top: it makes the wall timers; the end of a process is real",
    "libs/tradebus/runtime/health.py": "a caller on a socket",
    "libs/tradebus/runtime/http/bounds.py": "a caller on a socket",
    "libs/tradebus/runtime/isolation/process.py": "another process, and the processor time it may use",
    "libs/tradebus/store/migrate.py": "a command without an event loop, in front of a real server",
    "libs/tradebus/brokers/common/replies/bodies.py": "a thread that reads a socket",
    "libs/tradebus/brokers/dhan/failures.py": "a thread that reads a socket",
    "libs/tradebus/brokers/kite/failures.py": "a thread that reads a socket",
    "libs/tradebus/brokers/upstox/transport.py": "a thread that reads a socket",
}
_MAKERS = {"WallClock", "WallTimers", "wall_timers"}
_ASYNCIO = {"timeout", "timeout_at", "wait_for"}
_LOOP = {"call_later", "call_at"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_real(place: str) -> bool:
    return any(place == named or place.startswith(f"{named}/") for named in REAL)


def own_clock(module: ast.Module) -> list[str]:
    """Where a module waits or measures by the machine's clock."""
    found: list[str] = []
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            if node.module == "tradebus.kernel.clock" and any(name.name == "monotonic_ns" for name in node.names):
                found.append(f"line {node.lineno}: imports monotonic_ns")
        elif isinstance(node, ast.Call) and (said := _said(node)):
            found.append(f"line {node.lineno}: {said}")
    return found


def _said(call: ast.Call) -> str:
    """What the call asks of the machine's clock; "" where nothing."""
    function = call.func
    if isinstance(function, ast.Name):
        return f"{function.id}()" if function.id in _MAKERS else ""
    if not isinstance(function, ast.Attribute):
        return ""
    owner, name = getattr(function.value, "id", ""), function.attr
    if name in _LOOP or (owner == "clock" and name == "monotonic_ns") or (owner == "loop" and name == "time"):
        return f"{owner}.{name}()"
    if name == "sleep" and owner in ("asyncio", "time"):
        yields = owner == "asyncio" and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
        return "" if yields else f"{owner}.sleep(…)"
    if owner != "asyncio":
        return ""
    waits = name in _ASYNCIO or (name == "wait" and any(keyword.arg == "timeout" for keyword in call.keywords))
    return f"asyncio.{name}(…)" if waits else ""


@pytest.mark.parametrize("path", [path for path in SOURCES if not is_real(relative(path))], ids=relative)
def test_nothing_waits_or_measures_but_by_its_timers(path: Path) -> None:
    found = own_clock(ast.parse(path.read_text(), filename=str(path)))
    assert found == [], "wait by the timers that are passed in: tradebus.waiting.timers has sleep and deadline"


def test_every_named_reason_is_needed() -> None:
    needed = {relative(path) for path in SOURCES if own_clock(ast.parse(path.read_text()))}
    unused = [named for named in REAL if not any(place == named or place.startswith(f"{named}/") for place in needed)]
    assert unused == []


@pytest.mark.parametrize(
    "line",
    [
        "from tradebus.kernel.clock import Clock, monotonic_ns",
        "clock.monotonic_ns()",
        "await asyncio.sleep(0.5)",
        "await asyncio.sleep(delay)",
        "time.sleep(1)",
        "asyncio.timeout(5)",
        "asyncio.wait(tasks, timeout=5)",
        "loop.time()",
        "asyncio.get_running_loop().call_later(1, call)",
        "timers = timers or WallTimers(clock)",
        "clock = clock or WallClock()",
    ],
)
def test_the_check_of_waits_can_fail(line: str) -> None:
    assert len(own_clock(ast.parse(line))) == 1
    assert own_clock(ast.parse("await asyncio.sleep(0)\nself._timers.monotonic_ns()\nasyncio.wait(tasks)")) == []
