"""`tradebus tail`: what flows on a stream, readable. `tradebus streams`: who reads it."""

from typing import Annotated

import typer

streams = typer.Typer(no_args_is_help=False, help="Who reads what on the bus, and how far behind.")
_Stack = Annotated[str | None, typer.Option("--stack", help="Which stack, where several run.")]
_Namespace = Annotated[
    str | None, typer.Option(envvar="TRADEBUS_NAMESPACE", help="Instead of a stack: a namespace of REDIS_URL.")
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


def register(app: typer.Typer) -> None:
    app.command()(tail)
    app.add_typer(streams, name="streams")


def tail(
    stream: Annotated[
        str,
        typer.Argument(
            help="events, signals, intents, risk, orders, commands, sessions, ticks, candles, or a full name."
        ),
    ] = "events",
    count: Annotated[
        int, typer.Option("--count", "-n", min=0, max=10_000, help="How many of the newest entries.")
    ] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    stack: Annotated[str | None, typer.Option("--stack", help="Which stack, where several run.")] = None,
    namespace: Annotated[
        str | None, typer.Option(envvar="TRADEBUS_NAMESPACE", help="Instead of a stack: a namespace of REDIS_URL.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object as the last line; with --follow one line per entry.")
    ] = False,
) -> None:
    """Print what flows on a stream: messages and dense batches alike, one line each.

    Examples:

    tradebus tail

    tradebus tail orders --follow

    tradebus tail candles -n 5 --json
    """
    from services.cli.output import run_async
    from services.cli.tailing import run_tail

    run_async(run_tail(stream, count=count, follow=follow, stack=stack, namespace=namespace, json=json))


@streams.callback(invoke_without_command=True)
def show(context: typer.Context, stack: _Stack = None, namespace: _Namespace = None, json: _Json = False) -> None:
    """List every group of every stream: entries not acknowledged, seconds since it read.

    Example: tradebus streams
    """
    from services.cli.grouping import run_show
    from services.cli.output import run_async

    if context.invoked_subcommand is None:
        run_async(run_show(stack=stack, namespace=namespace, json=json))


@streams.command()
def retire(
    group: Annotated[str, typer.Argument(help="The group whose reader is gone for good.")],
    stack: _Stack = None,
    namespace: _Namespace = None,
    force: Annotated[bool, typer.Option("--force", help="Also where it has read in the last minute.")] = False,
    json: _Json = False,
) -> None:
    """Remove a group from every stream, with all it had not acknowledged: nobody waits for it any more.

    Example: tradebus streams retire execution-2
    """
    from services.cli.grouping import run_retire
    from services.cli.output import run_async

    run_async(run_retire(group, stack=stack, namespace=namespace, force=force, json=json))
