"""What `tradebus backtest` does: check everything, run the engine, report.

file or book ─► market ─► engine, day by day ─► report (that of `tradebus trade`)
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from services.cli.output import print_json, say
from services.cli.place import state_dir
from services.cli.recorded.folder import RecordedRun
from services.cli.recorded.inputs import market_inputs, run_inputs
from services.cli.recorded.saving import RunToRecord, record_run
from services.cli.recorded.tables import VERDICT, write_decision_parts, write_rows
from services.cli.reports.answers import STRATEGY_FAILED
from services.cli.reports.engine_report import report_of
from services.cli.reports.page.document import write_page
from services.cli.reports.page.facts import gather
from services.cli.reports.present import print_report, run_title, write_trades
from services.cli.reports.report import RunReport
from services.cli.reports.told import files_of, raised_lines, tell_errors
from services.cli.runs.paced import DayBar
from services.cli.runs.priced import with_prices_of
from services.cli.runs.stored_candles import read_stored
from services.cli.runs.told_history import say_summary, shown_reading
from services.gateway.domain.problems import Problems
from services.gateway.domain.start import StartCatalogue, read_start
from services.gateway.strategy_check import strategy_errors
from services.market_data.feeds.simulation import SimulatedMarket, TickMarket, simulated
from services.market_data.settings import TICKS_PER_MINUTE, WARMUP_MINUTES
from services.strategy.settings import LaneSettings
from tradebus.config.settings import load
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.history.loading import load_history
from tradebus.history.validate import summary_of
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import SequenceIds
from tradebus.symbols.descriptions import describe, instrument_of


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """The options, parsed. `users` have START_TRADING's data each, without symbols."""

    history: Path | None
    stored: str | None
    symbols: tuple[str, ...]
    from_date: date | None
    to_date: date | None
    users: Mapping[str, dict[str, Any]]
    seed: int
    trades: Path | None
    json: bool
    reading: FileReading = field(default_factory=FileReading)
    page: Path | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """A run that has ended; `seconds` is how long the engine took."""

    engine: Engine
    sessions: Sequence[SessionSpec]
    days: Sequence[date]
    seconds: float

    @property
    def title(self) -> str:
        return run_title(self.symbols, self.days[0], self.days[-1])

    @property
    def symbols(self) -> list[str]:
        return sorted({symbol for session in self.sessions for symbol in session.symbols})

    @property
    def raised(self) -> list[tuple[str, str]]:
        """(strategy, traceback) of the first error of each session and symbol."""
        return [(key[1], trace) for key, trace in self.engine.record.failures.items()]

    @property
    def capital_paise(self) -> int:
        return sum(session.capital_paise for session in self.sessions)


def run_backtest(request: BacktestRequest) -> int:
    """Prints the report; returns the exit code, which says whether a strategy failed.

    Raises InvalidInput before anything is traded where the market or a session is not sound.
    """
    market, instruments, users = _market(request)
    made = _made(market, _sessions(users, instruments), InstrumentMaster(instruments))
    report = report_of(made.engine.record, made.sessions)
    figures = _figures(request, made, report)
    if request.trades is not None:
        write_trades(report.trades, request.trades)
    files = files_of(request.users)
    failed = tell_errors(report.answers, made.raised, files=files)
    figures |= report.said_json(failed)
    raised = raised_lines(made.raised, files=files)
    if request.page is not None:
        priced = ((row[0], row[3], row[6]) for row in made.engine.record.decisions.rows())
        facts_of_page = gather(
            report, priced, title=made.title, days=made.days, capital_paise=made.capital_paise, raised=raised
        )  # fmt: skip
        write_page(facts_of_page, request.page)
        say(f"report: {request.page}")
    recorded = _record(request, made, report, figures, raised)
    figures |= {"recorded": recorded.number if recorded else None}
    if request.json:
        print_json(figures)
    else:
        facts = {"wall time": f"{made.seconds:.2f} s"}
        if recorded is not None:
            facts["run"] = f"{recorded.number}: `tradebus report {recorded.number}` shows it again"
        if request.trades is not None:
            facts["trades"] = str(request.trades)
        print_report(report, title=made.title, facts=facts)
    return STRATEGY_FAILED if failed else 0


