"""`tradebus trade`: a session over recorded history, through every service."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from services.cli.runs.config_file import Config

History = Annotated[
    Path | None,
    typer.Option(
        help="One-minute candles or ticks as brokers and charting programs write them: CSV, JSON, Parquet, a folder or "
        "zip of such files."
    ),
]
FileColumns = Annotated[str, typer.Option(help="The file's own columns, as ts=When,close=Last, where not recognised.")]
Timezone = Annotated[str, typer.Option(help="Of times in the file without an offset: IST (as without this), UTC, ….")]
Stamps = Annotated[str, typer.Option(help="Which moment of a bar the file's times are: start (the default) or end.")]
SymbolOption = Annotated[str | None, typer.Option(help="What to trade: BANKNIFTY, RELIANCE, … or several with commas.")]
From = Annotated[str | None, typer.Option("--from", help="First day, as 2024-01-01.")]
To = Annotated[str | None, typer.Option(help="Last day, included.")]
Names = Annotated[str | None, typer.Option(help="orb, ema_20_50, ema_cross, or several with commas.")]
Files = Annotated[list[Path] | None, typer.Option(help="A strategy of your own: one Python file. May be given again.")]
Params = Annotated[list[str] | None, typer.Option(help="name=value, or strategy.name=value. May be given again.")]
Trails = Annotated[
    list[str] | None,
    typer.Option("--trailing", help="How stops follow the market: distance_r=1, or distance_pct=0.5, or distance=20."),
]
Limits = Annotated[
    list[str] | None,
    typer.Option(help="A risk limit, such as daily_max_loss=5000, or ravi.daily_max_loss=5000. May be given again."),
]
Days = Annotated[
    list[str] | None,
    typer.Option(
        "--schedule", help="On which days it enters: days=MON,THU, days_to_expiry=0,1, from=…. May be given again."
    ),
]
ChargedAs = Annotated[
    str | None, typer.Option(help="Whose charges are paid: none, zerodha (as without this), dhan, upstox.")
]
FilledAs = Annotated[str | None, typer.Option("--fills", help="How orders fill: conservative (as without), touch.")]
Fill = Annotated[
    list[str] | None,
    typer.Option("--fill", help="A setting of it: participation_pct=5, slippage_bps=2, latency_ms=300, … Again."),
]
Trades = Annotated[Path | None, typer.Option(help="Write every trade to this file: .csv or .parquet.")]
Users = Annotated[
    list[str] | None, typer.Option(help="Who trades, each with a session of their own. May be given again.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of tick paths and paper fills: same seed, same run.")]
Speed = Annotated[str, typer.Option(help="max, or how many times faster than the clock.")]
Paper = Annotated[
    bool,
    typer.Option(
        "--paper/--live", help="Simulated fills. History is never traded live: that is `tradebus start --mode live`."
    ),
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the run's tables and streams for looking into.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]


def register(app: typer.Typer) -> None:
    app.command()(trade)


def trade(
    history: History = None, symbol: SymbolOption = None, from_: From = None, to: To = None, strategy: Names = None,
    strategy_file: Files = None, param: Params = None, user: Users = None, limit: Limits = None,
    trailing: Trails = None, schedule: Days = None,
    capital: Annotated[str, typer.Option(help="Rupees, of each user.")] = "1000000",
    seed: Seed = 1, charges: ChargedAs = None, fills: FilledAs = None, fill: Fill = None, speed: Speed = "max",
    trades: Trades = None, paper: Paper = True, keep: Keep = False,
    columns: FileColumns = "", timezone: Timezone = "", stamps: Stamps = "", json: Json = False, config: Config = None,
) -> None:  # fmt: skip
    """Trade recorded days on paper, through every service, and print what came of it.

    The same file, window, parameters and seed give the same decisions, fills and profit: the log's hash says so.
    It leaves with 4 where a strategy raised, or answered what could not count and nothing else.

    Examples:

    tradebus trade --history BANKNIFTY.parquet --symbol BANKNIFTY --from 2024-01-01 --to 2024-01-31 --strategy orb

    tradebus trade --history NIFTY.csv --symbol NIFTY --strategy orb,ema_20_50 --param orb.reward_multiple=2 --json

    tradebus trade --history NIFTY.csv --symbol NIFTY --strategy-file my_strategy.py --limit daily_max_loss=5000

    tradebus trade --history from_mt5.csv --symbol NIFTY --timezone UTC --stamps end --strategy orb
    """
    from services.cli import arguments
    from tradebus.kernel.errors import InvalidInput

    if not paper:
        raise InvalidInput(
            "--live: recorded days are traded on paper; live trading is begun on a stack that runs, behind the gates "
            "of preflight: `tradebus preflight`, then `tradebus start --mode live`; nothing was started"
        )
    if history is None:
        _without_history()
        return
    trades = arguments.parse_trades(trades)
    first, last = arguments.parse_day(from_, option="--from"), arguments.parse_day(to, option="--to")
    pace = arguments.parse_speed(speed)
    arguments.require_strategies(items := arguments.strategy_items(strategy, strategy_file or [], param or []))
    users = arguments.session_data(
        user or [], strategies=items, capital=capital, limits=limit or [], seed=seed, trailing=trailing,
        schedule=schedule, paper=arguments.paper_data(charges, fills, fill or []),
    )  # fmt: skip
    from services.cli.output import run_async
    from services.cli.runs.trading import TradeRequest, run_trade

    request = TradeRequest(
        history=history, symbols=arguments.symbols_of(symbol), from_date=first, to_date=last, users=users, seed=seed,
        speed=pace, trades=trades, keep=keep, json=json, columns=columns, timezone=timezone, stamps=stamps,
    )  # fmt: skip
    if code := run_async(run_trade(request)):
        raise typer.Exit(code)


def _without_history() -> None:
    """A live market: closed today, or out of reach."""
    from tradebus.calendar import is_trading_day, next_trading_day
    from tradebus.kernel.clock import WallClock
    from tradebus.kernel.errors import InvalidInput
    from tradebus.kernel.time import ist_date

    today: date = ist_date(WallClock().now_ns())
    if not is_trading_day(today):
        print(f"{today}: the exchange is closed; the next trading day is {next_trading_day(today)}. Nothing to do.")
        return
    raise InvalidInput(
        "--history: name a file of recorded candles; for live prices run `tradebus up --feed kite` (or dhan, upstox) "
        "and `tradebus start`"
    )
