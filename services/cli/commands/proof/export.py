"""`tradebus export`: the journals of some days as files."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    from_text: Annotated[str, typer.Option("--from", help="First day, or Indian time.")],
    to_text: Annotated[str, typer.Option("--to", help="Last day, or Indian time (not included).")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to; made where it is missing.")],
    only: Annotated[
        list[str] | None,
        typer.Option(help="orders, fills, signals, trades, events, signal-lines, arm-lines; all, without."),
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    stack: Annotated[str | None, typer.Option(help="Of this stack; of the one that runs, without.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Instead of a stack: the database's namespace.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Write orders, fills, decisions with their reasons, trades and events of some days as CSV and lines of JSON.

    All files show the book as of one moment. Times are Indian with their offset, prices rupees.

    Examples:

    tradebus export --from 2026-12-01 --to 2026-12-04 --out week49

    tradebus export --from 2026-12-01 --to 2026-12-01 --out today --only orders,signals --user asha
    """
    from services.cli.journals.run import run_export
    from services.cli.output import run_async

    run_async(
        run_export(
            from_text=from_text, to_text=to_text, folder=out, only=only or [], user=user, overwrite=overwrite,
            stack=stack, namespace=namespace, json=json,
        )
    )  # fmt: skip
