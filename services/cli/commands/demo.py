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
        str | None,
        typer.Option(
            help="max, or how many times faster than the clock: 600 takes about 40 s. With --broker a number, 40."
        ),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(help="kite, dhan or upstox: trade at the sandbox exchange, with prices from its face."),
    ] = None,
    orders_broker: Annotated[
        str | None, typer.Option(help="With --broker: where orders go, where that is another face.")
    ] = None,
    minutes: Annotated[
        int, typer.Option(min=5, max=375, help="With --broker: how much of the market's day, from 09:15 on.")
    ] = 105,
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

    tradebus demo --broker kite

    tradebus demo --broker upstox --orders-broker dhan --minutes 60

    With --broker the sandbox exchange runs as a process of its own, orders rest and fill there, and in the end the
    ledger is held against the exchange's book: orders, fills, positions, profit. Leaves with 1 where they differ.
    """
    from services.cli.arguments import parse_broker, parse_day, parse_market_speed, parse_speed
    from services.cli.demonstration import run_demo
    from services.cli.output import run_async
    from tradebus.kernel.errors import InvalidInput

    chosen = parse_day(day, option="--day")
    if broker is None:
        if orders_broker is not None:
            raise InvalidInput("--orders-broker: needs --broker, whose prices are traded at")
        pace = parse_speed(speed or "600")
        run_async(run_demo(seed=seed, day=chosen, speed=pace, port=port, keep=keep, json=json))
        return
    from services.cli.broker_demo import BrokerDemo, run_broker_demo

    wanted = BrokerDemo(
        broker=parse_broker(broker, option="--broker"),
        orders_broker=parse_broker(orders_broker or broker, option="--orders-broker"),
        seed=seed,
        day=chosen,
        speed=parse_market_speed(speed or "40"),
        minutes=minutes,
        port=port,
        keep=keep,
        json=json,
    )
    run_async(run_broker_demo(wanted))
