"""`tradebus check-history`: what would be read of recorded history, without a run."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.trade import FileColumns, From, Json, Stamps, SymbolOption, Timezone, To

HistoryFiles = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files, folders or zips; each is one history of its own.")
]


def register(app: typer.Typer) -> None:
    app.command("check-history")(check_history)


def check_history(
    files: HistoryFiles, symbol: SymbolOption = None, from_: From = None, to: To = None, columns: FileColumns = "",
    timezone: Timezone = "", stamps: Stamps = "", json: Json = False,
) -> None:  # fmt: skip
    """Say what a backtest would read of recorded history: what was taken for what, what is doubted, what is left out.

    Nothing is traded. Each FILE is one history, as --history of `backtest` and `trade` takes it, and is read by the
    same rules. One that is refused does not stop the others.

    Leaves with 0 where all can be traded, 2 where one cannot.

    Examples:

    tradebus check-history BANKNIFTY_1min_2012-2024.parquet

    tradebus check-history days/ --symbol NIFTY --from 2024-01-01 --json

    tradebus check-history *.csv --timezone UTC --stamps end
    """
    from services.cli import arguments
    from services.cli.runs.told_history import check_files
    from tradebus.history.vendors.reading import parse_reading

    code = check_files(
        files,
        symbols=arguments.symbols_of(symbol),
        from_date=arguments.parse_day(from_, option="--from"),
        to_date=arguments.parse_day(to, option="--to"),
        reading=parse_reading(columns=columns, timezone=timezone, stamps=stamps),
        json=json,
    )
    if code:
        raise typer.Exit(code)
