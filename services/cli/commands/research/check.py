"""`tradebus check`: whether a strategy looks ahead, and whether its warm-up is long enough."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.trade import Files, Json, Names, Params, SymbolOption


def register(app: typer.Typer) -> None:
    app.command()(check)


def check(
    history: Annotated[Path, typer.Option(help="One-minute candles of one symbol, as `backtest` takes them.")],
    strategy: Names = None, strategy_file: Files = None, param: Params = None, symbol: SymbolOption = None,
    days: Annotated[int, typer.Option(min=1, max=1_000, help="So many, spread over the history.")] = 5,
    json: Json = False,
) -> None:  # fmt: skip
    """Check that a strategy's decisions depend on nothing that comes later, and on no longer warm-up than it asks for.

    Each day is decided whole, cut off, with another future, again, and with twice the warm-up: the decisions must be
    the same. Leaves with 1 where they are not, and says at which candle.

    Examples:

    tradebus check --history NIFTY.csv --symbol NIFTY --strategy-file mine.py

    tradebus check --history BANKNIFTY.parquet --strategy ema_cross --param fast=5
    """
    from services.cli import arguments
    from services.cli.runs.checking import CheckRequest, run_check
    from tradebus.kernel.errors import InvalidInput

    items = arguments.strategy_items(strategy, strategy_file or [], param or [])
    if len(items) != 1:
        raise InvalidInput("--strategy: one strategy is checked at a time")
    run_check(CheckRequest(history, arguments.symbols_of(symbol), items[0], days, json))
