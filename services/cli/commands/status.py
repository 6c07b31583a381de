"""`tradebus status`: what runs, and how it stands."""

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    stack: Annotated[str | None, typer.Option("--stack", help="Which stack, where several run.")] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", envvar="TRADEBUS_GATEWAY_URL", help="The gateway's address, where it is not of this machine."
        ),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the API token.")] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="List the market rules that are provisional or not looked at for long.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Show the stacks that run here: services, sessions, positions and P&L.

    Leaves with 3 where nothing runs, 0 otherwise.

    Examples:

    tradebus status

    tradebus status --rules

    tradebus status --json | jq .sessions
    """
    from services.cli.output import print_json, run_async
    from services.cli.stack.status import print_status, read_status

    found: dict[str, Any] = run_async(read_status(stack, url=url, token_file=token_file))
    if json:
        print_json({"command": "status", **found})
    else:
        print_status(found, rules=rules)
