"""A run of the engine as the report of a run over processes: the same figures, the same hash."""

from collections.abc import Iterable, Sequence
from typing import Any

from services.cli.reports.answers import RiskRefusal, count_answers
from services.cli.reports.decision_log import decision_log_hash
from services.cli.reports.report import REFUSING, ReportFigures, RunReport, SessionReport, count_verdict
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.recording.record import Record, VerdictRow
from tradebus.execution.trade import Trade
from tradebus.trading.states import TERMINAL_TRADE_STATES


def report_of(record: Record, sessions: Sequence[SessionSpec]) -> RunReport:
    """Sessions by user, trades by opening, as they are read from the book."""
    ordered = sorted(sessions, key=lambda spec: (spec.user_id, spec.session_id))
    opened = sorted(
        (trade for trade in record.trades.values() if trade.entry_quantity),
        key=lambda trade: (trade.opened_ns or 0, trade.user_id, trade.strategy, trade.symbol, trade.pos_id),
    )
    return RunReport(
        bars=record.bars,
        sessions=tuple(_session(record, spec) for spec in ordered),
        trades=tuple(_trade(trade) for trade in opened),
        decision_log_hash=decision_log_hash(record.log_rows(), ascending=("decision",)),
        answers=count_answers(record.decisions.answers()),
        refusals=refusals_of(record.verdicts),
    )


def refusals_of(verdicts: Iterable[VerdictRow]) -> tuple[RiskRefusal, ...]:
    """What risk refused, by user, strategy, symbol and rule, with the first one's words."""
    found: dict[tuple[str, str, str, str, str], list[tuple[int, str]]] = {}
    for ts_ns, user, strategy, symbol, verdict, rule, _, detail in verdicts:
        if verdict in REFUSING:
            found.setdefault((user, strategy, symbol, verdict, rule), []).append((ts_ns, detail))
    return tuple(RiskRefusal(*key, len(times), *min(times)) for key, times in sorted(found.items()))


def _session(record: Record, spec: SessionSpec) -> SessionReport:
    found, figures = record.session(spec.session_id), ReportFigures()
    figures.decisions = record.decisions.of_session(spec.session_id)
    figures.orders, figures.fills = found.orders, found.fills
    figures.signals, figures.charges = dict(found.signals), found.charges
    for (verdict, rule), number in found.verdicts.items():
        count_verdict(figures, verdict, rule, number)
    for trade in record.trades.values():
        if trade.session_id == spec.session_id:
            figures.trades += trade.entry_quantity > 0
            figures.open_trades += trade.state not in TERMINAL_TRADE_STATES
            figures.winners += (trade.net_pnl_paise or 0) > 0
            figures.charges_paise += trade.charges_paise
            figures.net_pnl_paise += trade.net_pnl_paise or 0
    names = tuple(one.name for one in spec.strategies)
    return SessionReport(spec.session_id, spec.user_id, "STOPPED", names, spec.symbols, figures)


def _trade(trade: Trade) -> dict[str, Any]:
    """The columns of the report's `trade_rows`."""
    names = (
        "pos_id", "session_id", "user_id", "strategy", "symbol", "side", "state", "entry_quantity", "entry_value_paise",
        "exit_quantity", "exit_value_paise", "charges_paise", "net_pnl_paise", "r_multiple", "mae_r", "mfe_r",
        "exit_reason", "opened_ns", "closed_ns", "group_id",
    )  # fmt: skip
    return {name: str(value) if isinstance(value := getattr(trade, name), str) else value for name in names}
