"""The book of record against the sandbox's own book of an account. Pure: two views in, every difference out.

Invariants (property-tested): two views of the same trades differ in nothing; each order, fill, position or rupee that
only one of them has is named.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tradebus.kernel.money import format_rupees

# Ours by the exchange's word.
_STATES = {"COMPLETE": "FILLED", "CANCELLED": "CANCELLED", "REJECTED": "REJECTED"}


def compare(
    orders: Sequence[Mapping[str, Any]],
    fills: Sequence[Mapping[str, Any]],
    held: Mapping[str, int],
    gross_pnl_paise: int,
    theirs: Mapping[str, Any],
) -> list[str]:
    """Differences in words. `orders` and `fills` are rows of the book (fills by tag), `held` is net quantity by
    instrument key, `theirs` what the sandbox says of the account."""
    book = {row["tag"]: row for row in theirs["orders"]}
    own = {row["tag"]: row for row in orders}
    found: list[str] = []
    for tag in sorted(own.keys() | book.keys()):
        mine, other = own.get(tag), book.get(tag)
        if mine is None:
            found.append(f"order {tag or '(no tag)'}: at the broker ({_shown(book[tag])}), not in the ledger")
        elif other is None:
            if mine["broker_order_id"] is not None:
                found.append(f"order {tag}: in the ledger ({mine['state']}), not at the broker")
        else:
            found += _order(tag, mine, other, [row for row in fills if row["tag"] == tag])
    return found + _positions(held, theirs["positions"]) + _money(gross_pnl_paise, theirs)


def _order(
    tag: str, mine: Mapping[str, Any], other: Mapping[str, Any], fills: Iterable[Mapping[str, Any]]
) -> list[str]:
    found = []
    state = _STATES.get(other["status"], other["status"])
    for name, ours, brokers in (
        ("state", mine["state"], state),
        ("side", mine["transaction_type"], other["transaction"]),
        ("quantity", mine["quantity"], other["quantity"]),
        ("filled", mine["filled_quantity"], other["filled_quantity"]),
    ):
        if ours != brokers:
            found.append(f"order {tag}: {name} is {ours} in the ledger and {brokers} at the broker")
    own = Counter((row["quantity"], row["price_paise"]) for row in fills)
    book = Counter((row["quantity"], row["price_paise"]) for row in other["trades"])
    if own != book:
        found.append(f"order {tag}: fills are {_fills(own)} in the ledger and {_fills(book)} at the broker")
    return found


def _positions(held: Mapping[str, int], positions: Sequence[Mapping[str, Any]]) -> list[str]:
    book: Counter[str] = Counter()
    for row in positions:
        book[row["key"]] += row["quantity"]
    return [
        f"position {key}: {held.get(key, 0)} in the ledger and {book.get(key, 0)} at the broker"
        for key in sorted(held.keys() | book.keys())
        if held.get(key, 0) != book.get(key, 0)
    ]


def _money(gross_pnl_paise: int, theirs: Mapping[str, Any]) -> list[str]:
    """Before charges; where something is held the broker's figure is marked to the market, and is not compared."""
    if any(row["quantity"] for row in theirs["positions"]) or gross_pnl_paise == theirs["pnl_paise"]:
        return []
    ours, brokers = format_rupees(gross_pnl_paise), format_rupees(theirs["pnl_paise"])
    return [f"gross P&L: {ours} in the ledger and {brokers} at the broker"]


def _shown(row: Mapping[str, Any]) -> str:
    return f"{row['transaction']} {row['filled_quantity']}/{row['quantity']} {row['symbol']} {row['status']}"


def _fills(counted: "Counter[tuple[int, int]]") -> str:
    return ", ".join(f"{quantity} @ {price / 100:.2f}" for quantity, price in sorted(counted.elements())) or "none"
