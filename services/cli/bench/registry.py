"""Benchmarks by name. A function takes nothing and returns its figures: a dict of JSON values, or of dicts of them."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from services.cli.output import print_json, say
from tradebus.kernel.errors import InvalidInput, nearest

Benchmark = Callable[[], dict[str, Any]]
BENCHMARKS: dict[str, str] = {
    "ingest": "services.cli.bench.ingest:measure",
    "latency": "services.cli.bench.latency.measure:measure",
    "candles": "tradebus.indicators.measure:measure_kernels",
    "opinions": "services.cli.bench.opinions.measure:measure",
    "parse": "services.cli.bench.parse:measure",
    "accounts": "services.cli.bench.accounts.measure:measure",
    "governor": "services.cli.bench.governor.measure:measure",
    "orders": "services.cli.bench.orders.measure:measure",
    "engine": "services.cli.bench.engine:measure",
    "backtest": "services.cli.bench.backtest:measure",
    "sandbox": "services.sandbox.load.measure:measure_sandbox",
}
_LONG = ("accounts", "backtest", "engine", "governor", "orders", "sandbox")  # run when they are named
DEFAULT = tuple(name for name in BENCHMARKS if name not in _LONG)


def find_benchmark(name: str) -> Benchmark:
    """Raises InvalidInput for an unknown name, or one whose code is not installed."""
    if name not in BENCHMARKS:
        raise InvalidInput(f"bench {name!r}: unknown{nearest(name, BENCHMARKS)}; known are {', '.join(BENCHMARKS)}")
    module, _, function = BENCHMARKS[name].partition(":")
    try:
        found: Benchmark = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise InvalidInput(f"bench {name!r}: {module} is not part of this installation") from error
    return found


def run_benchmarks(names: Sequence[str], *, json: bool) -> None:
    """Every benchmark is looked up before the first one runs."""
    chosen = {name: find_benchmark(name) for name in names or DEFAULT}
    figures: dict[str, Any] = {}
    for name, benchmark in chosen.items():
        say(f"bench {name} …")
        figures[name] = benchmark()
        if not json:
            print(name)
            for key, value in figures[name].items():
                print(f"  {key:<34} {_shown(value)}")
    if json:
        print_json({"command": "bench", **figures})


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "   ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
