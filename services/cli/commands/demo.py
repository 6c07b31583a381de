"""`tradebus demo`: one generated day over every service, or a morning at the sandbox exchange, with nothing but this
installed."""

from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(min=0, help="Of the generated market and the paper fills.")]
Day = Annotated[str | None, typer.Option(help="The trading day to generate, as 2026-11-20; the last one by default.")]
Speed = Annotated[
    str | None,
    typer.Option(
        help="max, or how many times faster than the clock: 600 takes about 40 s. With --broker a number, 40."
    ),
]
BrokerOption = Annotated[
    str | None, typer.Option(help="kite, dhan or upstox: trade at the sandbox exchange, with prices from its face.")
]
OrdersBroker = Annotated[str | None, typer.Option(help="With --broker: where orders go, where that is another face.")]
Minutes = Annotated[
    int,
    typer.Option(
        min=5, max=375, help="With --broker: minutes of the market, from when the sessions run (09:15 at the earliest)."
    ),
]
Port = Annotated[int, typer.Option(help="Where the gateway listens; another one where it is taken.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the tables and streams for looking into.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    seed: Seed = 7, day: Day = None, speed: Speed = None, broker: BrokerOption = None,
    orders_broker: OrdersBroker = None, minutes: Minutes = 105, port: Port = 8000, keep: Keep = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Trade one generated day with two users' sessions, and print the day's report.

    Starts Postgres and Redis where DATABASE_URL and REDIS_URL name none, every service, a generated market of NIFTY,
    BANKNIFTY and three stocks, and two paper sessions: one with the ORB strategy, one with EMA 20/50. Ends by itself.

    With --broker the sandbox exchange runs as a process of its own, prices come through a broker's protocol, orders
    rest and fill at the exchange, and in the end the ledger is held against the exchange's book: orders, fills,
    positions, profit. Leaves with 1 where they differ. Takes about three minutes.

    Examples:

    tradebus demo

    tradebus demo --seed 42 --speed 600

    tradebus demo --broker kite

    tradebus demo --broker upstox --orders-broker dhan --minutes 60 --json | tail -1
    """
    from services.cli.arguments import parse_broker, parse_day, parse_market_speed, parse_speed
    from services.cli.output import run_async
    from tradebus.kernel.errors import InvalidInput

    chosen = parse_day(day, option="--day")
    if broker is None:
        if orders_broker is not None:
            raise InvalidInput("--orders-broker: needs --broker, whose prices are traded at")
        from services.cli.runs.demonstration import run_demo

        pace = parse_speed(speed or "600")
        run_async(run_demo(seed=seed, day=chosen, speed=pace, port=port, keep=keep, json=json))
        return
    prices, orders = (
        parse_broker(broker, option="--broker"), parse_broker(orders_broker or broker, option="--orders-broker")
    )  # fmt: skip
    pace_of_market = parse_market_speed(speed or "40")
    from services.cli.runs.broker_demo import BrokerDemo, run_broker_demo

    wanted = BrokerDemo(prices, orders, seed, chosen, pace_of_market, minutes, port, keep, json)
    run_async(run_broker_demo(wanted))
