"""`tradebus approvals list|approve|refuse`: entries that wait for a person."""

from typing import Annotated

import typer

from services.cli.commands.control import Json, StackOption, TokenFile, Url
from services.cli.commands.people.order import By

WaitingId = Annotated[str, typer.Argument(help="The entry's id, as `tradebus approvals list` has it.")]
commands = typer.Typer(
    no_args_is_help=True,
    help="Entries that wait for a person, in sessions that were started with --approval.\n\n"
    "Example: tradebus approvals list",
)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="approvals")


@commands.command("list")
def list_(
    user: Annotated[str | None, typer.Option("--user", help="Those of one user.")] = None,
    stack: StackOption = None, url: Url = None, token_file: TokenFile = None, json: Json = False,
) -> None:  # fmt: skip
    """Show what waits, for how long still, and what it would be.

    Example: tradebus approvals list --user 123
    """
    from services.cli.approving import show_waiting

    show_waiting(user, stack=stack, url=url, token_file=token_file, json=json)


@commands.command()
def approve(
    approval: WaitingId,
    reason: Annotated[str, typer.Option(help="Kept with your word.")] = "by hand",
    by: By = None, stack: StackOption = None, url: Url = None, token_file: TokenFile = None, json: Json = False,
) -> None:  # fmt: skip
    """Let an entry in. The rules judge it once more, at the market of now: what they refuse by then leaves with 1.

    Example: tradebus approvals approve 01a22d95-6567-7954-ba63-241412972875
    """
    from services.cli.approving import give_word

    give_word("APPROVE_ENTRY", approval, by=by, reason=reason, stack=stack, url=url, token_file=token_file, json=json)


@commands.command()
def refuse(
    approval: WaitingId,
    reason: Annotated[str, typer.Option(help="Kept with your word.")] = "by hand",
    by: By = None, stack: StackOption = None, url: Url = None, token_file: TokenFile = None, json: Json = False,
) -> None:  # fmt: skip
    """Refuse an entry. It waits no more; the strategy may ask again.

    Example: tradebus approvals refuse 01a22d95-6567-7954-ba63-241412972875 --reason "results tonight"
    """
    from services.cli.approving import give_word

    give_word("REFUSE_ENTRY", approval, by=by, reason=reason, stack=stack, url=url, token_file=token_file, json=json)