def _record(
    request: BacktestRequest, made: _Made, report: RunReport, figures: dict[str, Any], raised: Sequence[str]
) -> RecordedRun | None:
    record = made.engine.record

    def write_journals(decisions: Path, verdicts: Path) -> None:
        write_decision_parts(record.decisions.parts(), decisions)
        write_rows(list(record.verdicts), VERDICT, verdicts)

    market = market_inputs(
        request.history, request.stored, symbols=made.symbols, days=made.days,
        reading=asdict(request.reading),
    )  # fmt: skip
    run = RunToRecord(
        title=made.title, inputs=run_inputs(made.sessions, market, seed=request.seed), figures=figures, report=report,
        days=made.days, capital_paise=made.capital_paise, raised=raised,
    )  # fmt: skip
    return record_run(state_dir(), run, write_journals=write_journals)


def _made(
    market: SimulatedMarket | TickMarket, sessions: Sequence[SessionSpec], instruments: InstrumentMaster
) -> _Made:
    """Runs every day; says what is left open."""
    began_ns = monotonic_ns()
    engine = Engine(
        sessions,
        instruments,
        history=MinuteHistory(market.minutes),
        settings=EngineSettings(conflicts=load(LaneSettings).conflicts),
        first_day=market.first_day,
    )
    days: list[date] = []
    with DayBar(market.day_count) as bar:
        for day in engine.run(market.days(sorted(engine.strategies.timeframes_seconds))):
            days.append(day.day)
            bar.day_done(day.day, engine.record.bars)
    left_open = engine.finish()
    seconds = (monotonic_ns() - began_ns) / 1e9
    for line in left_open:
        say(line)
    return _Made(engine, sessions, days, seconds)


def _figures(request: BacktestRequest, made: _Made, report: RunReport) -> dict[str, Any]:
    return {
        "command": "backtest",
        "symbols": made.symbols,
        "strategies": sorted({name for session in report.sessions for name in session.strategies}),
        "from": made.days[0].isoformat(),
        "to": made.days[-1].isoformat(),
        "days": len(made.days),
        "seed": request.seed,
        "bars": report.bars,
        **report.total.as_json(),
        "decision_log_hash": report.decision_log_hash,
        "wall_seconds": round(made.seconds, 3),
        "sessions": [session.as_json() for session in report.sessions],
    }


def _market(
    request: BacktestRequest
) -> tuple[SimulatedMarket | TickMarket, list[Instrument], Mapping[str, dict[str, Any]]]:  # fmt: skip
    """The market, its instruments, and the users' data with what their fills have to know of it."""
    if request.stored is not None:
        stored, instruments = read_stored(
            request.stored, symbols=request.symbols, from_date=request.from_date, to_date=request.to_date,
            seed=request.seed,
        )  # fmt: skip
        bare = [
            one.symbol for one in instruments
            if one.kind != "INDEX" and not stored.minutes[one.instrument_id]["volume"].any()
        ]  # fmt: skip
        return stored, instruments, with_prices_of(request.users, is_ticks=False, without_volume=bare)
    assert request.history is not None
    with shown_reading(request.history) as watch:
        history = load_history(
            request.history, symbols=request.symbols, from_date=request.from_date, to_date=request.to_date,
            warmup_minutes=WARMUP_MINUTES, reading=request.reading, watch=watch,
        )  # fmt: skip
    summary = summary_of(history)
    say_summary(request.history.resolve().name, summary)
    users = with_prices_of(request.users, is_ticks=summary.is_ticks, without_volume=summary.without_volume)
    instruments = [instrument_of(describe(name), number) for number, name in enumerate(history.columns.names)]
    return simulated(history, instruments, ticks_per_minute=TICKS_PER_MINUTE, seed=request.seed), instruments, users


def _sessions(users: Mapping[str, dict[str, Any]], instruments: Sequence[Instrument]) -> list[SessionSpec]:
    """The sessions as the gateway would make them. Raises InvalidInput naming every bad field of the first bad one."""
    catalogue = StartCatalogue(InstrumentMaster(instruments))
    ids, sessions = SequenceIds(), []
    for user, data in users.items():
        problems = Problems()
        asked = {**data, "symbols": [one.symbol for one in instruments]}
        spec = read_start(asked, user_id=user, catalogue=catalogue, problems=problems)
        for index, strategy in enumerate(spec.strategies if spec is not None else ()):
            for error in strategy_errors(strategy, says_back=True):
                problems.add(f"data.strategies[{index}].{error.field}", error.problem)
        if spec is None or problems:
            raise InvalidInput(
                "; ".join(f"{one.field.removeprefix('data.')}: {one.problem}" for one in problems.errors)
            )
        sessions.append(spec.model_copy(update={"session_id": ids.new_id()}))
    return sessions
