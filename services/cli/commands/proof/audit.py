"""`tradebus audit verify|export`: what was said to brokers, and what they answered."""

from pathlib import Path
from typing import Annotated

import typer

_Stack = Annotated[str | None, typer.Option("--stack", help="That of this stack; of the one that runs, without.")]
Namespace = Annotated[str | None, typer.Option("--namespace", help="Instead of a stack: the database's namespace.")]
Account = Annotated[str | None, typer.Option("--account", help="Only this one, BROKER:LOGIN.")]

commands = typer.Typer(
    no_args_is_help=True, help="Requests to brokers and their replies, secrets removed, in a chain of hashes."
)  # fmt: skip


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="audit")


@commands.command()
def verify(
    account: Account = None,
    head: Annotated[
        list[str] | None, typer.Option("--head", help="A head noted elsewhere, ACCOUNT:ROW:HASH. Repeatable.")
    ] = None,
    stack: _Stack = None,
    namespace: Namespace = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Recompute every chain and name the first row that does not fit.

    A row that was altered, removed or put between is found by the chain itself; rows cut off at the end by the heads
    that the services publish in the state folder (audit/NAMESPACE/heads), or by one that you kept. Leaves with 1 where
    a row does not fit.

    Examples:

    tradebus audit verify

    tradebus audit verify --json | jq -r .heads[] >> ~/elsewhere/heads.txt
    """
    from services.cli.auditing.verifying import run_verify
    from services.cli.output import run_async

    run_async(run_verify(account=account, heads=head or [], stack=stack, namespace=namespace, json=json))


@commands.command()
def export(
    from_text: Annotated[str, typer.Option("--from", help="First day, or Indian time.")],
    to_text: Annotated[str, typer.Option("--to", help="Last day, or Indian time (not included).")],
    form: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    out: Annotated[Path | None, typer.Option("--out", help="A file, instead of stdout.")] = None,
    account: Account = None,
    stack: _Stack = None,
    namespace: Namespace = None,
) -> None:
    """Write the rows of some days, in the order they were sent.

    Examples:

    tradebus audit export --from 2026-12-01 --to 2026-12-01 --format csv --out audit.csv

    tradebus audit export --from 2026-12-01T09:15 --to 2026-12-01T09:20 | jq 'select(.method != "GET")'
    """
    from services.cli.auditing.exporting import run_export
    from services.cli.output import run_async

    run_async(
        run_export(
            from_text=from_text, to_text=to_text, form=form, out=out, account=account, stack=stack, namespace=namespace
        )
    )  # fmt: skip
