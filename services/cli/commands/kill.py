"""`tradebus kill`: everything flat, no entries any more, whatever else is dead."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(kill)


def kill(
    reason: Annotated[str, typer.Option(help="Kept with the switch.")] = "tradebus kill",
    reset: Annotated[
        bool, typer.Option("--reset", help="Release the switch: sessions may make entries again.")
    ] = False,
    stack: Annotated[str | None, typer.Option("--stack", help="Only this stack; all that run, without.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Close every position of every session and refuse entries until the switch is released.

    Works with the gateway, Redis or Postgres dead: engages the switch in the state folder's .killswitch file, in the
    book of record and on the bus, whichever can be reached, and says which. Leaves with 0 where at least one of them
    took it, with 3 where none did. The switch outlives restarts.

    Examples:

    tradebus kill --reason "feed is wrong"

    tradebus kill --reset
    """
    from services.cli.killing import run_kill
    from services.cli.output import run_async

    run_async(run_kill(reason=reason, reset=reset, stack=stack, json=json))
