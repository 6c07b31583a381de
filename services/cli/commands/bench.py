"""`tradebus bench`: measurements, each beside its floor."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(bench)


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="ingest, latency, candles, opinions, parse; or, for minutes: accounts, engine, sandbox."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Measure throughput and latency, each beside the floor of the same machine in the same run.

    ingest: frame → Redis → candles → Postgres, ticks a second. latency: tick → order over all services, with a
    strategy in the service and with users' files in processes of their own. candles: the compiled kernels.
    opinions: one compiled strategy for 1,000 sessions at 25,000 ticks a second. parse: brokers' frames → record
    batches, beside the SDKs. engine: a month through six processes and through the engine, then ten years. sandbox:
    the simulated exchange with 5,000 instruments and 1,000 accounts, for five minutes. accounts: what two accounts
    notice of a third whose broker hangs, while they trade, at the start and on a kill.

    Examples:

    tradebus bench ingest latency candles

    tradebus bench candles --json
    """
    from services.cli.bench.registry import run_benchmarks

    run_benchmarks(names or [], json=json)
