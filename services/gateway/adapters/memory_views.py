"""The book as people look at it, in memory: see `services.gateway.adapters.views.BookViews`.

Tables, as the services' own twins keep them: "sessions" (what has a `session`), "trades" (execution's Trade with its
orders), "signals" (messages), "decisions" (DecisionRow), "risk_decisions" (JournalLine), "risk_state", "risk_headroom",
"limit_changes" (StoredChange), "instruments", "candles_1m".
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tradebus.contracts.orders import Reconciled, ReconcileMismatch
from tradebus.store.books.sessions import ENDED
from tradebus.store.memory_book import EVENTS, MemoryBook
from tradebus.trading.sessions import StoredSession

_Row = dict[str, Any]
_TRADE = (
    "trade_id", "pos_id", "session_id", "user_id", "strategy", "symbol", "side", "state", "quantity_requested",
    "entry_quantity", "entry_value_paise", "exit_quantity", "exit_value_paise", "charges_paise", "initial_stop_paise",
    "stop_paise", "target_paise", "exit_reason", "created_ns", "opened_ns", "closed_ns", "net_pnl_paise", "r_multiple",
    "mae_r", "mfe_r", "trace_id", "group_id",
)  # fmt: skip
_OF_ORDER = (
    "order_id", "tag", "role", "order_type", "quantity", "price_paise", "trigger_paise", "state", "broker_order_id",
    "filled_quantity", "filled_value_paise", "placed_ns", "updated_ns", "reason",
)  # fmt: skip
_OF_ORDERS_TRADE = ("pos_id", "session_id", "user_id", "strategy", "symbol")
_SIGNAL = ("side", "price_paise", "stop_paise", "target_paise", "confidence", "reason", "pos_id", "trace_id")
_POSITION = ("session_id", "user_id", "pos_id", "strategy", "symbol", "side", "state", "entry_value_paise",
             "entry_quantity", "stop_paise", "target_paise", "opened_ns", "group_id")  # fmt: skip
_DECISION = ("session_id", "strategy", "ts_event_ns", "action", "reason", "price_paise")
_CHANGE = ("session_id", "user_id", "changed_ns", "changed_by", "strategy", "field", "widens", "reason")
_SHARED_CHANGE = ("scope", "changed_ns", "changed_by", "field", "widens", "reason")
_VERDICT = ("event_id", "session_id", "signal_id", "pos_id", "verdict", "rule", "quantity", "ts_event_ns")


class _Tables:
    """What the views read, as it is committed. Raises Unavailable while the book is away."""

    def __init__(self, book: MemoryBook) -> None:
        self._database = book.database

    def newest_sessions(self) -> list[StoredSession]:
        found: list[StoredSession] = [row.session for row in self.rows("sessions")]
        return sorted(found, key=lambda one: (one.created_ns, one.session_id), reverse=True)

    def users(self) -> Mapping[str, str]:
        return {one.session_id: one.user_id for one in self.newest_sessions()}

    def trades_of(self, session_id: str) -> list[Any]:
        return [one for one in self.rows("trades") if one.session_id == session_id]

    def realised(self, session_id: str) -> int:
        return sum(one.net_pnl_paise or 0 for one in self.trades_of(session_id))

    def halted(self, session_id: str) -> _Row:
        """The session's halt, and those of its parts."""
        encoded, _ = self.by_key("risk_state").get(session_id, ("{}", 0))
        state = json.loads(encoded)
        return {"halted": state.get("halted_rule"), "halted_parts": state.get("halted_parts")}

    def waiting(self, session_id: str) -> dict[str, _Row]:
        """What waits for a person, as risk's state has it."""
        encoded, _ = self.by_key("risk_state").get(session_id, ("{}", 0))
        found: dict[str, _Row] = json.loads(encoded).get("waiting", {})
        return found

    def mismatches(self, session_id: str) -> list[dict[str, str]]:
        found = [
            event.message for event in self.rows(EVENTS)
            if isinstance(event.message, Reconciled | ReconcileMismatch)
            and event.message.session_id == session_id and event.message.pos_id is None
        ]  # fmt: skip
        last = max(found, key=lambda one: (one.ts_event_ns, one.event_id), default=None)
        return [one.model_dump() for one in last.differences] if isinstance(last, ReconcileMismatch) else []

    def last_close(self, instrument: int) -> int | None:
        bars = self.by_key("candles_1m").get(instrument)
        return None if bars is None or not len(bars) else int(bars["close_paise"][-1])

    def rows(self, name: str) -> list[Any]:
        return list(self.by_key(name).values())

    def by_key(self, name: str) -> Mapping[Any, Any]:
        self._database.check()
        return self._database.table(name)


