"""What a run did, read from the book of record after it has ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import asyncpg

from services.cli.reports.answers import RiskRefusal, StrategyAnswers, count_answers
from services.cli.reports.decision_log import decision_log_hash
from tradebus.contracts.orders import Transaction
from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.time import ist_date
from tradebus.store.queries import load_queries
from tradebus.trading.charges import Charges, charges_paise

_SQL = load_queries("services.cli.reports.sql", "report")
REFUSING = ("BLOCK", "HALT", "REDUCE")  # verdicts that something would have had to be different for
_LOG = {"decision": "log_decisions", "risk": "log_risk", "fill": "log_fills", "trade": "log_trades"}


@dataclass(slots=True)
class ReportFigures:
    """The figures of one session, or of several together. Money in paise."""

    decisions: int = 0
    signals: dict[str, int] = field(default_factory=dict)
    approvals: int = 0
    reductions: int = 0
    halts: int = 0
    blocks_by_rule: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    fills: int = 0
    trades: int = 0
    open_trades: int = 0
    winners: int = 0
    charges_paise: int = 0
    charges: Charges = field(default_factory=Charges)
    net_pnl_paise: int = 0

    @property
    def gross_pnl_paise(self) -> int:
        return self.net_pnl_paise + self.charges_paise

    @property
    def blocks(self) -> int:
        return sum(self.blocks_by_rule.values())

    def add(self, other: "ReportFigures") -> None:
        for name in ("decisions", "approvals", "reductions", "halts", "orders", "fills", "trades", "open_trades",
                     "winners", "charges_paise", "charges", "net_pnl_paise"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.signals, other.signals), (self.blocks_by_rule, other.blocks_by_rule)):
            for key, number in theirs.items():
                mine[key] = mine.get(key, 0) + number

    def as_json(self) -> dict[str, Any]:
        """Money twice: exact in paise, and in rupees for reading."""
        return {
            "decisions": self.decisions,
            "signals": sum(self.signals.values()),
            "signals_by_type": dict(sorted(self.signals.items())),
            "approvals": self.approvals,
            "reductions": self.reductions,
            "blocks": self.blocks,
            "blocks_by_rule": dict(sorted(self.blocks_by_rule.items())),
            "halts": self.halts,
            "orders": self.orders,
            "fills": self.fills,
            "trades": self.trades,
            "open_trades": self.open_trades,
            "winners": self.winners,
            **{name: paise / 100 for name, paise in self._money()},
            **{f"{name}_paise": paise for name, paise in self._money()},
            "charges_by_kind_paise": {name.removesuffix("_paise"): paise for name, paise in self.charges.parts.items()},
        }

    def _money(self) -> tuple[tuple[str, int], ...]:
        return (("gross_pnl", self.gross_pnl_paise), ("charges", self.charges_paise), ("net_pnl", self.net_pnl_paise))


@dataclass(frozen=True, slots=True)
class SessionReport:
    """One session and its figures."""

    session_id: str
    user_id: str
    status: str
    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    figures: ReportFigures

    def as_json(self) -> dict[str, Any]:
        return {
            "session_id": self.session_id,
            "user_id": self.user_id,
            "status": self.status,
            "strategies": list(self.strategies),
            "symbols": list(self.symbols),
            **self.figures.as_json(),
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """All sessions of a namespace."""

    bars: int
    sessions: tuple[SessionReport, ...]
    trades: tuple[dict[str, Any], ...]
    decision_log_hash: str
    answers: dict[str, StrategyAnswers]
    refusals: tuple[RiskRefusal, ...]
    # What a book had: rows of decisions, of verdicts (with their words) and of sessions, for whoever records the run.
    journal: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def total(self) -> ReportFigures:
        figures = ReportFigures()
        for session in self.sessions:
            figures.add(session.figures)
        return figures

    def said_json(self, failed: Sequence[str]) -> dict[str, Any]:
        """What strategies answered and what risk refused; `failed` as `answers.failed_strategies` has it."""
        return {
            "failed_strategies": list(failed),
            "answers": [one.as_json(strategy) for strategy, one in self.answers.items()],
            "refusals": [one.as_json() for one in self.refusals],
        }


async def read_report(pool: asyncpg.Pool, *, symbols: Sequence[str], from_ns: int, to_ns: int) -> RunReport:
    """`symbols` and the window [from_ns, to_ns) say which one-minute bars are counted."""
    sessions = await _sessions(pool)
    ids = [session.session_id for session in sessions]
    by_id = {session.session_id: session.figures for session in sessions}
    await _count(pool, by_id)
    refusals = await pool.fetch(_SQL["refusals"], ids, list(REFUSING))
    rows = {kind: [tuple(row) for row in await pool.fetch(_SQL[name], ids)] for kind, name in _LOG.items()}
    return RunReport(
        bars=await pool.fetchval(_SQL["bars"], list(symbols), from_ns, to_ns),
        sessions=sessions,
        trades=tuple(dict(row) for row in await pool.fetch(_SQL["trade_rows"], ids)),
        decision_log_hash=decision_log_hash(rows | {"risk": [row[:-1] for row in rows["risk"]]}),
        journal={
            **{kind: sorted(rows[kind], key=itemgetter(0)) for kind in ("decision", "risk")},
            "spec": [(row["spec"],) for row in await pool.fetch(_SQL["sessions"])],
        },
        answers=count_answers(tuple(row) for row in await pool.fetch(_SQL["answers"], ids)),
        refusals=tuple(RiskRefusal(*row) for row in sorted(tuple(one) for one in refusals)),
    )


async def _sessions(pool: asyncpg.Pool) -> tuple[SessionReport, ...]:
    return tuple(
        SessionReport(
            row["session_id"], row["user_id"], row["status"],
            tuple(one["name"] for one in row["spec"]["strategies"]), tuple(row["spec"]["symbols"]), ReportFigures(),
        )
        for row in await pool.fetch(_SQL["sessions"])
    )  # fmt: skip


async def _count(pool: asyncpg.Pool, by_id: dict[str, ReportFigures]) -> None:
    ids = list(by_id)
    for row in await pool.fetch(_SQL["signals"], ids):
        by_id[row["session_id"]].signals[row["type"]] = row["number"]
    for name in ("decisions", "orders", "fills"):
        for row in await pool.fetch(_SQL[name], ids):
            setattr(by_id[row["session_id"]], name, row["number"])
    for row in await pool.fetch(_SQL["verdicts"], ids):
        count_verdict(by_id[row["session_id"]], row["verdict"], row["rule"], row["number"])
    for row in await pool.fetch(_SQL["results"], ids):
        figures = by_id[row["session_id"]]
        for name in ("trades", "open_trades", "winners", "charges_paise", "net_pnl_paise"):
            setattr(figures, name, row[name])
    await _count_charges(pool, by_id)


async def _count_charges(pool: asyncpg.Pool, by_id: dict[str, ReportFigures]) -> None:
    """The book keeps of a fill what it cost; by kind it is worked out again, as it was when it was booked. What a
    broker's fills of one instant come to in another order is a paisa of GST."""
    order, worth_paise = "", 0
    for row in await pool.fetch(_SQL["charged_fills"], list(by_id)):
        worth_paise = 0 if row["order_id"] != order else worth_paise
        order, spec = row["order_id"], SessionSpec.model_validate(row["spec"])
        found = charges_paise(
            day=ist_date(row["ts_event_ns"]), kind=row["kind"], transaction=Transaction(row["transaction_type"]),
            quantity=row["quantity"], price_paise=row["price_paise"], order_value_before_paise=worth_paise,
            tariff=spec.tariff,
        )  # fmt: skip
        worth_paise += row["quantity"] * row["price_paise"]
        rest_paise = row["charges_paise"] - found.total_paise
        by_id[row["session_id"]].charges += replace(found, gst_paise=found.gst_paise + rest_paise)


def count_verdict(figures: ReportFigures, verdict: str, rule: str, number: int) -> None:
    """Adds verdicts of one kind and rule."""
    match verdict:
        case "ALLOW":
            figures.approvals += number
        case "REDUCE":
            figures.reductions += number
        case "BLOCK":
            figures.blocks_by_rule[rule] = number
        case "HALT":
            figures.halts += number
        case _:
            pass  # exits, and what needed no answer
