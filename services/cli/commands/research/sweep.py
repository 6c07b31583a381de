"""`tradebus sweep` and `tradebus walkforward`: many sets of parameters over one history."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.commands.trade import (
    ChargedAs,
    FileColumns,
    From,
    Json,
    Limits,
    Seed,
    Stamps,
    SymbolOption,
    Timezone,
    To,
)

if TYPE_CHECKING:
    from services.cli.sweeping.inputs import SweepRequest

File = Annotated[Path, typer.Option("--history", help="One-minute candles of one symbol, as `backtest` takes them.")]
Name = Annotated[str, typer.Option("--strategy", help="ema_cross, ema_20_50 or orb: what has a compiled bulk form.")]
Axes = Annotated[
    list[str] | None, typer.Option("--param", help="fast=5:20:1 (first:last:step), slow=21,34,55, or one value.")
]
Drawn = Annotated[int | None, typer.Option("--sample", help="Draw so many points of the grid, by the seed.")]
Capital = Annotated[str, typer.Option(help="Rupees.")]
Afresh = Annotated[bool, typer.Option("--afresh", help="Begin anew, whatever was done before.")]


def register(app: typer.Typer) -> None:
    app.command()(sweep)
    app.command()(walkforward)


def sweep(
    history: File, strategy: Name, param: Axes = None, symbol: SymbolOption = None, from_: From = None, to: To = None,
    limit: Limits = None, capital: Capital = "1000000", charges: ChargedAs = None, seed: Seed = 1,
    sample: Drawn = None, afresh: Afresh = False,
    top: Annotated[int, typer.Option(min=1, help="So many of the best are shown.")] = 10,
    table: Annotated[Path | None, typer.Option(help="Write every set there: .csv, .parquet or .json.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a map of colours there: one HTML file.")] = None,
    monte_carlo: Annotated[int, typer.Option(min=0, max=100_000, help="Draw the best set's trades so often anew.")] = 0,
    missed: Annotated[float, typer.Option(min=0, max=1, help="The share of trades missed in those draws.")] = 0.1,
    columns: FileColumns = "", timezone: Timezone = "", stamps: Stamps = "", json: Json = False,
) -> None:  # fmt: skip
    """Try every set of parameters of a grid in bulk mode, over all cores, and say what the best is worth.

    Its trades are those of `tradebus backtest --fills touch`, one lot at a time, without a limit on the day's loss. A
    sweep that was interrupted goes on where it stopped; one of another build or file is refused. Every set ever tried
    on a file counts against its best: deflated Sharpe, probability of overfitting, minimum length.

    Examples:

    tradebus sweep --history BANKNIFTY.parquet --strategy ema_cross --param fast=5:20:1 --param slow=21,34,55

    tradebus sweep --history DAY.csv --strategy orb --param range_minutes=5:30:5 --report map.html --table all.parquet
    """
    from services.cli.sweeping.commands import Showing, run_sweep

    request = _request(
        history, strategy, param, symbol, from_, to, limit, capital, charges, seed, sample, columns, timezone, stamps
    )
    run_sweep(request, Showing(top, table, report, monte_carlo, missed, json), afresh=afresh)


def walkforward(
    history: File, strategy: Name, param: Axes = None, symbol: SymbolOption = None, from_: From = None, to: To = None,
    limit: Limits = None, capital: Capital = "1000000", charges: ChargedAs = None, seed: Seed = 1,
    sample: Drawn = None, afresh: Afresh = False,
    folds: Annotated[int, typer.Option(min=1, max=100, help="So many times is chosen and judged.")] = 5,
    embargo: Annotated[int, typer.Option(min=0, help="Days between choosing and judging, in neither.")] = 5,
    rolling: Annotated[bool, typer.Option("--rolling", help="Choose on the last part, not on all before.")] = False,
    columns: FileColumns = "", timezone: Timezone = "", stamps: Stamps = "", json: Json = False,
) -> None:  # fmt: skip
    """Choose the best set of parameters on earlier days and judge it on later ones, fold after fold.

    Example: tradebus walkforward --history BANKNIFTY.parquet --strategy ema_cross --param fast=5:20 --param slow=34,55
    """
    from services.cli.sweeping.commands import run_walkforward

    request = _request(
        history, strategy, param, symbol, from_, to, limit, capital, charges, seed, sample, columns, timezone, stamps
    )
    run_walkforward(
        request, folds=folds, embargo_days=embargo, anchored=not rolling, afresh=afresh, json=json
    )  # fmt: skip


def _request(
    history: Path, strategy: str, param: list[str] | None, symbol: str | None, from_: str | None, to: str | None,
    limit: list[str] | None, capital: str, charges: str | None, seed: int, sample: int | None, columns: str,
    timezone: str, stamps: str,
) -> "SweepRequest":  # fmt: skip
    from services.cli import arguments
    from services.cli.sweeping.inputs import SweepRequest, bulk_limits
    from tradebus.engine.bulk.grid import chosen_points, parse_grid
    from tradebus.engine.bulk.run import BULK
    from tradebus.history.vendors.reading import parse_reading
    from tradebus.kernel.errors import InvalidInput, nearest

    if strategy not in BULK:
        raise InvalidInput(
            f"--strategy {strategy!r} has no compiled bulk form{nearest(strategy, BULK)}; these have: "
            f"{', '.join(sorted(BULK))}"
        )
    if not param:
        raise InvalidInput("--param: say what is to be tried, such as --param fast=5:20:1")
    points = chosen_points(parse_grid(param), sample=sample, seed=seed)
    [data] = arguments.session_data(
        [], strategies=[{"name": strategy}], capital=capital, limits=limit or [], seed=seed,
        paper=arguments.paper_data(charges, "touch", []),
    ).values()  # fmt: skip
    return SweepRequest(
        history=history, symbols=arguments.symbols_of(symbol),
        from_date=arguments.parse_day(from_, option="--from"), to_date=arguments.parse_day(to, option="--to"),
        strategy=strategy, data={**data, "limits": bulk_limits(data["limits"])}, seed=seed, points=points,
        reading=parse_reading(columns=columns, timezone=timezone, stamps=stamps),
    )  # fmt: skip
