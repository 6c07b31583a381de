"""What a run of the engine did: every decision in columns, every verdict, order, fill and trade.

Decisions are many (HOLD has a reason too) and go into columns; the rest is few.
Ids that differ from run to run are kept for nobody: the record names sessions by their place.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tradebus.engine.recording.decision_columns import DecisionColumns
from tradebus.engine.recording.packed_rows import PackedRows
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.risk.verdicts import Verdict
from tradebus.strategies.lane.positions import PositionKey
from tradebus.trading.charges import Charges
from tradebus.trading.facts import Signal

# The last is what it says in words, which is no part of the decision log.
VerdictRow = tuple[int, str, str, str, str, str, int | None, str]
FillRow = tuple[int, str, str, str, str, str, int, int]


@dataclass(slots=True)
class SessionFigures:
    """Counts of one session. Money in paise."""

    signals: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    orders: int = 0
    fills: int = 0
    charges: Charges = field(default_factory=Charges)


class Record:
    """Filled while the engine runs, read when it has ended."""

    def __init__(self) -> None:
        self.bars = 0
        self.decisions = DecisionColumns()
        self.sessions: dict[str, SessionFigures] = {}
        self.verdicts: PackedRows[VerdictRow] = PackedRows()
        self.fills: PackedRows[FillRow] = PackedRows()
        self.trades: dict[str, Trade] = {}  # all that an order was made for
        self.failures: dict[tuple[str, ...], str] = {}  # by (session, strategy, symbol): the first traceback
        self.broken: dict[str, tuple[int, str]] = {}  # by strategy: how many answers could not count, why the first
        self._signal_ids: set[str] = set()
        self._trade_ids = 0

    def begin_day(self) -> None:
        """What is said twice is said twice within a day."""
        self._signal_ids.clear()
        self.decisions.begin_day()

    def session(self, session_id: str) -> SessionFigures:
        found = self.sessions.get(session_id)
        if found is None:
            found = self.sessions[session_id] = SessionFigures()
        return found

    def new_trade_id(self) -> int:
        self._trade_ids += 1
        return self._trade_ids

    def signal(self, signal: Signal) -> bool:
        """Whether it is heard for the first time: decided twice alike, it is one signal."""
        if signal.event_id in self._signal_ids:
            return False
        self._signal_ids.add(signal.event_id)
        self.session(signal.session_id).signals[signal.TYPE] += 1
        return True

    def failed(self, key: PositionKey, failure: str | None) -> None:
        """A strategy raised, where there is a traceback; the first of each is kept."""
        if failure is not None:
            self.failures.setdefault(tuple(key), failure)

    def broke(self, strategy: str, reason: str) -> None:
        """An answer could not count; the first reason of each strategy is kept."""
        count, first = self.broken.get(strategy, (0, reason))
        self.broken[strategy] = (count + 1, first)

    def verdict(self, verdict: Verdict, *, session_id: str, user_id: str) -> None:
        """The line of risk's journal, as far as it tells two runs apart."""
        self.session(session_id).verdicts[verdict.kind, verdict.rule] += 1
        about = verdict.signal or verdict.holding
        strategy, symbol = (about.strategy, about.symbol) if about is not None else ("", "")
        quantity = verdict.approval.holding.quantity if verdict.approval is not None else None
        row = (verdict.ts_event_ns, user_id, strategy, symbol, verdict.kind.value, str(verdict.rule), quantity)
        self.verdicts.append((*row, verdict.detail))

    def trade_changed(self, trade: Trade, step: TradeStep) -> None:
        """What one decision on a trade added: orders, fills."""
        self.trades[trade.pos_id] = trade
        figures = self.session(trade.session_id)
        figures.orders += sum(moved.from_state is None for moved in step.history)
        figures.fills += len(step.fills)
        for new in step.fills:
            figures.charges += new.charges
            order = trade.order(new.order_id)
            self.fills.append(
                (new.fill.ts_event_ns, trade.user_id, trade.strategy, trade.symbol, order.role.value,
                 order.transaction.value, new.fill.quantity, new.fill.price_paise)
            )  # fmt: skip
        if trade.ended:
            trade.orders, trade.fill_ids = [], set()  # nobody asks again: a run over years must not grow by them

    def log_rows(self) -> dict[str, Any]:
        """The rows of the decision log, by kind, each beginning with its instant; the decisions' ascending."""
        return {
            "decision": self.decisions.rows(),
            "risk": (row[:-1] for row in self.verdicts),
            "fill": self.fills,
            "trade": (
                (trade.closed_ns or 0, trade.user_id, trade.strategy, trade.symbol, trade.side.value,
                 trade.entry_quantity, trade.net_pnl_paise)
                for trade in self.trades.values() if trade.entry_quantity
            ),
        }  # fmt: skip
