"""What a sweep runs on: one symbol's history and one session, as `tradebus backtest` would have them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from services.cli.output import say
from services.cli.runs.told_history import say_summary
from services.gateway.domain.problems import Problems
from services.gateway.domain.start import StartCatalogue, read_start
from services.market_data.feeds.simulation import simulated
from services.market_data.settings import TICKS_PER_MINUTE, WARMUP_MINUTES
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.bulk.market import bulk_market
from tradebus.engine.bulk.run import BulkRun
from tradebus.engine.bulk.terms import ENGINE_ONLY
from tradebus.engine.history import MinuteHistory
from tradebus.history.loading import load_history
from tradebus.history.validate import summary_of
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.errors import InvalidInput
from tradebus.preflight.build import build_name
from tradebus.strategies.registry import BUILT_IN
from tradebus.symbols.descriptions import describe, instrument_of

ONE_LOT = "max_lots_per_trade"


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """The options, parsed. `data` is START_TRADING's, without symbols; `points` are the sets of parameters."""

    history: Path
    symbols: tuple[str, ...]
    from_date: date | None
    to_date: date | None
    strategy: str
    data: dict[str, Any]
    seed: int
    points: Sequence[dict[str, Any]]
    reading: FileReading = field(default_factory=FileReading)

    @property
    def asked(self) -> str:
        """What was asked for, as text: another file or build is another matter."""
        window = [None if day is None else day.isoformat() for day in (self.from_date, self.to_date)]
        return json.dumps(
            [self.history.name, self.symbols, window, self.strategy, self.data, self.seed, list(self.points)],
            sort_keys=True, default=str,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SweepInput:
    """What results are of: the file's content and the build that made them."""

    file_digest: str
    build: str


def bulk_limits(limits: dict[str, Any]) -> dict[str, Any]:
    """The limits a sweep trades under: as given, one lot, and without those that are the engine's alone."""
    left_out = {name: None for name in ENGINE_ONLY if name == "daily_max_loss_pct"}
    return {ONE_LOT: 1, **left_out, **limits}


def input_of(path: Path) -> SweepInput:
    """Raises InvalidInput where the file cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInput(f"--history {path}: {error.strerror or error}; name one file") from error
    return SweepInput(digest, build_name())


def open_run(request: SweepRequest) -> BulkRun:
    """Reads the history and makes it ready for bulk mode. Raises InvalidInput for what cannot be swept."""
    history = load_history(
        request.history, symbols=request.symbols, from_date=request.from_date, to_date=request.to_date,
        warmup_minutes=WARMUP_MINUTES, reading=request.reading,
    )  # fmt: skip
    say_summary(request.history.resolve().name, summary_of(history))
    names = history.columns.names
    if len(names) != 1:
        raise InvalidInput(f"--symbol: a sweep has one symbol; the file has {', '.join(names[:6])}")
    instrument = instrument_of(describe(names[0]), 0)
    spec = _session(request, instrument)
    market = simulated(history, [instrument], ticks_per_minute=TICKS_PER_MINUTE, seed=request.seed)
    timeframe = BUILT_IN[request.strategy].TIMEFRAME_SECONDS
    say("making the market ready for bulk mode …")
    made = bulk_market(
        market.days(sorted({60, timeframe})), instrument, MinuteHistory(market.minutes), spec=spec,
        timeframes_seconds=(timeframe,),
    )  # fmt: skip
    return BulkRun(made, spec)


def _session(request: SweepRequest, instrument: Instrument) -> SessionSpec:
    problems = Problems()
    asked = {**request.data, "symbols": [instrument.symbol]}
    spec = read_start(
        asked, user_id="sweep", catalogue=StartCatalogue(InstrumentMaster([instrument])), problems=problems
    )
    if spec is None or problems:
        raise InvalidInput("; ".join(f"{one.field.removeprefix('data.')}: {one.problem}" for one in problems.errors))
    return spec
