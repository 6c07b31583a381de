"""A sweep from beginning to end: what is not done yet, over all cores, part by part into its book."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.cli.output import Verbosity, say
from services.cli.sweeping.book import SweepBook, trials_on
from services.cli.sweeping.inputs import SweepRequest, input_of, open_run
from tradebus.engine.bulk.run import BulkRun
from tradebus.engine.bulk.sweep import Swept, many
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.protocol import StrategyParameters

Work = Callable[[int], tuple[int, Swept]]


class WorkPool(Protocol):
    """What works parts off, wherever: a function of one argument over many, as they are done."""

    def map(
        self, function: Callable[[int], tuple[int, Swept]], items: Iterable[int]
    ) -> Iterator[tuple[int, Swept]]: ...


class ThreadPool:
    """All cores of this machine: kernels let other threads run."""

    def map(self, function: Work, items: Iterable[int]) -> Iterator[tuple[int, Swept]]:
        pool = ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            for done in as_completed([pool.submit(function, item) for item in items]):
                yield done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """`combinations_per_second`: bars times sets of this call's work; 0 where all was done before."""

    run: BulkRun
    swept: Swept
    trials: int
    combinations_per_second: float


def sweep(request: SweepRequest, *, state_dir: Path, afresh: bool, pool: WorkPool | None = None) -> SweepOutcome:
    """Raises InvalidInput before anything is computed for a set of parameters that the strategy refuses."""
    given = input_of(request.history)
    run = open_run(request)
    sets = _checked(run, request.points)
    book = SweepBook(state_dir, request, given)
    left = book.begin(afresh=afresh)
    if len(left) < len(book.parts):
        say(f"{len(book.parts) - len(left)} of {len(book.parts)} parts were done before")

    def work(number: int) -> tuple[int, Swept]:
        return number, many(run, [sets[place] for place in book.parts[number]])

    began_ns = monotonic_ns()
    with _progress(sum(len(book.parts[number]) for number in left)) as advance:
        for number, swept in (pool or ThreadPool()).map(work, left):
            book.keep(number, swept)
            advance(len(book.parts[number]))
    seconds = (monotonic_ns() - began_ns) / 1e9
    combinations = run.market.traded_bars * sum(len(book.parts[number]) for number in left)
    return SweepOutcome(run, book.read(), trials_on(state_dir, given), combinations / seconds if left else 0.0)


def _checked(run: BulkRun, points: Sequence[dict[str, Any]]) -> list[StrategyParameters]:
    found, refused = [], []
    for point in points:
        try:
            found.append(run.parameters(point))
        except InvalidInput as error:
            refused.append(str(error))
    if refused:
        raise InvalidInput(f"{len(refused):,} of {len(points):,} points are refused, the first: {refused[0]}")
    return found


@contextmanager
def _progress(sets: int) -> Iterator[Callable[[int], None]]:
    """Sets done, and what is left, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("sets"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    silent = Verbosity.silent or not console.is_terminal
    with Progress(*columns, console=console, disable=silent) as progress:
        task = progress.add_task("sets", total=sets)
        yield lambda count: progress.advance(task, count)
