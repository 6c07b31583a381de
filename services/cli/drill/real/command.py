"""`tradebus drill --real`: rounds of runs beside each other on one stack, and what they come to."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cli.drill.real.plan import round_of
from services.cli.drill.real.play import play_round
from services.cli.drill.real.standing import standing
from services.cli.drill.running.story import DrillStory
from services.cli.drill.seeds import DrillTotals

_BESIDE = 10  # runs of a round


async def play_real(
    first: int, runs: int, *, told: Callable[[DrillTotals], None], failed: Callable[[int, DrillStory], None]
) -> DrillTotals:
    """Plays `runs` seeds from `first` on. `told` hears how it stands after every round, `failed` of each run that
    violates something. Raises Unavailable where something does not start."""
    totals = DrillTotals()
    with _quiet(), tempfile.TemporaryDirectory(prefix="tradebus-drill-", ignore_cleanup_errors=True) as folder:
        async with standing(Path(folder), seed=first) as stack:
            for start in range(first, first + runs, _BESIDE):
                verdicts, stories = await play_round(stack, round_of(range(start, min(start + _BESIDE, first + runs))))
                for verdict in verdicts:
                    totals.add(verdict)
                    if verdict.violations:
                        failed(verdict.seed, stories[verdict.seed])
                told(totals)
    return totals


@contextmanager
def _quiet() -> Iterator[None]:
    """Whoever asks a server that crashes complains of it here too."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
