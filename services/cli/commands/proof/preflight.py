"""`tradebus preflight`: whether live trading may begin."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(preflight)


def preflight(
    account: Annotated[
        str | None, typer.Option("--account", help="A stored login, LOGIN or BROKER:LOGIN; all of them without.")
    ] = None,
    accept_market_rules: Annotated[
        bool,
        typer.Option(
            "--accept-market-rules", help="Print what is provisional in today's market rules, and take it as read."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Ask every gate of live trading: login, account, address, clock, tag, day, rules, protection, limits, drill.

    A session with mode live at a real broker is refused as long as a gate is closed to it; each closed gate says what
    to do. Nothing but reads leaves. `tradebus start --mode dry-run` goes through the same gates, and trades on paper.

    Leaves with 0 where all gates are open, 1 where one is closed.

    Examples:

    tradebus preflight

    tradebus preflight --account kite:mine --json

    tradebus preflight --accept-market-rules
    """
    from services.cli.output import run_async
    from services.cli.preflighting.run import run_preflight

    run_async(run_preflight(account=account, accept_market_rules=accept_market_rules, json=json))
