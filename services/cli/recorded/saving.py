"""A run into the folder of recorded runs, and out of it again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from services.cli.output import say
from services.cli.recorded.folder import RecordedRun, RecordedRuns
from services.cli.recorded.tables import all_rows, prices_of
from services.cli.reports.page.facts import PageFacts, gather
from services.cli.reports.report import RunReport
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_datetime

REPORT_FILE: Final = "report.json"
TRADES_FILE: Final = "trades.parquet"
DECISIONS_FILE: Final = "decisions.parquet"
VERDICTS_FILE: Final = "verdicts.parquet"
_REPORT: Final = TypeAdapter(RunReport)


@dataclass(frozen=True, slots=True)
class RunToRecord:
    """What is kept of a run beside its decisions and verdicts. `days` are those that were run, `capital_paise` is of
    all sessions together, `raised` says what strategies raised, with file and line."""

    title: str
    inputs: dict[str, Any]
    figures: dict[str, Any]
    report: RunReport
    days: Sequence[date]
    capital_paise: int
    raised: Sequence[str]


def record_run(
    state_dir: Path, run: RunToRecord, *, write_journals: Callable[[Path, Path], None]
) -> RecordedRun | None:
    """`write_journals` is given where decisions and verdicts go. A run that cannot be recorded is said and counts all
    the same: None."""
    import pyarrow
    import pyarrow.parquet

    runs = RecordedRuns(state_dir)
    partial: Path | None = None
    try:
        partial = runs.begin()
        write_journals(partial / DECISIONS_FILE, partial / VERDICTS_FILE)
        (partial / REPORT_FILE).write_bytes(_REPORT.dump_json(run.report, exclude={"trades", "journal"}))
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(run.report.trades)), partial / TRADES_FILE)
        facts = {
            "recorded": ist_datetime(WallClock().now_ns()).isoformat(timespec="seconds"),
            "title": run.title,
            "days": [day.isoformat() for day in run.days],
            "capital_paise": run.capital_paise,
            "raised": list(run.raised),
            "inputs": run.inputs,
            "figures": run.figures,
        }
        return runs.finish(partial, facts)
    except (OSError, InvalidInput, pyarrow.ArrowException) as error:
        say(f"THIS RUN IS NOT RECORDED: {error}")
        if partial is not None:
            runs.discard(partial)
        return None


def reopen(run: RecordedRun) -> RunReport:
    """Its report, with its trades. Raises InvalidInput where it cannot be read."""
    try:
        told = json.loads((run.folder / REPORT_FILE).read_bytes())
        found = _REPORT.validate_python({**told, "trades": all_rows(run.folder / TRADES_FILE)})
    except (OSError, ValueError, TypeError) as error:
        said = error.strerror if isinstance(error, OSError) else "another version of tradebus wrote it"
        raise InvalidInput(f"run {run.number}: {run.folder / REPORT_FILE} cannot be read: {said}") from error
    return found


def page_facts(run: RecordedRun) -> PageFacts:
    """What its page says; without prices where its decisions are no longer kept. Raises InvalidInput where it cannot be
    read."""
    decisions = run.folder / DECISIONS_FILE
    return gather(
        reopen(run), prices_of(decisions) if decisions.exists() else (), title=run.facts["title"],
        days=days_of(run), capital_paise=run.facts["capital_paise"], raised=run.facts["raised"],
    )  # fmt: skip


def days_of(run: RecordedRun) -> list[date]:
    return [date.fromisoformat(day) for day in run.facts["days"]]
