"""`tradebus sandbox`: the simulated exchange behind three brokers' faces, until Ctrl-C."""

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    app.command()(sandbox)


def sandbox(
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the generated prices: same seed, same market.", show_default="1")
    ] = None,
    start: Annotated[str | None, typer.Option(help="Where its clock begins, Indian time: 2026-11-25T09:10.")] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0, max=100_000, help="Market seconds a second; 0 stands still until it is moved.", show_default="1"
        ),
    ] = None,
    instruments: Annotated[
        int | None, typer.Option(min=1, max=50_000, help="About how many are listed.", show_default="1200")
    ] = None,
    kite_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="0: any free one.", show_default="8101")
    ] = None,
    dhan_port: Annotated[int | None, typer.Option(min=0, max=65_535, show_default="8102")] = None,
    upstox_port: Annotated[int | None, typer.Option(min=0, max=65_535, show_default="8103")] = None,
    admin_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Clock, accounts, faults.", show_default="8100")
    ] = None,
    master: Annotated[Path | None, typer.Option(help="A broker's master instead of a generated list.")] = None,
    history: Annotated[Path | None, typer.Option(help="Candles or ticks instead of made-up prices.")] = None,
    faults: Annotated[Path | None, typer.Option(help="JSON file: a list of fault rules.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the addresses as one JSON object.")] = False,
) -> None:
    """Run a simulated NSE that speaks Kite's, Dhan's and Upstox's own protocols, until Ctrl-C.

    The brokers' official SDKs connect to it unchanged. It needs neither Postgres nor Redis. Accounts are made by
    logging in: `tradebus login --broker kite --sandbox http://127.0.0.1:8100 --account AB1234`. Options not given are
    taken from TRADEBUS_SANDBOX_… where those are set.

    Examples:

    tradebus sandbox

    tradebus sandbox --start 2026-11-25T09:10 --speed 20

    curl -X POST 127.0.0.1:8100/faults -H 'Content-Type: application/json' \\
      -d '{"kind": "SERVER_ERROR", "endpoint": "POST /orders/*", "count": 3}'
    """
    from services.cli.brokers.sandboxing import run_sandbox
    from services.cli.output import run_async

    given: dict[str, Any] = {
        "seed": seed, "start": start, "speed": speed, "instruments": instruments, "kite_port": kite_port,
        "dhan_port": dhan_port, "upstox_port": upstox_port, "admin_port": admin_port, "master": master,
        "history": history, "faults": faults,
    }  # fmt: skip
    run_async(run_sandbox({name: value for name, value in given.items() if value is not None}, json=json))
