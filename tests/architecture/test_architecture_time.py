"""Everything waits and measures by the timers that it is given: nothing below the top asks the machine's clock.

What is real, a socket on a thread, a server's process, a person, is waited for in real time, and named here with why.
Names are followed through imports (`testkit.source_names`): how a call is spelt does not matter.
"""

import ast
from pathlib import Path

import pytest
from testkit.source_names import SourceNames

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("libs/tradebus/**/*.py"), *ROOT.glob("services/**/*.py")])
# Folders and files that may wait by the machine's clock, and why.
REAL = {
    "libs/tradebus/kernel": "where the machine's clock is read for all others",
    "libs/tradebus/waiting": "what makes waiting by any timers out of the event loop's own",
    "services/cli": "the top: it makes the wall timers, starts processes, waits for them and for people, and measures",
    "services/sandbox": "servers for real sockets, and what they are measured with",
    "libs/tradebus/config/market_rules.py": "the first lines of a process, nothing being wired: which day today is",
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
_MACHINE = {
    "asyncio.sleep", "asyncio.timeout", "asyncio.timeout_at", "asyncio.wait_for", "asyncio.Timeout",
    "time.sleep", "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter",
    "time.perf_counter_ns", "time.process_time", "time.process_time_ns", "time.clock_gettime", "time.clock_gettime_ns",
    "threading.Timer", "signal.alarm", "signal.setitimer", "sched.scheduler",
    "tradebus.kernel.clock.monotonic_ns", "tradebus.kernel.clock.process_ns", "tradebus.kernel.clock.WallClock",
    "tradebus.waiting.timers.WallTimers", "tradebus.waiting.timers.wall_timers",
}  # fmt: skip
# Whatever has these has them by the machine's clock.
_METHODS = {"call_later", "call_at"}
_LOOPS = ("asyncio.get_running_loop()", "asyncio.get_event_loop()", "asyncio.new_event_loop()")
# Of threads, processes and futures, with how long at most.
_WAITS = {"wait", "join", "get", "put", "result", "exception", "acquire", "communicate", "as_completed"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_real(place: str) -> bool:
    return any(place == named or place.startswith(f"{named}/") for named in REAL)


def own_clock(module: ast.Module) -> list[str]:
    """Where a module waits or measures by the machine's clock."""
    names = SourceNames(module)
    yields = {
        id(node.func) for node in ast.walk(module)
        if isinstance(node, ast.Call) and names.path(node.func) == "asyncio.sleep" and node.args
        and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
    }  # fmt: skip
    found = [
        (node.lineno, path) for node, path in names.read() if id(node) not in yields and _is_the_machines(path)
    ]  # fmt: skip
    found += [
        (node.lineno, f"{names.path(node.func)}(… for so long)") for node in ast.walk(module)
        if isinstance(node, ast.Call) and _is_bounded_wait(node, names.path(node.func))
    ]  # fmt: skip
    return [f"line {line}: {said}" for line, said in sorted(found)]


def _is_the_machines(path: str) -> bool:
    path = path.replace("asyncio.tasks.", "asyncio.").replace("asyncio.timeouts.", "asyncio.")
    owner, _, name = path.rpartition(".")
    is_loops = name == "time" and (owner in _LOOPS or owner.rpartition(".")[2] in ("loop", "_loop"))
    return path in _MACHINE or (bool(owner) and name in _METHODS) or is_loops


def _is_bounded_wait(call: ast.Call, path: str) -> bool:
    """`event.wait(5)`, `queue.get(timeout=1)`, `thread.join(2.0)`, `asyncio.wait(tasks, timeout=3)`."""
    name = path.rpartition(".")[2] or getattr(call.func, "attr", "")
    if name not in _WAITS:
        return False
    if any(keyword.arg == "timeout" for keyword in call.keywords):
        return name != "get" or not call.args  # a client's get(url, timeout=…) is a request on a socket
    is_number = bool(call.args) and isinstance(call.args[0], ast.Constant) and type(call.args[0].value) in (int, float)
    anything = name == "wait" and bool(call.args) and path != "asyncio.wait"
    return anything or (is_number and name in ("join", "result", "exception"))


@pytest.mark.parametrize("path", [path for path in SOURCES if not is_real(relative(path))], ids=relative)
def test_nothing_waits_or_measures_but_by_its_timers(path: Path) -> None:
    found = own_clock(ast.parse(path.read_text(), filename=str(path)))
    assert found == [], "wait by the timers that are passed in: tradebus.waiting.timers has sleep and deadline"


def test_every_named_reason_is_needed() -> None:
    needed = {relative(path) for path in SOURCES if own_clock(ast.parse(path.read_text()))}
    unused = [named for named in REAL if not any(place == named or place.startswith(f"{named}/") for place in needed)]
    assert unused == []


@pytest.mark.parametrize(
    "text",
    [
        "from tradebus.kernel.clock import Clock, monotonic_ns\nmonotonic_ns()",
        "from tradebus.kernel import clock\nclock.monotonic_ns()",
        "from tradebus.kernel import clock as machine\nmachine.monotonic_ns()",
        "import tradebus.kernel.clock\ntradebus.kernel.clock.monotonic_ns()",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0.5)",
        "import asyncio\nasync def f():\n    await asyncio.sleep(delay)",
        "import asyncio\nworks(wait=asyncio.sleep)",
        "from asyncio import sleep, timeout\nsleep(1)",
        "from asyncio import sleep, timeout\ntimeout(1)",
        "from asyncio import timeout as bound\nbound(1)",
        "import asyncio.timeouts\nasyncio.timeouts.timeout(1)",
        "import time as machine\nmachine.sleep(1)",
        "def f():\n    from time import sleep\n    sleep(1)",
        "import asyncio\nasyncio.wait_for(work, 5)",
        "import asyncio\nasyncio.wait(tasks, timeout=5)",
        "import asyncio as aio\naio.timeout(5)",
        "import asyncio\npause = asyncio.sleep\npause(5)",
        "event.wait(5)",
        "self._event.wait(self._seconds)",
        "thread.join(timeout=1)",
        "thread.join(1)",
        "queue.get(timeout=1)",
        "future.result(3.0)",
        "loop.time()",
        "self._loop.time()",
        "import asyncio\nasyncio.get_running_loop().time()",
        "import asyncio\nnow = asyncio.get_event_loop().time",
        "import asyncio\nturns = asyncio.get_running_loop()\nturns.time()",
        "import asyncio\nasyncio.get_running_loop().call_later(1, call)",
        "from threading import Timer\nTimer(5, call)",
        "from tradebus.waiting.timers import WallTimers\ntimers = timers or WallTimers(clock)",
        "from tradebus.waiting import timers as waiting\ntimers = waiting.wall_timers()",
        "from tradebus.kernel.clock import WallClock\nclock = clock or WallClock()",
    ],
)
def test_the_check_of_waits_can_fail(text: str) -> None:
    assert own_clock(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)",
        "self._timers.monotonic_ns()",
        "import asyncio\nasyncio.wait(tasks)",
        "event.wait()\nqueue.get()\nrows.get('a', 5)\nclient.get(url, timeout=5)\n', '.join(parts)",
        "from tradebus.waiting.timers import sleep\nsleep(timers, 5)",
        "import asyncio\ndef f(loop: asyncio.AbstractEventLoop): loop.call_soon(x)",
    ],
)
def test_what_waits_by_its_timers_is_none(text: str) -> None:
    assert own_clock(ast.parse(text)) == []
