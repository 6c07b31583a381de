"""`tradebus demo`: one generated day over every service, with nothing but this installed."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    seed: Annotated[int, typer.Option(min=0, help="Of the generated market and the paper fills.")] = 7,
    day: Annotated[
        str | None, typer.Option(help="The trading day to generate, as 2026-11-20; the last one by default.")
    ] = None,
    speed: Annotated[
        str, typer.Option(help="max, or how many times faster than the clock: 600 takes about 40 s.")
    ] = "600",
    port: Annotated[int, typer.Option(help="Where the gateway listens; another one where it is taken.")] = 8000,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the tables and streams for looking into.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Trade one generated day with two users' sessions, and print the day's report.

    Starts Postgres and Redis where DATABASE_URL and REDIS_URL name none, every service, a generated market of NIFTY,
    BANKNIFTY and three stocks, and two paper sessions: one with the ORB strategy, one with EMA 20/50. Ends by itself.

    Examples:

    tradebus demo

    tradebus demo --seed 42 --speed 600

    tradebus demo --json | tail -1
    """
    from services.cli.arguments import parse_day, parse_speed
    from services.cli.demonstration import run_demo
    from services.cli.output import run_async

    chosen = parse_day(day, option="--day")
    run_async(run_demo(seed=seed, day=chosen, speed=parse_speed(speed), port=port, keep=keep, json=json))
