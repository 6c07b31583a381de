"""`tradebus runs`, `report` and `compare`: runs that were made, found again."""

from pathlib import Path
from typing import Annotated

import typer

RunNumber = Annotated[str, typer.Argument(help="The run's number, as `tradebus runs` lists it, or last.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]


def register(app: typer.Typer) -> None:
    for command in (runs, report, compare):
        app.command()(command)


def runs(
    strategy: Annotated[str | None, typer.Option(help="Only runs of this strategy.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only runs on this symbol.")] = None,
    command: Annotated[str | None, typer.Option(help="Only runs of this command: backtest, trade.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many to show, the newest first.")] = 20,
    json: Json = False,
) -> None:
    """List the runs that were made, the newest first, with what came of them.

    Every `backtest` and `trade` is recorded with its inputs' digests (file, strategies, program, rules), limits,
    parameters and seed, and a number.

    Examples:

    tradebus runs

    tradebus runs --strategy orb --symbol BANKNIFTY --json
    """
    from services.cli.output import print_json, say
    from services.cli.place import state_dir
    from services.cli.recorded.folder import RecordedRuns
    from services.cli.recorded.listing import chosen, line_of, print_runs

    found = chosen(RecordedRuns(state_dir()).all(), strategy=strategy, symbol=symbol, command=command, most=most)
    if json:
        print_json({"command": "runs", "runs": [line_of(run) for run in found]})
    elif found:
        print_runs(found)
    else:
        say("no such run is recorded: `tradebus backtest` records one")


def report(
    run: RunNumber = "last",
    page: Annotated[Path | None, typer.Option("--page", help="Write the page there: one HTML file.")] = None,
    trades: Annotated[Path | None, typer.Option(help="Write every trade to this file: .csv or .parquet.")] = None,
    json: Json = False,
) -> None:
    """Show a recorded run again, as it was told when it ended; as a page, as a file of trades, as JSON.

    Examples:

    tradebus report

    tradebus report 7 --page run7.html --trades run7.csv

    tradebus report 7 --json
    """
    from services.cli.arguments import parse_trades
    from services.cli.output import print_json, say
    from services.cli.place import state_dir
    from services.cli.recorded.folder import RecordedRuns
    from services.cli.recorded.saving import page_facts, reopen
    from services.cli.reports.page.document import write_page
    from services.cli.reports.present import print_report, write_trades

    trades = parse_trades(trades)
    found = RecordedRuns(state_dir()).find(run)
    told = reopen(found)
    if page is not None:
        write_page(page_facts(found), page)
        say(f"report: {page}")
    if trades is not None:
        write_trades(told.trades, trades)
        say(f"trades: {trades}")
    if json:
        print_json(found.facts)
        return
    facts = {"run": str(found.number), "recorded": found.facts["recorded"], "files": str(found.folder)}
    print_report(told, title=found.facts["title"], facts=facts)


def compare(
    first: RunNumber, second: RunNumber,
    page: Annotated[Path | None, typer.Option("--page", help="Write a page there with both equities.")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Put two recorded runs side by side: which inputs differ, first; then figures and the trades that differ.

    Examples:

    tradebus compare 6 7

    tradebus compare 6 last --page both.html
    """
    from services.cli.output import print_json, say
    from services.cli.place import state_dir
    from services.cli.recorded.comparing import compared
    from services.cli.recorded.folder import RecordedRuns
    from services.cli.recorded.showing import print_comparison, write_comparison

    runs = RecordedRuns(state_dir())
    found = compared(runs.find(first), runs.find(second))
    if page is not None:
        write_comparison(found, page)
        say(f"page: {page}")
    if json:
        print_json(found.as_json())
    else:
        print_comparison(found)
