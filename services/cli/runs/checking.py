"""Whether a strategy may be trusted with a history: `tradebus check` (`tradebus.engine.look_ahead`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from services.cli.output import print_json, say
from services.cli.runs.told_history import say_summary
from services.market_data.feeds.simulation import SimulatedMarket, simulated
from services.market_data.settings import TICKS_PER_MINUTE, WARMUP_MINUTES
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import StrategySpec
from tradebus.engine.history import MinuteHistory
from tradebus.engine.look_ahead import CheckedDay, Suspicion, suspicions
from tradebus.history.loading import load_history
from tradebus.history.validate import summary_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_datetime
from tradebus.strategies.info import info_of
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.registry import COMPILED, find_strategy, parse_parameters
from tradebus.symbols.descriptions import describe, instrument_of

FOUND = 1
_WORDS = {
    "looks_ahead": "it knows what it cannot know yet",
    "not_repeatable": "it decides otherwise when it is asked again",
    "warm_up_too_short": "its WARMUP_CANDLES are too few",
}


@dataclass(frozen=True, slots=True)
class CheckRequest:
    history: Path
    symbols: tuple[str, ...]
    strategy: dict[str, Any]
    days: int
    json: bool


def run_check(request: CheckRequest) -> None:
    """Prints what was found; leaves with 1 where something was. Raises InvalidInput for what cannot be checked."""
    spec = StrategySpec.model_validate(request.strategy)
    strategy = find_strategy(spec)
    info = info_of(strategy)
    needs = info.needs
    if info.wants_ticks or needs.instruments or needs.timeframes_seconds or True in (needs.quotes, needs.chain):
        raise InvalidInput(f"strategy {strategy.NAME}: it asks for more than candles of its own, which is not checked")
    days = _days(request, info.timeframe_seconds, 2 * info.warmup_candles)
    compiled = COMPILED[strategy.NAME] if spec.path is None and strategy.NAME in COMPILED else None
    found = suspicions(strategy, parse_parameters(strategy, spec.parameters), days, compiled)
    if request.json:
        rows = [{"kind": one.kind, "at": ist_datetime(one.ts_ns).isoformat(), "said": one.said} for one in found]
        print_json({"command": "check", "strategy": strategy.NAME, "days": len(days), "found": rows})
    else:
        for line in _lines(strategy.NAME, found, days=len(days)):
            print(line)
    if found:
        raise typer.Exit(FOUND)


def _lines(name: str, found: list[Suspicion], *, days: int) -> list[str]:
    if not found:
        return [f"{name}: decisions of {days} days depend on nothing that came later, and on no longer warm-up"]
    return [f"{name}: {_WORDS[one.kind]}: at {ist_datetime(one.ts_ns):%Y-%m-%d %H:%M} IST {one.said}" for one in found]


def _days(request: CheckRequest, timeframe_seconds: int, earlier_candles: int) -> list[CheckedDay]:
    """As many days as are asked for, spread over the history, the last one among them."""
    history = load_history(
        request.history, symbols=request.symbols, from_date=None, to_date=None, warmup_minutes=WARMUP_MINUTES
    )
    say_summary(request.history.resolve().name, summary_of(history))
    names = history.columns.names
    if len(names) != 1:
        raise InvalidInput(f"--symbol: one symbol is checked; the file has {', '.join(names[:6])}")
    instrument = instrument_of(describe(names[0]), 0)
    market = simulated(history, [instrument], ticks_per_minute=TICKS_PER_MINUTE, seed=1)
    if not isinstance(market, SimulatedMarket):
        raise InvalidInput(f"--history {request.history}: a history of candles is checked, not of ticks")
    return _spread(market, instrument, request.days, timeframe_seconds, earlier_candles)


def _spread(
    market: SimulatedMarket, instrument: Instrument, count: int, timeframe_seconds: int, earlier_candles: int
) -> list[CheckedDay]:
    hours, minutes = SessionHours(instrument), MinuteHistory(market.minutes)
    wanted = set(np.linspace(0, market.day_count - 1, min(count, market.day_count)).astype(int).tolist())
    found = []
    for number, day in enumerate(market.days((timeframe_seconds,))):
        if number not in wanted:
            continue
        earlier = minutes.warmup(
            day.open_ns, instrument=0, timeframe_seconds=timeframe_seconds, warmup_candles=earlier_candles, hours=hours
        )
        found.append(CheckedDay(instrument.symbol, earlier, day.candles, hours))
    say(f"{len(found)} days are checked")
    return found
