"""`tradebus bench`: measurements, each beside its floor. `tradebus drill`: what must hold, under every fault."""

from typing import Annotated

import typer

from tradebus.kernel.errors import InvalidInput


def register(app: typer.Typer) -> None:
    app.command()(bench)
    app.command()(drill)


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="ingest, latency, candles, opinions, parse; or, minutes: accounts, backtest, engine, governor, "
            "orders, sandbox."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Measure throughput and latency, each beside the floor of the same machine in the same run.

    ingest: frame → Redis → candles → Postgres, ticks a second. latency: tick → order over all services, with a
    strategy in the service and with users' files in processes of their own. candles: the compiled kernels.
    opinions: one compiled strategy for 1,000 sessions at 25,000 ticks a second. parse: brokers' frames → record
    batches, beside the SDKs. engine: a month through six processes and through the engine, then ten years. backtest:
    bulk mode, a sweep, the engine's cost of a trade and pandas on ten years of minutes. sandbox:
    the simulated exchange with 5,000 instruments and 1,000 accounts, for five minutes. accounts: what two accounts
    notice of a third whose broker hangs, while they trade, at the start and on a kill. governor: eight processes of
    one account against the exchange's own second. orders: entries a second through risk and execution, and a thousand
    sessions that follow one opinion.

    Examples:

    tradebus bench ingest latency candles

    tradebus bench candles --json
    """
    from services.cli.bench.registry import run_benchmarks

    run_benchmarks(names or [], json=json)


def drill(
    runs: Annotated[int, typer.Option(min=1, max=1_000_000, help="So many seeds, one after the other.")] = 200,
    seed: Annotated[int | None, typer.Option(min=0, help="The first.", show_default="from the date")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Tell what happens in each run, line by line.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, max=256, help="Processes.", show_default="one per core")] = None,
    real: Annotated[
        bool, typer.Option("--real", help="Real processes, Postgres and Redis, at the sandbox's faces: minutes.")
    ] = False,
    week: Annotated[bool, typer.Option("--week", help="Play one whole week instead, with risk and gateway.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Run the services themselves against a simulated exchange, with kills and faults drawn from a seed.

    In each run sessions trade for a market minute in simulated time: requests are lost, late or answered with an
    error after they were done, processes are killed at commits and requests, and start again. At the end our book is
    held to the exchange's. A seed always gives the same run. It needs no server, and leaves with 1 where an invariant
    is violated.

    With --real execution runs in processes that are killed, on servers of its own that crash, through the brokers' own
    SDKs against the sandbox's faces; ten runs beside each other in a minute. Nothing of it runs the same way twice.

    With --week 20 users trade at three brokers from 1 to 8 December 2026, nights and two expiries included, at
    8 to 45 times the market's pace; every evening both books are held together. It takes about a minute.

    Examples:

    tradebus drill --runs 10000

    tradebus drill --real --runs 50

    tradebus drill --week

    tradebus drill --seed 42 --runs 1 --trace
    """
    if week and real:
        raise InvalidInput("--week, --real: two drills; say which")
    if week:
        from services.cli.drill.week.command import run_week

        run_week(seed=seed, trace=trace, json=json)
        return
    from services.cli.drill.command import run_drill

    run_drill(seed=seed, runs=runs, trace=trace, jobs=jobs, json=json, real=real)
