"""What `tradebus trade` does: check everything, run a namespace of its own, report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from services.cli.output import print_json
from services.cli.place import state_dir
from services.cli.recorded.folder import RecordedRun
from services.cli.recorded.inputs import market_inputs, run_inputs
from services.cli.recorded.saving import RunToRecord, record_run
from services.cli.recorded.tables import DECISION, VERDICT, write_rows
from services.cli.reports.answers import STRATEGY_FAILED
from services.cli.reports.present import print_report, run_title, write_files, write_trades
from services.cli.reports.report import RunReport
from services.cli.reports.told import files_of, raised_in, raised_lines, tell_errors
from services.cli.runs.paced import ProgressBar, RunOutcome, WantedSession, run_paced
from services.cli.runs.priced import with_prices_of
from services.cli.runs.told_history import say_summary, shown_reading
from services.cli.stack.assembly import Plan, Stack, open_stack
from tradebus.contracts.sessions import SessionSpec
from tradebus.history.validate import HistorySummary, check_history
from tradebus.history.vendors.reading import FileReading, parse_reading
from tradebus.kernel.ids import RandomIds
from tradebus.kernel.time import ist_date


@dataclass(frozen=True, slots=True)
class TradeRequest:
    """The options, parsed. `users` have START_TRADING's data each, without symbols."""

    history: Path
    symbols: tuple[str, ...]
    from_date: date | None
    to_date: date | None
    users: Mapping[str, dict[str, Any]]
    seed: int
    speed: str
    trades: Path | None
    keep: bool
    json: bool
    columns: str = ""
    timezone: str = ""
    stamps: str = ""

    @property
    def reading(self) -> FileReading:
        """How the file is to be read. Raises InvalidInput naming the option."""
        return parse_reading(columns=self.columns, timezone=self.timezone, stamps=self.stamps)


async def run_trade(request: TradeRequest) -> int:
    """Prints the report; returns the exit code, which says whether a strategy failed.

    Raises InvalidInput before anything is started where the file is not sound.
    """
    with shown_reading(request.history) as watch:
        summary = check_history(
            request.history, request.symbols, request.from_date, request.to_date, reading=request.reading, watch=watch
        )
    first, last = date.fromisoformat(summary.first[:10]), date.fromisoformat(summary.last[:10])
    say_summary(request.history.resolve().name, summary)
    users = with_prices_of(
        request.users, is_ticks=summary.is_ticks, without_volume=summary.without_volume
    )  # fmt: skip
    plan = Plan(
        name=(name := new_name("run")), command="trade", namespace=name, paced=True, feed=_feed(request, summary)
    )
    wanted = [WantedSession(name, {**data, "symbols": list(summary.symbols)}) for name, data in users.items()]
    async with open_stack(plan, keep=request.keep) as stack:
        bar = ProgressBar()
        with bar.shown():
            outcome = await run_paced(
                stack, wanted, symbols=summary.symbols, from_date=first, to_date=last, watcher=bar
            )
        figures = run_figures(stack, outcome, first=first, last=last, days=summary.days, seed=request.seed)
        raised = raised_in(stack.run_dir / "strategy.log")
        failed = tell_errors(outcome.report.answers, raised, files=files_of(request.users))
        figures |= outcome.report.said_json(failed)
        recorded = _record(
            request, outcome.report, figures, title=run_title(summary.symbols, first, last), window=(first, last),
            raised=raised_lines(raised, files=files_of(request.users)),
        )  # fmt: skip
        figures |= {"recorded": recorded.number if recorded else None}
        write_files(outcome.report, figures, stack.run_dir)
        if request.trades is not None:
            write_trades(outcome.report.trades, request.trades)
        if not request.json:
            print_report(
                outcome.report,
                title=run_title(summary.symbols, first, last),
                facts=run_facts(stack, outcome, keep=request.keep, trades=request.trades),
            )
    if request.json:
        print_json(figures)
    return STRATEGY_FAILED if failed else 0


def _record(
    request: TradeRequest, report: RunReport, figures: dict[str, Any], *, title: str, window: tuple[date, date],
    raised: Sequence[str],
) -> RecordedRun | None:  # fmt: skip
    """The days are those something was decided on, and the first and last."""
    specs = [SessionSpec.model_validate(spec) for (spec,) in report.journal["spec"]]
    days = sorted({*window, *(ist_date(row[0]) for row in report.journal["decision"])})

    def write_journals(decisions: Path, verdicts: Path) -> None:
        write_rows(report.journal["decision"], DECISION, decisions)
        write_rows(report.journal["risk"], VERDICT, verdicts)

    market = market_inputs(
        request.history, None, symbols=figures["symbols"], days=days, reading=asdict(request.reading)
    )  # fmt: skip
    run = RunToRecord(
        title=title, inputs=run_inputs(specs, market, seed=request.seed), figures=figures, report=report, days=days,
        capital_paise=sum(spec.capital_paise for spec in specs), raised=raised,
    )  # fmt: skip
    return record_run(state_dir(), run, write_journals=write_journals)


def _feed(request: TradeRequest, summary: HistorySummary) -> dict[str, str]:
    return {
        "TRADEBUS_FEED": "history",
        "TRADEBUS_HISTORY": str(request.history.resolve()),
        "TRADEBUS_HISTORY_COLUMNS": request.columns,
        "TRADEBUS_HISTORY_TIMEZONE": request.timezone,
        "TRADEBUS_HISTORY_STAMPS": request.stamps,
        "TRADEBUS_SYMBOLS": ",".join(summary.symbols),
        "TRADEBUS_FROM": request.from_date.isoformat() if request.from_date else "",
        "TRADEBUS_TO": request.to_date.isoformat() if request.to_date else "",
        "TRADEBUS_SPEED": request.speed,
        "TRADEBUS_SEED": str(request.seed),
    }


def new_name(kind: str) -> str:
    """`run_01a1f8ac0a4ef72f`: sorts by time."""
    return f"{kind}_{RandomIds().new_id().replace('-', '')[:20]}"


def run_figures(stack: Stack, outcome: RunOutcome, *, first: date, last: date, days: int, seed: int) -> dict[str, Any]:
    """The JSON object of a paced run."""
    report = outcome.report
    return {
        "command": stack.plan.command,
        "run": stack.plan.name,
        "symbols": sorted({symbol for session in report.sessions for symbol in session.symbols}),
        "strategies": sorted({name for session in report.sessions for name in session.strategies}),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "days": days,
        "seed": seed,
        "bars": report.bars,
        **report.total.as_json(),
        "decision_log_hash": report.decision_log_hash,
        "wall_seconds": round(outcome.wall_seconds, 3),
        "restarts": stack.restarts,
        "sessions": [session.as_json() for session in report.sessions],
        "run_dir": str(stack.run_dir),
    }


def run_facts(stack: Stack, outcome: RunOutcome, *, keep: bool, trades: Path | None = None) -> dict[str, str]:
    """Where to look, for people."""
    facts = {"wall time": f"{outcome.wall_seconds:.1f} s", "report": str(stack.run_dir / "report.json")}
    facts["trades"] = str(trades or stack.run_dir / "trades.csv")
    facts["logs"] = str(stack.run_dir / "*.log")
    if stack.restarts:
        facts["restarts"] = ", ".join(f"{name} {count}" for name, count in stack.restarts.items())
    if keep:
        where = f"schema tradebus_{stack.plan.namespace} in Postgres, streams {stack.plan.namespace}:* in Redis"
        facts["kept"] = f"{where} (embedded servers run while `tradebus up` does)"
    return facts
