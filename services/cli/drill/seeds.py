"""Runs of many seeds: in processes of their own, all cores, the same for the same seed wherever it runs.

window of seeds ─► pieces ─► workers (spawned, a hash seed of their own) ─► verdicts ─► totals
"""

import gc
import logging
import multiprocessing
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import structlog

from services.cli.drill.running.invariants import Invariant
from services.cli.drill.running.plan import BROKERS, DrillPlan, plan_of
from services.cli.drill.running.play import DrillResult, DrillRun, drill_settings
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.kernel.clock import process_ns
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_PIECE = 20
YOUNG_OBJECTS = 50_000  # a run makes and drops many: collected seldom


@dataclass(frozen=True, slots=True)
class SeedVerdict:
    """What a run came to, in few words. `violations` and `known` by name."""

    seed: int
    digest: str
    violations: tuple[tuple[str, str], ...]
    known: tuple[tuple[str, float], ...]
    faults: dict[str, int]
    orders: int
    positions: int
    kills: int
    seconds: float


@dataclass(slots=True)
class DrillTotals:
    """Of all runs so far. `failing` are seeds in ascending order, with what was violated first."""

    runs: int = 0
    orders: int = 0
    positions: int = 0
    kills: int = 0
    simulated_seconds: float = 0.0
    cpu_seconds: float = 0.0
    violations: Counter[str] = field(default_factory=Counter)
    failing: dict[int, tuple[str, str]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    known_seconds_max: dict[str, float] = field(default_factory=dict)

    def add(self, verdict: SeedVerdict) -> None:
        self.runs += 1
        self.orders += verdict.orders
        self.positions += verdict.positions
        self.kills += verdict.kills
        self.simulated_seconds += verdict.seconds
        self.faults.update(verdict.faults)
        for name in {name for name, _ in verdict.violations}:
            self.violations[name] += 1
        if verdict.violations:
            self.failing[verdict.seed] = verdict.violations[0]
        for why, seconds in verdict.known:
            self.known[why] += 1
            self.known_seconds_max[why] = max(seconds, self.known_seconds_max.get(why, 0.0))

    @property
    def passed(self) -> bool:
        return not self.failing

    @property
    def runs_per_cpu_second(self) -> float:
        return self.runs / self.cpu_seconds if self.cpu_seconds else 0.0


def seed_of_day(day: date) -> int:
    """Where the window of a day begins: every day has another, far enough apart for a million runs."""
    return day.toordinal() * 1_000_000


@contextmanager
def drill_place() -> Iterator[Path]:
    """A state folder with the logins of the drill's brokers; services say nothing meanwhile."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="tradebus-drill-") as folder:
            # What a killed process had not begun yet.
            warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)
            for name in BROKERS:
                Credentials(Path(folder)).put(name, Credential(name, "key", access_token="drill"))  # noqa: S106
            yield Path(folder)
    finally:
        logging.disable(disabled)
        structlog.configure(**before)


def play_seed(seed: int, *, state_dir: Path, plan: DrillPlan | None = None) -> DrillResult:
    """One run in this process."""
    return DrillRun(plan or plan_of(seed), state_dir=state_dir, settings=drill_settings()).play()


def verdict_of(result: DrillResult) -> SeedVerdict:
    return SeedVerdict(
        result.seed, result.digest, tuple((one.invariant.value, one.text) for one in result.violations),
        tuple((one.why, one.seconds) for one in result.known), result.faults, result.orders, result.positions,
        result.kills, result.seconds,
    )  # fmt: skip


def play_window(
    first: int, runs: int, *, jobs: int, told: Callable[[DrillTotals], None], stop_at_first: bool = False
) -> DrillTotals:
    """Runs `runs` seeds from `first` on in `jobs` processes. `told` hears how it stands after every piece."""
    totals = DrillTotals()
    pieces = [range(start, min(start + _PIECE, first + runs)) for start in range(first, first + runs, _PIECE)]
    os.environ.setdefault("PYTHONHASHSEED", "0")  # of the workers
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting: set[Future[tuple[list[SeedVerdict], float]]] = set()
        queue = iter(pieces)
        while True:
            while len(waiting) < 2 * jobs and (piece := next(queue, None)) is not None:
                waiting.add(pool.submit(play_piece, piece))
            if not waiting:
                return totals
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                verdicts, cpu_seconds = future.result()
                totals.cpu_seconds += cpu_seconds
                for verdict in verdicts:
                    totals.add(verdict)
            told(totals)
            if stop_at_first and totals.failing:
                pool.shutdown(wait=True, cancel_futures=True)
                return totals


def play_piece(seeds: Sequence[int]) -> tuple[list[SeedVerdict], float]:
    """These seeds in this process, and the processor time they took (seconds)."""
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)
    began_ns = process_ns()
    with drill_place() as state_dir:
        verdicts = [verdict_of(play_seed(seed, state_dir=state_dir)) for seed in seeds]
    return verdicts, (process_ns() - began_ns) / NANOSECONDS_PER_SECOND


def invariant_rows(totals: DrillTotals) -> list[tuple[str, int]]:
    """Every invariant with the runs that violate it."""
    return [(one.value, totals.violations[one.value]) for one in Invariant]
