"""What the strategy service does with each entry, and what of it is stored when.

    commands, sessions ─► sessions come, pause, go            ─► done
    orders             ─► positions                           ─► held, as what they lead to is
    candles, ticks     ─► deciding ─► rows ─► held            ─► signals: out, then stored, then the watermark

A signal leaves before it is stored: it is decided again, with the same id, from an entry that is not acknowledged, and
nobody acts on it before risk has committed its verdict (decision 9). What is decided then may be something else, where
the session was stopped or paused meanwhile: so the next life first stores what this one had published.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.strategy.adapters.published import perhaps_not_stored
from services.strategy.adapters.seen import RunningMarketSeen
from services.strategy.adapters.tick_stream import QUOTES, TICKS
from services.strategy.answers.concluding import Decided
from services.strategy.answers.late import LateAnswers, Rendering
from services.strategy.deciding import Deciding
from services.strategy.messages import SignalMessage, row_of_message
from services.strategy.ports import DecisionJournal
from services.strategy.sessions.taking import Taking
from services.strategy.streams import BATCH, CANDLES
from tradebus.bus.port import Bus, Entry
from tradebus.contracts.commands import PauseTrading, ResumeTrading, StartTrading, StopTrading
from tradebus.contracts.market import CandlesRestored
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionFailed, SessionStopped
from tradebus.contracts.streams import COMMANDS, MD_GAPS, ORDERS, SESSIONS
from tradebus.runtime.consumer import Answer, Done, Effect
from tradebus.runtime.rendering import fact_of
from tradebus.strategies.lane.decisions import DecisionRow
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSessions
from tradebus.trading.facts import PositionClosed, PositionOpened

_log = structlog.get_logger()
_POSITION_KINDS = frozenset({PositionOpened.TYPE, PositionClosed.TYPE})
_ENDED = (SessionStopped, SessionFailed)
_ALONE = Done(effect=Effect.ALONE)
_HELD = Done(effect=Effect.HELD)


class Handlers:
    """State of the service and its answer to each kind of entry. Raises ValueError for an entry nobody can read and
    InvalidInput for a session that cannot be traded: both go to the dead letters."""

    def __init__(
        self, *, bus: Bus, journal: DecisionJournal, active: ActiveSessions,
        book: PositionBook, taking: Taking, deciding: Deciding, rendering: Rendering, late: LateAnswers,
        seen: RunningMarketSeen,
    ) -> None:  # fmt: skip
        self.active, self._book = active, book
        self.changed: Callable[[], None] = lambda: None  # called when what is listened to may be another
        self._bus, self._journal, self._taking, self._seen = bus, journal, taking, seen
        self._deciding, self._rendering, self._late = deciding, rendering, late
        self._rows: list[DecisionRow] = []
        self._signals: list[SignalMessage] = []
        self._storing = asyncio.Lock()
        self._by_stream: dict[str, Callable[[Entry], Awaitable[Answer]]] = {
            COMMANDS.name: self._on_command,
            SESSIONS.name: self._on_session,
            ORDERS.name: self._on_order,
            MD_GAPS.name: self._on_gap,
            CANDLES: self._on_candles,
            TICKS: self._on_ticks,
            QUOTES: self._on_quotes,
        }

    async def handle(self, entry: Entry) -> Answer:
        answer = await self._by_stream[entry.stream](entry)
        self.changed()
        return answer

    async def commit(self) -> bool:
        """Stores the decisions that are held, and their signals with them; others may come meanwhile."""
        async with self._storing:
            rows, self._rows = self._rows, []
            signals, self._signals = self._signals, []
            try:
                if signals:
                    await self._journal.write_with_signals(rows, signals)
                else:
                    await self._journal.write(rows)
            except BaseException:
                self._rows[:0], self._signals[:0] = rows, signals
                raise
        return True

    async def recover(self) -> None:
        """Stores what was published last, and takes up the sessions that were being traded."""
        self._late.drop()
        async with self._storing:
            self._rows, self._signals = [], []
        published = await perhaps_not_stored(self._bus)
        if published:
            await self._journal.write_with_signals([row_of_message(one) for one in published], published)
        await self._taking.resume()

    async def _on_command(self, entry: Entry) -> Answer:
        command = parse(entry.body)
        if isinstance(command, StartTrading):
            await self._taking.start(command.spec)
        elif isinstance(command, StopTrading) and command.session_id is not None:
            await self.end(command.session_id)
        elif isinstance(command, PauseTrading | ResumeTrading) and command.session_id is not None:
            self._taking.pause(command.session_id, paused=isinstance(command, PauseTrading))
        # FLATTEN and KILL are risk's: it closes positions and refuses entries, whatever a strategy says.
        return _ALONE

    async def _on_session(self, entry: Entry) -> Answer:
        if entry.kind not in {ended.TYPE for ended in _ENDED}:
            return _ALONE
        message = parse(entry.body)
        if isinstance(message, _ENDED) and message.session_id is not None:
            await self.end(message.session_id)
        return _ALONE

    async def _on_order(self, entry: Entry) -> Answer:
        if entry.kind in _POSITION_KINDS:
            fact = fact_of(parse(entry.body))
            if isinstance(fact, PositionOpened | PositionClosed) and self.active.get(fact.session_id) is not None:
                self._book.apply(fact)
        return _HELD

    async def _on_gap(self, entry: Entry) -> Answer:
        message = parse(entry.body) if entry.kind == CandlesRestored.TYPE else None
        if isinstance(message, CandlesRestored):
            self._deciding.forget(set(message.instruments))
        return _ALONE

    async def _on_candles(self, entry: Entry) -> Answer:
        decided = await self._deciding.on_candles(entry)
        if entry.kind != BATCH:
            await self._late.all_taken()
        # A feed that ends is waited for: whoever ends the run reads the journal next.
        return await self._answer(decided, market_ns=entry.watermark_ns, commit=entry.kind != BATCH)

    async def _on_ticks(self, entry: Entry) -> Answer:
        decided = await self._deciding.on_ticks(entry)
        return await self._answer(decided, market_ns=entry.watermark_ns, commit=False)

    async def _on_quotes(self, entry: Entry) -> Answer:
        self._seen.take_quotes(entry.body, self.active.quote_instruments)
        return _HELD

    async def _answer(self, decided: Decided, *, market_ns: int | None, commit: bool) -> Answer:
        signals, out = await self._rendering.of(decided, market_ns=market_ns)
        self._rows += decided.rows
        self._signals += signals
        effect = Effect.COMMIT if out or commit else Effect.HELD
        ticket = decided.ticket
        return Done(first=out, effect=effect, is_open=None if ticket is None else lambda: ticket.is_open)

    async def end(self, session_id: str) -> None:
        """The session decides nothing more: what was not answered yet is not asked any more."""
        await self._late.take()
        if await self._taking.let_go(session_id):
            await self.commit()  # whoever ended it reads the journal next
