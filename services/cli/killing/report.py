"""What `tradebus kill` says: the ways of the switch, and a table of accounts."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

from services.cli.killing.switch import KillResult
from services.cli.output import print_json


@dataclass(slots=True)
class AccountOutcome:
    """What became of an account. `by` is who closed it ("" where there was nothing to do); quantities are signed units
    by symbol."""

    account: str
    flat: bool = False
    by: str = ""
    held: dict[str, int] = field(default_factory=dict)
    closed: dict[str, int] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problem: str = ""
    at_broker: str | None = None  # its own kill switch: "" engaged, else why not; None: not asked for


def show(
    results: Sequence[KillResult], accounts: Sequence[AccountOutcome], *, reason: str, reset: bool, json: bool
) -> None:
    """Lines and a table for a person, or one JSON object."""
    if json:
        stacks = [{"stack": one.target.name, "namespace": one.target.namespace, **one.ways} for one in results]
        print_json(
            {
                "command": "kill", "reset": reset, "reason": reason, "stacks": stacks,
                "flat": all(one.flat for one in accounts), "accounts": [asdict(one) for one in accounts],
            }
        )  # fmt: skip
        return
    for result in results:
        for way, what in result.ways.items():
            print(f"{result.target.name}: {way}: {what}")
    reached = any(result.reached for result in results)
    if reset:
        if reached:
            print("released: entries are let through again, in each session that `tradebus resume` lets go on")
        return
    print("kill switch engaged" if reached else "not engaged")
    if accounts:
        _table(accounts)


def _table(accounts: Sequence[AccountOutcome]) -> None:
    console = Console(file=sys.stdout, highlight=False)
    asked = [one for one in accounts if one.at_broker is not None]
    columns = ("account", "flat", "by", "held", "closed", "cancelled", "left alone", "problem")
    table = Table(*columns, *(["at the broker"] if asked else []))
    for one in accounts:
        table.add_row(
            one.account, "yes" if one.flat else "NO", one.by, _units(one.held), _units(one.closed),
            "\n".join(one.cancelled), "\n".join(one.left), one.problem,
            *([_at_broker(one)] if asked else []),
        )  # fmt: skip
    console.print(table, markup=False)


def _at_broker(one: AccountOutcome) -> str:
    return "engaged" if one.at_broker == "" else one.at_broker or "not tried"


def _units(by_symbol: Mapping[str, int]) -> str:
    return "\n".join(f"{quantity:+d} {symbol}" for symbol, quantity in by_symbol.items())
