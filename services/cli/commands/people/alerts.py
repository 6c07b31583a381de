"""`tradebus alerts add|list|test|remove`: where a person is told what must not wait."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.control import Json

Name = Annotated[str, typer.Argument(help="The sink's name, as `tradebus alerts list` has it.")]

commands = typer.Typer(
    no_args_is_help=True,
    help="Where you are told of positions without a stop, lost logins, degraded accounts, mismatches, the kill switch, "
    "sessions that fail or halt, and entries that wait for you.\n\nExample: tradebus alerts list",
)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="alerts")


@commands.command()
def add(
    name: Annotated[str, typer.Argument(help="Your name for it: 1 to 32 of a-z, 0-9 and _.")],
    file: Annotated[Path, typer.Option("--file", help="JSON file that says where; you may remove it afterwards.")],
    json: Json = False,
) -> None:
    """Tell a webhook, a Telegram chat or an e-mail address from now on. A running gateway takes it up in seconds.

    The file is one of

    {"kind": "webhook", "url": "https://hooks.example/…"}     also "header" and "header_value"

    {"kind": "telegram", "token": "…", "chat_id": "…"}

    {"kind": "email", "host": "…", "sender": "…", "to": "…", "user": "…", "password": "…"}     also "port", "security"

    It is kept encrypted, and shown nowhere.

    Example: tradebus alerts add phone --file ~/telegram.json
    """
    from services.cli.alerting import add_sink

    add_sink(name, file, json=json)


@commands.command("list")
def list_(json: Json = False) -> None:
    """Show who is told, by name and kind. Addresses are not shown: they may be secrets.

    Example: tradebus alerts list
    """
    from services.cli.alerting import list_sinks

    list_sinks(json=json)


@commands.command("test")
def try_(name: Name, json: Json = False) -> None:
    """Send one message there now. Leaves with 1 where it is not taken.

    Example: tradebus alerts test phone
    """
    from services.cli.alerting import try_sink
    from services.cli.output import run_async

    run_async(try_sink(name, json=json))


@commands.command()
def remove(name: Name, json: Json = False) -> None:
    """Tell it nothing more.

    Example: tradebus alerts remove phone
    """
    from services.cli.alerting import remove_sink

    remove_sink(name, json=json)
