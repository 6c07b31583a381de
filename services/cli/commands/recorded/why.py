"""`tradebus why`: what each strategy decided at an instant of a recorded run, and what risk said."""

from typing import Annotated

import typer

from services.cli.commands.recorded.runs import Json


def register(app: typer.Typer) -> None:
    app.command()(why)


def why(
    symbol: Annotated[str, typer.Argument(help="The symbol, as the run has it: BANKNIFTY.")],
    time: Annotated[str, typer.Argument(help="2024-01-02T10:15 (IST, or with an offset); 10:15 in a run of one day.")],
    run: Annotated[str, typer.Option(help="The run's number, as `tradebus runs` lists it, or last.")] = "last",
    json: Json = False,
) -> None:
    """Say why a recorded run did what it did at a time: each strategy's decision with its reason, HOLD too, what risk
    answered with its figures, and the trades that were open.

    A candle is decided on when it closes: the decision on the minute from 10:14 is that of 10:15.

    Examples:

    tradebus why BANKNIFTY 2024-01-02T10:15

    tradebus why BANKNIFTY 10:15 --run 7 --json
    """
    from services.cli.output import print_json
    from services.cli.place import state_dir
    from services.cli.recorded.asking import asked_instant, asked_symbol, explained
    from services.cli.recorded.folder import RecordedRuns

    found = RecordedRuns(state_dir()).find(run)
    told = explained(found, symbol=asked_symbol(found, symbol), ts_ns=asked_instant(found, time))
    if json:
        print_json(told.as_json())
        return
    for line in told.lines():
        print(line)
