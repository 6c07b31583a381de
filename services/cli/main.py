"""The `tradebus` command. Each command's work is imported when it runs: `tradebus --help` answers at once.

Exit codes: 0 done · 1 failed · 2 bad input, named in one line · 3 a server or service is not there ·
4 a strategy of the run failed · 130 interrupted.
"""

import os
import sys
from importlib import import_module
from typing import Annotated

import typer

from services.cli.output import Verbosity
from tradebus.kernel.errors import TradebusError

_COMMANDS = (
    "demo",
    "trade",
    "backtest",
    "research.sweep",
    "research.check",
    "recorded.runs",
    "recorded.why",
    "up",
    "control",
    "people.order",
    "people.alerts",
    "people.approvals",
    "people.webhook",
    "status",
    "tail",
    "kill",
    "proof.check_history",
    "proof.audit",
    "proof.export",
    "proof.preflight",
    "broker",
    "sandbox",
    "migrate",
    "bench",
)

app = typer.Typer(
    name="tradebus",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Trade NSE equity, futures and options through small services around a Redis bus.\n\n"
    "Without a broker account: `tradebus demo` runs a whole generated day, `tradebus up` waits for your commands.\n\n"
    "Postgres and Redis come along, unless DATABASE_URL and REDIS_URL name yours.",
    epilog="Exit codes: 0 done · 1 failed · 2 bad input · 3 a server or service is not there · "
    "4 a strategy of the run failed · 130 interrupted.\n\n"
    "State (servers, logs, tokens) lies in the folder TRADEBUS_STATE_DIR names; `tradebus status` shows it.",
)


# Commands that ask the calendar nothing here, or that a person needs most when a file of his is broken.
_WITHOUT_MARKET_RULES = frozenset({
    "version", "start", "stop", "pause", "resume", "flatten", "order", "close", "status", "tail", "login", "migrate",
    "streams", "audit", "webhook", "approvals", "alerts", "runs", "report", "compare", "why",
})  # fmt: skip


def _read_market_rules(command: str) -> None:
    """Of the file that TRADEBUS_MARKET_RULES names, for commands that need them. `kill` goes on without it."""
    # Where none is named, nothing of the calendar is imported for a word of help.
    if not os.environ.get("TRADEBUS_MARKET_RULES") or command in _WITHOUT_MARKET_RULES:
        return
    from tradebus.config.market_rules import install_market_rules

    try:
        install_market_rules()
    except TradebusError as error:
        if command != "kill":
            raise
        sys.stderr.write(f"tradebus kill: {error}\ntradebus kill: THE BUILT-IN MARKET RULES HOLD for this kill\n")


@app.callback()
def options(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", help="Services log at level debug.")] = False,
    silent: Annotated[bool, typer.Option("--silent", help="No progress and no remarks on stderr.")] = False,
) -> None:
    """Options of every command stand before its name: tradebus --silent demo."""
    Verbosity.silent = silent
    Verbosity.log_level = "debug" if verbose else "info"
    _read_market_rules(context.invoked_subcommand or "")


@app.command()
def version() -> None:
    """Print the version.

    Example: tradebus version
    """
    from importlib.metadata import version as installed

    print(f"tradebus {installed('tradebus')}")


for _name in _COMMANDS:
    import_module(f"services.cli.commands.{_name}").register(app)


def main() -> None:
    """The entry point: a user's mistake is one line, a defect keeps its traceback."""
    try:
        app()
    except TradebusError as error:
        sys.stderr.write(f"tradebus: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
