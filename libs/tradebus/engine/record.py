"""What a run of the engine did: every decision in columns, every verdict, order, fill and trade.

Decisions are many (HOLD has a reason too) and go into typed columns, their reasons into a dictionary; the rest is few.
Ids that differ from run to run are kept for nobody: the record names sessions by their place.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tradebus.execution.step import Step
from tradebus.execution.trade import Trade
from tradebus.risk.verdicts import Verdict
from tradebus.strategies.lane.decisions import Source, storable
from tradebus.strategies.lane.positions import PositionKey
from tradebus.trading.facts import Signal

VerdictRow = tuple[int, str, str, str, str, str, int | None]
Int64s = npt.NDArray[np.int64]
FillRow = tuple[int, str, str, str, str, str, int, int]


@dataclass(slots=True)
class SessionFigures:
    """Counts of one session. Money in paise."""

    signals: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    orders: int = 0
    fills: int = 0


class DecisionColumns:
    """One row per decision: instant, source, action, reason, price. One decision per source and instant counts."""

    def __init__(self) -> None:
        self._ts_ns, self._source = array("q"), array("i")
        self._action, self._reason, self._price_paise = array("i"), array("i"), array("q")
        self._texts: dict[str, int] = {}
        self._sources: list[Source] = []
        self._last_ns: list[int] = []
        self._counts: list[int] = []

    def add_source(self, source: Source) -> int:
        """The number by which `add` knows who decides."""
        self._sources.append(source)
        self._last_ns.append(-1)
        self._counts.append(0)
        return len(self._sources) - 1

    def add(self, source: int, ts_ns: int, action: str, reason: str, price_paise: int) -> bool:
        """Takes a decision. False, and nothing taken, for another one of the same source and instant."""
        if ts_ns == self._last_ns[source]:
            return False
        self._last_ns[source] = ts_ns
        self._counts[source] += 1
        texts = self._texts
        self._ts_ns.append(ts_ns)
        self._source.append(source)
        self._action.append(texts.setdefault(action, len(texts)))
        self._reason.append(texts.setdefault(reason, len(texts)))
        self._price_paise.append(price_paise)
        return True

    def text(self, text: str) -> int:
        """The number by which `extend` knows a reason."""
        return self._texts.setdefault(text, len(self._texts))

    def extend(
        self, source: int, ts_ns: Int64s, action: str, reasons: npt.NDArray[np.int32], prices_paise: Int64s
    ) -> None:
        """Takes decisions of one source that are all the same action, ascending and later than its last one."""
        count = len(ts_ns)
        self._last_ns[source] = int(ts_ns[-1])
        self._counts[source] += count
        self._ts_ns.frombytes(np.ascontiguousarray(ts_ns).tobytes())
        self._source.frombytes(np.full(count, source, np.int32).tobytes())
        self._action.frombytes(np.full(count, self.text(action), np.int32).tobytes())
        self._reason.frombytes(reasons.tobytes())
        self._price_paise.frombytes(np.ascontiguousarray(prices_paise).tobytes())

    def __len__(self) -> int:
        return len(self._ts_ns)

    def of_session(self, session_id: str) -> int:
        """How many decisions a session's strategies made."""
        mine = [number for number, source in enumerate(self._sources) if source.key.session_id == session_id]
        return sum(self._counts[number] for number in mine)

    def rows(self) -> Iterator[tuple[int, str, str, str, str, str, int]]:
        """(instant, user, strategy, symbol, action, reason, price) as the decision log has them."""
        texts, sources = [storable(text) for text in self._texts], self._sources
        columns = zip(self._ts_ns, self._source, self._action, self._reason, self._price_paise, strict=True)
        for ts_ns, number, action, reason, price_paise in columns:
            source = sources[number]
            key = source.key
            yield ts_ns, source.user_id, key.strategy, key.symbol, texts[action], texts[reason], price_paise


class Record:
    """Filled while the engine runs, read when it has ended."""

    def __init__(self) -> None:
        self.bars = 0
        self.decisions = DecisionColumns()
        self.sessions: dict[str, SessionFigures] = {}
        self.verdicts: list[VerdictRow] = []
        self.fills: list[FillRow] = []
        self.trades: dict[str, Trade] = {}  # all that an order was made for
        self.failures: dict[tuple[str, ...], str] = {}  # by (session, strategy, symbol): the first traceback
        self._signal_ids: set[str] = set()
        self._trade_ids = 0

    def begin_day(self) -> None:
        """What is said twice is said twice within a day."""
        self._signal_ids.clear()

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

    def verdict(self, verdict: Verdict, *, session_id: str, user_id: str) -> None:
        """The line of risk's journal, as far as it tells two runs apart."""
        self.session(session_id).verdicts[verdict.kind, verdict.rule] += 1
        about = verdict.signal or verdict.holding
        strategy, symbol = (about.strategy, about.symbol) if about is not None else ("", "")
        quantity = verdict.approval.holding.quantity if verdict.approval is not None else None
        self.verdicts.append((verdict.ts_event_ns, user_id, strategy, symbol, verdict.kind, verdict.rule, quantity))

    def trade_changed(self, trade: Trade, step: Step) -> None:
        """What one decision on a trade added: orders, fills."""
        self.trades[trade.pos_id] = trade
        figures = self.session(trade.session_id)
        figures.orders += sum(moved.from_state is None for moved in step.history)
        figures.fills += len(step.fills)
        for new in step.fills:
            order = trade.order(new.order_id)
            self.fills.append(
                (new.fill.ts_event_ns, trade.user_id, trade.strategy, trade.symbol, order.role.value,
                 order.transaction.value, new.fill.quantity, new.fill.price_paise)
            )  # fmt: skip
        if trade.ended:
            trade.orders, trade.fill_ids = [], set()  # nobody asks again: a run over years must not grow by them

    def log_rows(self) -> dict[str, Any]:
        """The rows of the decision log, by kind, each beginning with its instant."""
        return {
            "decision": self.decisions.rows(),
            "risk": self.verdicts,
            "fill": self.fills,
            "trade": (
                (trade.closed_ns or 0, trade.user_id, trade.strategy, trade.symbol, trade.side.value,
                 trade.entry_quantity, trade.net_pnl_paise)
                for trade in self.trades.values() if trade.entry_quantity
            ),
        }  # fmt: skip
