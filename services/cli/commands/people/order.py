"""`tradebus order|close`: a person's own orders in a running session."""

from typing import Annotated

import typer

from services.cli.commands.control import Json, StackOption, TokenFile, Url, User

Key = Annotated[
    str | None, typer.Option("--key", help="Your own name for this order: sent again with it, it is the same order.")
]
By = Annotated[str | None, typer.Option("--by", help="Who asks; your login where not given.")]


def register(app: typer.Typer) -> None:
    for command in (order, close):
        app.command()(command)


def order(
    user: User,
    way: Annotated[str, typer.Argument(metavar="buy|sell", help="buy opens a long position, sell a short one.")],
    symbol: Annotated[str, typer.Argument(help="What to trade; the feed must follow it.")],
    stop: Annotated[str, typer.Option(help="Rupees. No position is without a stop.")],
    target: Annotated[str | None, typer.Option(help="Rupees; without it the stop, a close or the day ends it.")] = None,
    price: Annotated[str | None, typer.Option(help="Rupees to enter at; the last price where not given.")] = None,
    lots: Annotated[int | None, typer.Option(min=1, help="Else the session's sizing says how many.")] = None,
    reason: Annotated[str, typer.Option(help="Kept with the order.")] = "by hand",
    by: By = None, key: Key = None, stack: StackOption = None, url: Url = None, token_file: TokenFile = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Ask for a position by hand in a user's running session, and wait for what risk says.

    It goes the way of every entry: the session's risk rules, its limits, the kill switch, a stop at the broker. What
    a rule refuses is refused with the rule's name and leaves with 1. A rule may leave fewer lots than you ask for.

    Examples:

    tradebus order 123 buy NIFTY --stop 24900

    tradebus order asha sell BANKNIFTY --stop 51200 --target 50000 --lots 2 --reason "failed breakout"

    tradebus order 123 buy NIFTY --stop 24900 --key breakout-1     (twice, and it is one order)
    """
    from services.cli.ordering import ask, entry_data

    data = entry_data(way, symbol, stop=stop, target=target, price=price, lots=lots, reason=reason, by=by)
    ask("PLACE_MANUAL", user, data, key=key, stack=stack, url=url, token_file=token_file, json=json)


def close(
    user: User,
    position: Annotated[str, typer.Argument(help="The position's id, as `tradebus status --json` has it.")],
    reason: Annotated[str, typer.Option(help="Kept with the order.")] = "by hand",
    by: By = None, key: Key = None, stack: StackOption = None, url: Url = None, token_file: TokenFile = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Close one position of a user, whoever opened it. No rule stops an exit. `tradebus flatten` closes them all.

    Example: tradebus close 123 01a210f7-b940-7673-b0e1-478023161e09 --reason "news at two"
    """
    from services.cli.ordering import ask, close_data

    data = close_data(position, reason=reason, by=by)
    ask("CLOSE_POSITION", user, data, key=key, stack=stack, url=url, token_file=token_file, json=json)
