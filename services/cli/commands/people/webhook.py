"""`tradebus webhook add|list|remove`: which programs may signal to a running session."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.control import Json

commands = typer.Typer(
    no_args_is_help=True,
    help="Programs that may send signals, each with a secret that signs what it sends.\n\n"
    "Example: tradebus webhook list",
)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="webhook")


@commands.command()
def add(
    name: Annotated[str, typer.Argument(help="The program's name: 1 to 32 of a-z, 0-9 and _.")],
    user: Annotated[str, typer.Option("--user", help="Whose session it signals to.")],
    secret_file: Annotated[
        Path, typer.Option(help="File with its secret, 32 characters or more; made where there is none, for you alone.")
    ],
    per_minute: Annotated[int, typer.Option(min=1, max=600, help="Signals a minute; more are told to wait.")] = 12,
    plain: Annotated[
        bool, typer.Option("--plain", help="It cannot sign (TradingView): it shows its secret in what it sends.")
    ] = False,
    json: Json = False,
) -> None:
    """Let a program send signals, or give it another secret. A running gateway takes it at the next signal.

    The secret is kept encrypted and is shown nowhere: give the program the file, then remove it. What the program
    sends is a POST to /hooks/v1/NAME of the gateway, signed, or with --plain to /hooks/v1/NAME/plain with its secret
    inside: docs/operations.md, "Signals of other programs".

    Example: tradebus webhook add chart --user 123 --secret-file ~/chart.secret
    """
    from services.cli.webhooks import add_source

    add_source(name, user=user, secret_file=secret_file, per_minute=per_minute, plain=plain, json=json)


@commands.command("list")
def list_(json: Json = False) -> None:
    """Show which programs may signal, to whom and how often. Secrets are not shown.

    Example: tradebus webhook list
    """
    from services.cli.webhooks import list_sources

    list_sources(json=json)


@commands.command()
def remove(
    name: Annotated[str, typer.Argument(help="The program's name, as `tradebus webhook list` has it.")],
    json: Json = False,
) -> None:
    """Take nothing more from a program, from its next signal on. What it has opened stays open.

    Example: tradebus webhook remove chart
    """
    from services.cli.webhooks import remove_source

    remove_source(name, json=json)