class MemoryViews:
    """See `services.gateway.adapters.views.BookViews`."""

    def __init__(self, book: MemoryBook) -> None:
        self._database, self._tables = book.database, _Tables(book)
        self._views: Mapping[str, Callable[[], list[_Row]]] = {
            "sessions": self._sessions, "trades": self._trades, "orders": self._orders, "signals": self._signals,
            "decisions": self._decisions, "risk": self._risk, "performance": self._performance,
            "limits": lambda: _changes(self._tables.by_key("limit_changes"), _CHANGE),
            "shared_limits": self._shared_limits, "headroom": self._headroom,
            "approvals": self._approvals, "order_budgets": lambda: _budgets(self._tables.by_key("order_budgets")),
            "accounts": lambda: _accounts(self._tables.by_key("account_standings")),
        }  # fmt: skip

    async def rows(self, view: str, *, session_id: str | None, user_id: str | None, limit: int) -> list[_Row]:
        return _chosen(self._views[view](), session_id, user_id)[:limit]

    async def portfolio(self, *, session_id: str | None, user_id: str | None, limit: int) -> list[_Row]:
        found = [
            {
                "session_id": one.session_id, "user_id": one.user_id, "status": one.status,
                "capital_paise": one.spec.capital_paise,
                "realised_net_pnl_paise": self._tables.realised(one.session_id),
            }
            for one in self._tables.newest_sessions() if session_id is not None or one.status not in ENDED
        ]  # fmt: skip
        return _chosen(found, session_id, user_id)[:limit]

    async def positions(self, session_ids: Sequence[str]) -> list[_Row]:
        found = [
            one for one in self._tables.rows("trades")
            if one.session_id in session_ids and one.entry_quantity > one.exit_quantity
        ]  # fmt: skip
        found.sort(key=lambda one: (one.opened_ns is None, one.opened_ns, one.pos_id))
        return [
            {
                **_fields(one, _POSITION), "quantity": one.entry_quantity - one.exit_quantity,
                "last_price_paise": self._tables.last_close(one.instrument),
            }
            for one in found
        ]  # fmt: skip

    async def version(self) -> str:
        self._database.check()
        return "in memory"

    def _sessions(self) -> list[_Row]:
        return [
            {
                "session_id": one.session_id, "user_id": one.user_id, "status": one.status, "mode": one.spec.mode,
                "created_ns": one.created_ns, "ended_ns": one.ended_ns, "reason": one.reason,
                **self._tables.halted(one.session_id),
                "mismatches": self._tables.mismatches(one.session_id),
                "spec": json.loads(one.spec.model_dump_json()),
                "trades": sum(trade.entry_quantity > 0 for trade in self._tables.trades_of(one.session_id)),
                "net_pnl_paise": self._tables.realised(one.session_id),
            }
            for one in self._tables.newest_sessions()
        ]  # fmt: skip

    def _trades(self) -> list[_Row]:
        return sorted((_fields(one, _TRADE) for one in self._tables.rows("trades")), key=lambda row: -row["trade_id"])

    def _orders(self) -> list[_Row]:
        found = [
            {**_fields(trade, _OF_ORDERS_TRADE), **_fields(one, _OF_ORDER), "transaction_type": one.transaction}
            for trade in self._tables.rows("trades") for one in trade.orders
        ]  # fmt: skip
        return sorted(found, key=lambda row: (row["placed_ns"], row["order_id"]), reverse=True)

    def _signals(self) -> list[_Row]:
        users = self._tables.users()
        found = [
            {
                "event_id": one.event_id, "session_id": one.session_id, "user_id": users[one.session_id],
                "strategy": one.strategy, "symbol": one.symbol, "type": one.TYPE, "ts_event_ns": one.ts_event_ns,
                **{name: getattr(one, name, None) for name in _SIGNAL},
            }
            for one in self._tables.rows("signals") if one.session_id in users
        ]  # fmt: skip
        return _newest_events(found)

    def _decisions(self) -> list[_Row]:
        users, instruments = self._tables.users(), self._tables.by_key("instruments")
        found = [
            {**_fields(one, _DECISION), "user_id": users[one.session_id], "symbol": instruments[one.instrument].symbol}
            for one in self._tables.rows("decisions") if one.session_id in users and one.instrument in instruments
        ]  # fmt: skip
        key = ("session_id", "strategy", "symbol")
        return sorted(found, key=lambda row: (-row["ts_event_ns"], *(row[name] for name in key)))

    def _risk(self) -> list[_Row]:
        users = self._tables.users()
        found = [
            {
                **_fields(one, _VERDICT), "user_id": users[one.session_id],
                **{name: one.body.get(name) for name in ("symbol", "detail")},
            }
            for one in self._tables.rows("risk_decisions") if one.session_id in users
        ]  # fmt: skip
        return _newest_events(found)

    def _shared_limits(self) -> list[_Row]:
        found = _changes(self._tables.by_key("shared_limit_changes"), _SHARED_CHANGE)
        return [{**row, "session_id": None, "user_id": None, "strategy": None} for row in found]

    def _headroom(self) -> list[_Row]:
        told = self._tables.by_key("risk_headroom")
        return [
            {"session_id": one.session_id, "user_id": one.user_id, "as_of_ns": as_of_ns, "body": body}
            for one in self._tables.newest_sessions()
            if one.status not in ENDED and one.session_id in told
            for as_of_ns, body in [told[one.session_id]]
        ]

    def _approvals(self) -> list[_Row]:
        found = [
            {
                "session_id": one.session_id, "user_id": one.user_id, "approval_id": approval_id,
                "asked_ns": waiting["asked_ns"], "expires_ns": waiting["expires_ns"], "body": json.dumps(waiting),
            }
            for one in self._tables.newest_sessions() if one.status not in ENDED
            for approval_id, waiting in self._tables.waiting(one.session_id).items()
        ]  # fmt: skip
        return sorted(found, key=lambda row: (row["asked_ns"], row["approval_id"]), reverse=True)

    def _performance(self) -> list[_Row]:
        groups: dict[tuple[str, str, str], list[Any]] = {}
        for one in self._tables.rows("trades"):
            if one.state == "CLOSED" and one.entry_quantity > 0:
                groups.setdefault((one.session_id, one.user_id, one.strategy), []).append(one)
        rows = [
            {"session_id": session_id, "user_id": user_id, "strategy": strategy, **_summary(trades)}
            for (session_id, user_id, strategy), trades in sorted(groups.items(), key=lambda item: item[0][2])
        ]
        return sorted(rows, key=lambda row: str(row["session_id"]), reverse=True)


