"""`tradebus up`: every service, waiting for commands, until Ctrl-C."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.stack.on_exit import SECONDS, OnExit

if TYPE_CHECKING:
    from services.cli.client import GatewayClient

OnExitOption = Annotated[
    OnExit,
    typer.Option(
        "--on-exit",
        envvar="TRADEBUS_ON_EXIT",
        help="At Ctrl-C or SIGTERM: stop closes positions and ends the sessions; flatten closes positions and pauses "
        "the sessions, which are there at the next start; keep leaves both as they are, with the stops that are at a "
        "broker.",
    ),
]


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command("on-exit", hidden=True)(on_exit)


def on_exit(
    how: OnExitOption = OnExit.KEEP,
    seconds: Annotated[
        float, typer.Option(envvar="TRADEBUS_ON_EXIT_SECONDS", min=1, help="It may take so long altogether.")
    ] = SECONDS,
    url: Annotated[str | None, typer.Option(envvar="TRADEBUS_GATEWAY_URL", help="The gateway's address.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the API token.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Is made once it waits.")] = None,
) -> None:
    """Wait for SIGTERM, then do with the sessions what `up --on-exit` does: for a stack of containers, where this one
    is told to end before the services. Leaves with 3 where positions are left."""
    from services.cli.output import run_async
    from services.cli.place import find_gateway
    from services.cli.stack.on_exit import wait_and_end

    def open_client() -> "GatewayClient":
        return find_gateway(None, url=url, token_file=token_file)

    if ready_file is not None:
        ready_file.touch()
    run_async(wait_and_end(open_client, how, seconds=seconds))


def up(
    port: Annotated[int, typer.Option(help="Where the gateway listens, on 127.0.0.1.")] = 8000,
    api_port: Annotated[int, typer.Option(help="Where the market-data API listens, on 127.0.0.1.")] = 8002,
    symbols: Annotated[
        str,
        typer.Option(envvar="TRADEBUS_SYMBOLS", help="What to follow, with commas; two indices and three stocks."),
    ] = "",
    feed: Annotated[
        str,
        typer.Option(
            envvar="TRADEBUS_FEED", help="generated, or a broker's live prices: kite, dhan, upstox (log in first)."
        ),
    ] = "generated",
    sandbox: Annotated[
        str | None, typer.Option(help="With --feed: a sandbox's admin address, whose clock the market follows.")
    ] = None,
    speed: Annotated[str, typer.Option(envvar="TRADEBUS_SPEED", help="Of the generated market: 1 is real time.")] = "1",
    seed: Annotated[int, typer.Option(envvar="TRADEBUS_SEED", min=0, help="Of the generated market.")] = 1,
    namespace: Annotated[
        str | None,
        typer.Option(
            envvar="TRADEBUS_NAMESPACE",
            help="Whose tables and streams; of the feed where not given: the generated market's, live, sandbox.",
        ),
    ] = None,
    at_exit: OnExitOption = OnExit.STOP,
) -> None:  # fmt: skip
    """Start every service and wait for commands until Ctrl-C.

    Prices come from a generated market, in real time, or with --feed from a broker. Sessions, orders and trades
    stay in the book of record: start it again and they go on. Ctrl-C and SIGTERM stop every session (its positions are
    closed) before the services end, unless --on-exit says otherwise; a second Ctrl-C does not wait for that. The
    generated market, brokers' prices and a sandbox each have tables and streams of their own, so that practice is never
    among what was real.

    Examples:

    tradebus up

    tradebus up --speed 60 --symbols NIFTY,BANKNIFTY

    tradebus login --broker kite --client-id KEY --secret-file kite.secret && tradebus up --feed kite

    TRADEBUS_KITE_URL=http://127.0.0.1:8101 tradebus up --feed kite --sandbox http://127.0.0.1:8100

    tradebus start 123 --strategy orb --symbol BANKNIFTY --capital 2000000     (in another terminal)
    """
    from services.cli.arguments import parse_feed, parse_namespace, parse_speed
    from services.cli.output import run_async
    from services.cli.stack.standing import StandingOptions, run_up

    chosen = parse_feed(feed)
    run_async(
        run_up(
            StandingOptions(
                port=port, api_port=api_port, symbols=symbols, speed=parse_speed(speed), seed=seed, feed=chosen,
                sandbox=sandbox, namespace=parse_namespace(namespace), on_exit=at_exit,
            )
        )
    )  # fmt: skip
