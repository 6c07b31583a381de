"""`tradebus backtest`: recorded history through the engine, in one process."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.trade import (
    ChargedAs,
    Days,
    FileColumns,
    Files,
    Fill,
    FilledAs,
    From,
    Json,
    Limits,
    Names,
    Params,
    Seed,
    Stamps,
    SymbolOption,
    Timezone,
    To,
    Trades,
    Trails,
    Users,
)
from services.cli.runs.config_file import Config

History = Annotated[
    Path | None,
    typer.Option(
        help="One-minute candles or ticks as brokers and charts write them: CSV, JSON, Parquet, a folder or zip of "
        "such files. Or --stored."
    ),
]
Stored = Annotated[
    str | None, typer.Option(help="Candles in the book, of this namespace (`main` is that of `tradebus up`).")
]
# As `trade` takes them, since the two are compared with the same arguments.
Paper = Annotated[
    bool, typer.Option("--paper/--live", help="As `trade` has it. --paper changes nothing; --live is refused.")
]
Speed = Annotated[str, typer.Option(help="As `trade` has it. max changes nothing; nothing else is taken.")]
Report = Annotated[
    Path | None, typer.Option("--report", help="Write a report there: one HTML file that needs no other.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Refused: a backtest makes no tables and no streams to keep.")]


Fast = Annotated[int | None, typer.Option(help="The same as --param fast=N.")]
Slow = Annotated[int | None, typer.Option(help="The same as --param slow=N.")]


def register(app: typer.Typer) -> None:
    app.command()(backtest)


def backtest(
    history: History = None, stored: Stored = None, symbol: SymbolOption = None, from_: From = None, to: To = None,
    strategy: Names = None, strategy_file: Files = None, param: Params = None, user: Users = None,
    limit: Limits = None, trailing: Trails = None, schedule: Days = None,
    capital: Annotated[str, typer.Option(help="Rupees, of each user.")] = "1000000",
    seed: Seed = 1, charges: ChargedAs = None, fills: FilledAs = None, fill: Fill = None, speed: Speed = "max",
    trades: Trades = None, paper: Paper = True, keep: Keep = False,
    columns: FileColumns = "", timezone: Timezone = "", stamps: Stamps = "", report: Report = None,
    fast: Fast = None, slow: Slow = None, json: Json = False, config: Config = None,
) -> None:  # fmt: skip
    """Trade recorded days in one process, as fast as they go: the same strategies, risk, fills and charges as `trade`.

    It gives what `tradebus trade` gives with the same arguments, decision for decision: the decision log's hash says
    so. No servers are started. It leaves with 4 where a strategy raised, or answered what could not count and nothing
    else: the figures are printed all the same.

    Examples:

    tradebus backtest --history BANKNIFTY.parquet --symbol BANKNIFTY --strategy ema_cross --fast 9 --slow 21

    tradebus backtest --history NIFTY.csv --symbol NIFTY --strategy-file mine.py --trades trades.csv --report page.html

    tradebus backtest --stored main --symbol NIFTY,RELIANCE --from 2026-11-02 --strategy orb --json

    tradebus backtest --history DAY.csv --strategy orb --user asha --user ravi --limit ravi.daily_max_loss=5000

    tradebus backtest --history export.csv --symbol NIFTY --columns ts=When,close=Last --timezone UTC --strategy orb
    """
    from services.cli import arguments
    from services.cli.runs.backtesting import BacktestRequest, run_backtest
    from tradebus.history.vendors.reading import parse_reading
    from tradebus.kernel.errors import InvalidInput

    _refuse_what_needs_services(paper=paper, speed=arguments.parse_speed(speed), keep=keep)
    if (history is None) == (stored is None):
        raise InvalidInput(
            "--history or --stored: name a file of recorded candles, or the namespace whose book has them"
        )
    trades = arguments.parse_trades(trades)
    first, last = arguments.parse_day(from_, option="--from"), arguments.parse_day(to, option="--to")
    items = arguments.strategy_items(strategy, strategy_file or [], [*(param or []), *_lengths(fast=fast, slow=slow)])
    arguments.require_strategies(items)
    users = arguments.session_data(
        user or [], strategies=items, capital=capital, limits=limit or [], seed=seed, trailing=trailing,
        schedule=schedule, paper=arguments.paper_data(charges, fills, fill or []),
    )  # fmt: skip
    code = run_backtest(
        BacktestRequest(
            history=history, stored=stored, symbols=arguments.symbols_of(symbol), from_date=first, to_date=last,
            users=users, seed=seed, trades=trades, json=json, page=report,
            reading=parse_reading(columns=columns, timezone=timezone, stamps=stamps),
        )
    )  # fmt: skip
    if code:
        raise typer.Exit(code)


def _lengths(**lengths: int | None) -> list[str]:
    return [f"{name}={value}" for name, value in lengths.items() if value is not None]


def _refuse_what_needs_services(*, paper: bool, speed: str, keep: bool) -> None:
    """Raises InvalidInput for an option of `trade` that a backtest could not honour."""
    from tradebus.kernel.errors import InvalidInput

    if not paper:
        raise InvalidInput("--live: a backtest trades recorded days in one process, on paper; leave it out")
    if speed != "max":
        raise InvalidInput(
            f"--speed {speed}: a backtest has no clock to keep to and goes as fast as it can; leave it out, or run "
            f"`tradebus trade --speed {speed}`"
        )
    if keep:
        raise InvalidInput(
            "--keep: a backtest makes no tables and no streams that could be kept; leave it out, write trades with "
            "--trades, or run `tradebus trade --keep`"
        )
