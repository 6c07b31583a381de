"""`tradebus kill`: everything flat, no entries any more, whatever else is dead."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(kill)


def kill(
    reason: Annotated[str, typer.Option(help="Kept with the switch.")] = "tradebus kill",
    reset: Annotated[
        bool, typer.Option("--reset", help="Release the switch: sessions may make entries again.")
    ] = False,
    stack: Annotated[str | None, typer.Option("--stack", help="Only this stack; all that run, without.")] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Close what is not ours too: every intraday position, every order.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --everything: do not ask.")] = False,
    at_broker: Annotated[
        bool, typer.Option("--at-broker", help="Then engage each broker's own kill switch, where it offers one.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1.0, help="Try for so long at each broker.")] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Close every position of every session and refuse entries until the switch is released.

    Works with everything else dead. It engages the switch in the state folder's .killswitch file, in the book of record
    and on the bus, whichever answers, and says which. Where execution does not answer it goes to each broker account
    with the stored logins itself: cancels our orders and closes what our orders have opened today, by the book of
    record or, without it, by their tags. Positions of others are left alone.

    With --at-broker an account that is flat is switched off at the broker too (Dhan, Upstox; Kite offers none to
    programs): it takes no order any more, of nobody, until a person releases it there. Not while anything is held or
    rests in it, ours or not: nobody would get out.

    Leaves with 0 where every account is flat (and switched off, where that was asked for), 1 where one is not, 3 where
    the switch was reached in no way. The switch outlives restarts; after --reset a session enters again once a person
    has resumed it.

    Examples:

    tradebus kill --reason "feed is wrong"

    tradebus kill --everything --seconds 120

    tradebus kill --at-broker --reason "token leaked"

    tradebus kill --reset
    """
    from services.cli.killing.run import run_kill
    from services.cli.output import run_async
    from tradebus.kernel.errors import InvalidInput

    if everything and not yes and typer.prompt("This closes what is not ours too. Type: everything") != "everything":
        raise InvalidInput("--everything: not confirmed, nothing was done; leave it out, or give --yes")
    run_async(
        run_kill(
            reason=reason, reset=reset, stack=stack, everything=everything, at_broker=at_broker, seconds=seconds,
            json=json,
        )
    )  # fmt: skip
