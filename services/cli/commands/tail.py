"""`tradebus tail`: what flows on a stream, readable."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(tail)


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