def _fields(row: object, names: Iterable[str]) -> _Row:
    return {name: getattr(row, name) for name in names}


def _changes(table: Mapping[int, Any], names: Sequence[str]) -> list[_Row]:
    """Changes of limits, the newest first."""
    found = [
        {
            "change_id": number + 1, **_fields(one, names), "before_value": json.dumps(one.before),
            "after_value": json.dumps(one.after),
        }
        for number, one in sorted(table.items())
    ]  # fmt: skip
    return found[::-1]


def _budgets(table: Mapping[str, tuple[str, int]]) -> list[_Row]:
    return [
        {"account": account, "session_id": None, "user_id": None, "body": body}
        for account, (body, _) in sorted(table.items())
    ]


def _accounts(table: Mapping[str, Any]) -> list[_Row]:
    return [
        {"account": account, "session_id": None, "user_id": None, "blocked": one.blocked, "profit": one.profit}
        for account, one in sorted(table.items())
    ]  # fmt: skip


def _chosen(rows: Iterable[_Row], session_id: str | None, user_id: str | None) -> list[_Row]:
    wanted = {"session_id": session_id, "user_id": user_id}
    return [row for row in rows if all(value is None or row[name] == value for name, value in wanted.items())]


def _newest_events(rows: Iterable[_Row]) -> list[_Row]:
    return sorted(rows, key=lambda row: (row["ts_event_ns"], row["event_id"]), reverse=True)


def _summary(trades: Sequence[Any]) -> _Row:
    settled = [one for one in trades if one.net_pnl_paise is not None]
    nets = [one.net_pnl_paise for one in settled]
    return {
        "trades": len(trades),
        "winners": sum(net > 0 for net in nets),
        "losers": sum(net < 0 for net in nets),
        "gross_pnl_paise": sum(
            one.net_pnl_paise + one.charges_paise for one in trades if one.net_pnl_paise is not None
        ),
        "charges_paise": sum(one.charges_paise for one in trades),
        "net_pnl_paise": sum(nets),
        "profit_paise": sum(net for net in nets if net > 0),
        "loss_paise": sum(net for net in nets if net < 0),
        "average_r": _average(one.r_multiple for one in trades),
        "average_mae_r": _average(one.mae_r for one in trades),
        "average_mfe_r": _average(one.mfe_r for one in trades),
    }


def _average(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
