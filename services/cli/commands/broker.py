"""`tradebus instruments|quote|login`: a broker, looked at and logged in to."""

from pathlib import Path
from typing import Annotated

import typer

BrokerOption = Annotated[str, typer.Option("--broker", help="kite, dhan or upstox.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Another address than the broker's own: a sandbox. Else TRADEBUS_KITE_URL and so on."),
]
Login = Annotated[str | None, typer.Option("--credential", help="The stored login's name; the broker's by default.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]


def register(app: typer.Typer) -> None:
    for command in (instruments, quote, login):
        app.command()(command)


def instruments(
    broker: BrokerOption,
    query: Annotated[str, typer.Option("--query", "-q", help="Part of a symbol or key.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 20,
    url: Url = None,
    credential: Login = None,
    json: Json = False,
) -> None:
    """Search a broker's instrument master. Kite asks for a login first; Dhan's and Upstox's are public.

    Examples:

    tradebus instruments --broker kite --query NIFTY26

    tradebus instruments --broker upstox -q NFO:NIFTY --limit 50 --json | jq .instruments
    """
    from services.cli.brokers.looking import show_instruments
    from services.cli.output import run_async

    run_async(show_instruments(broker, url=url, credential=credential, query=query, limit=limit, json=json))


def quote(
    symbols: Annotated[list[str], typer.Argument(help="Symbols, aliases or keys; NIFTY means its current future.")],
    broker: BrokerOption,
    url: Url = None,
    credential: Login = None,
    json: Json = False,
) -> None:
    """Show a broker's quotes.

    Examples:

    tradebus quote NIFTY RELIANCE --broker kite

    tradebus quote NFO:NIFTY:2026-12-29:26000:CE --broker dhan --url http://127.0.0.1:8102 --json
    """
    from services.cli.brokers.looking import show_quotes
    from services.cli.output import run_async

    run_async(show_quotes(broker, symbols, url=url, credential=credential, json=json))


def login(
    broker: BrokerOption,
    url: Url = None,
    credential: Login = None,
    client_id: Annotated[
        str | None, typer.Option(help="The public half: an API key (Kite, Upstox), a client id (Dhan). Kept.")
    ] = None,
    secret_file: Annotated[Path | None, typer.Option(help="File with the application's API secret. Kept.")] = None,
    answer_file: Annotated[
        Path | None,
        typer.Option(help="File with what the browser was sent back with, instead of asking for it; - is stdin."),
    ] = None,
    callback_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Listen here for the browser: your app's redirect address is http://127.0.0.1:PORT/callback.",
        ),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a token made elsewhere; - is stdin.")] = None,
    totp_file: Annotated[
        Path | None, typer.Option(help="Dhan: file with your PIN and, below it, the authenticator's seed. Kept.")
    ] = None,
    totp: Annotated[bool, typer.Option("--totp", help="Dhan: log in by the PIN and seed that are kept.")] = False,
    renew: Annotated[bool, typer.Option("--renew", help="Dhan: another day for a token that still lives.")] = False,
    sandbox: Annotated[str | None, typer.Option(help="A sandbox's admin address: no browser is needed.")] = None,
    account: Annotated[str, typer.Option(help="With --sandbox: whose account; made where it is new.")] = "SANDBOX01",
    json: Json = False,
) -> None:
    """Log in to a broker and keep the token, encrypted, for sessions and feeds to name.

    Opens nothing: it prints the address for your browser and asks for what the browser is sent back with (the whole
    address will do). Secrets are read from files or asked for, never taken from the command line. Running services take
    the new token at their next request.

    Examples:

    tradebus login --broker kite --client-id MYAPIKEY --secret-file ~/kite.secret

    tradebus login --broker upstox --client-id MYAPIKEY --secret-file ~/upstox.secret --callback-port 8765

    tradebus login --broker dhan --client-id 1100000001 --token-file ~/dhan.token

    tradebus login --broker kite --sandbox http://127.0.0.1:8100 --account AB1234 --url http://127.0.0.1:8101
    """
    from services.cli.brokers.logging_in import LoginRequest, run_login
    from services.cli.output import run_async

    run_async(
        run_login(
            LoginRequest(
                broker=broker, url=url, name=credential, client_id=client_id, secret_file=secret_file,
                answer_file=answer_file, token_file=token_file, sandbox=sandbox, account=account,
                callback_port=callback_port, totp_file=totp_file, totp=totp, renew=renew,
            ),
            json=json,
        )
    )  # fmt: skip
