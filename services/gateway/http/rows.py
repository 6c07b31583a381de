"""Rows of the book as the API shows them: rupees for paise, UTC text for nanoseconds, averages for sums.

Invariant (property-tested): an amount in whole paise comes out as the JSON number of exactly that many rupees.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tradebus.execution.governor.standing import standing_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import paise_to_rupees
from tradebus.kernel.time import ist_datetime, utc_iso


def json_rupees(paise: int | None) -> float | None:
    """For JSON only. Exact in its decimal form: a double holds 15 digits, and amounts here have fewer."""
    return None if paise is None else float(paise_to_rupees(paise))


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """`price_paise` → `price` in rupees, `opened_ns` → `opened_utc`; everything else as it is."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith("_paise"):
            found[name.removesuffix("_paise")] = json_rupees(value)
        elif name.endswith("_ns"):
            found[name.removesuffix("_ns") + "_utc"] = None if value is None else utc_iso(value)
        else:
            found[name] = float(value) if isinstance(value, Decimal) else value
    return found


def average_price(value_paise: int, quantity: int) -> float | None:
    """Rupees, to a hundredth of a paisa; None where nothing was traded."""
    return round(value_paise / quantity / 100, 4) if quantity else None


def trade(row: Mapping[str, Any]) -> dict[str, Any]:
    found = shown(row)
    found["entry_price"] = average_price(row["entry_value_paise"], row["entry_quantity"])
    found["exit_price"] = average_price(row["exit_value_paise"], row["exit_quantity"])
    return found


def order(row: Mapping[str, Any]) -> dict[str, Any]:
    found = shown(row)
    found["average_price"] = average_price(row["filled_value_paise"], row["filled_quantity"])
    return found


def position(row: Mapping[str, Any]) -> dict[str, Any]:
    """An open position, with what it would bring at its last price; null before a first candle."""
    found = shown(row)
    del found["entry_value"], found["entry_quantity"]
    found["entry_price"] = average_price(row["entry_value_paise"], row["entry_quantity"])
    found["unrealised_pnl"] = json_rupees(unrealised_paise(row))
    return found


def unrealised_paise(row: Mapping[str, Any]) -> int | None:
    """Before charges, of what is still open."""
    if row["last_price_paise"] is None or not row["entry_quantity"]:
        return None
    sign = 1 if row["side"] == "LONG" else -1
    cost_paise = row["entry_value_paise"] * row["quantity"] // row["entry_quantity"]
    return int(sign * (row["last_price_paise"] * row["quantity"] - cost_paise))


def performance(row: Mapping[str, Any]) -> dict[str, Any]:
    found = shown(row)
    found["win_rate"] = round(row["winners"] / row["trades"], 4)
    found["profit_factor"] = round(row["profit_paise"] / -row["loss_paise"], 4) if row["loss_paise"] else None
    return found


def limit_change(row: Mapping[str, Any]) -> dict[str, Any]:
    """Who changed a limit when, from what to what and why; money in rupees."""
    is_money = row["field"].endswith("_paise")
    before, after = (json.loads(row[name]) for name in ("before_value", "after_value"))
    return {
        **{name: row[name] for name in ("change_id", "session_id", "user_id", "changed_by", "strategy", "reason")},
        "changed_at": _ist(row["changed_ns"]),
        "field": row["field"].removesuffix("_paise"),
        "before": json_rupees(before) if is_money else before,
        "after": json_rupees(after) if is_money else after,
        "widens": row["widens"],
    }


def shared_limit_change(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same of what several sessions share."""
    return {"scope": row["scope"], **limit_change(row)}


def headroom(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a session has used of each of its limits, and what is left; money in rupees."""
    return {
        "session_id": row["session_id"],
        "user_id": row["user_id"],
        "as_of": _ist(row["as_of_ns"]) if row["as_of_ns"] else None,
        "limits": [_room(one) for one in json.loads(row["body"])],
    }


def approval(row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry that waits for a person, a leg of a group in a line of its own; money in rupees."""
    waiting = json.loads(row["body"])
    return {
        **{name: row[name] for name in ("approval_id", "session_id", "user_id")},
        "asked_at": _ist(row["asked_ns"]),
        "expires_at": _ist(row["expires_ns"]),
        "quantity": waiting["quantity"],
        "entries": [
            {
                **{name: one[name] for name in ("strategy", "symbol", "side", "reason")},
                "signal_id": one["event_id"],
                **{name: json_rupees(one.get(f"{name}_paise")) for name in ("price", "stop", "target")},
            }
            for one in waiting["signals"]
        ],
    }


def order_budget(row: Mapping[str, Any], *, now_ns: int) -> dict[str, Any]:
    """What an account has used of its broker's order limits. `problem` says why that is not known, null where it is."""
    try:
        found = standing_of(row["body"], now_ns=now_ns)
    except InvalidInput as error:
        return {"account": row["account"], "spans": [], "order_to_trade": None, "problem": str(error)}
    ratio = found.order_to_trade_ratio
    return {
        "account": row["account"],
        "spans": [{"span": one.span, "used": one.used, "cap": one.kept} for one in found.spans],
        "order_to_trade": {
            "orders": found.messages, "trades": found.trades, "ratio": None if ratio is None else round(ratio, 2)
        },
        "problem": None,
    }  # fmt: skip


def account(row: Mapping[str, Any]) -> dict[str, Any]:
    """A broker account: why no position is opened in it, "" where one may be, and what it has made today before
    charges, with us and by the broker's own figures; null where nobody has looked yet."""
    found: dict[str, Any] = {"account": row["account"], "blocked": row["blocked"], "profit": None}
    if row["profit"] is not None:
        profit = json.loads(row["profit"])
        found["profit"] = {
            **shown({name: value for name, value in profit.items() if name != "differences"}),
            "difference": json_rupees(profit["ours_paise"] - profit["brokers_paise"]),
            "differences": [shown(one) for one in profit["differences"]],
        }
    return found


def _room(one: dict[str, Any]) -> dict[str, Any]:
    is_money = one["unit"] == "paise"
    amounts = {name: json_rupees(one[name]) if is_money else one[name] for name in ("used", "most", "left")}
    return {
        "scope": one["scope"] or "session", "limit": one["limit"].removesuffix("_paise"), **amounts,
        "share": one["share"], "unit": "rupees" if is_money else "count",
    }  # fmt: skip


def _ist(ts_ns: int) -> str:
    return ist_datetime(ts_ns).isoformat(timespec="milliseconds")
