"""PLACE_MANUAL and CLOSE_POSITION in the book: a person's order becomes a signal, once for its key.

    order ─► row in signals + ENTRY_SIGNAL or EXIT_SIGNAL on signals.v1.manual, one commit ─► outbox ─► risk

Nothing is decided here but what the words mean: risk judges the signal by the rules of every entry, and answers
ENTRY_BLOCKED with the rule's name or approves it.
"""

from dataclasses import dataclass
from typing import Any

from services.gateway.asking.answers import DeskAnswer
from services.gateway.asking.book import AskedBook, AskedSignal
from services.gateway.asking.market import AskedMarket, MarketLook
from services.gateway.domain.asked_orders import MANUAL, CloseAsked, EntryAsked, read_close, read_entry, signal_id
from services.gateway.domain.body import CommandAction, ExternalCommand
from services.gateway.domain.problems import Problems
from tradebus.contracts.sessions import SessionStatus
from tradebus.contracts.signals import EntrySignal, ExitSignal
from tradebus.contracts.streams import SIGNALS_MANUAL
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import derive_id
from tradebus.store.book import Book
from tradebus.store.books import InstrumentsBook, SessionRegister, SessionsBook
from tradebus.store.books.sessions import StoredSession

NO_DATA = "no market data has come: nothing can be judged by it; is a feed running (`tradebus up`)?"


@dataclass(frozen=True, slots=True)
class OrdersDesk:
    """`source` writes the signals, `strategy` is whose they are; `paced`: data alone is time, and nobody from outside
    has a place in it."""

    book: Book
    register: SessionRegister
    sessions: SessionsBook
    asked: AskedBook
    instruments: InstrumentsBook
    market: AskedMarket
    clock: Clock
    paced: bool

    async def carry_out(self, command: ExternalCommand, problems: Problems) -> DeskAnswer | None:
        assert command.user_id is not None
        assert command.command_id is not None
        if self.paced:
            problems.add("action", "a run over recorded time takes no orders from outside: `tradebus up` does")
            return None
        if command.action is CommandAction.CLOSE:
            close = read_close(command.data, problems)
            signal = None if close is None else await self._close(command, close, problems)
        else:
            entry = read_entry(command.data, await self.instruments.load(), problems)
            signal = None if entry is None else await self._enter(command, entry, problems)
        if problems or signal is None:
            return None
        made, is_new = signal
        status = await self.sessions.status(str(made.session_id))
        return DeskAnswer(str(made.session_id), str(status), is_new, made.event_id, made.pos_id)

    async def _enter(
        self, command: ExternalCommand, asked: EntryAsked, problems: Problems
    ) -> tuple[AskedSignal, bool] | None:
        look = await self.market.look(asked.instrument.instrument_id)
        async with self.book.begin() as transaction:
            await transaction.lock(f"user {command.user_id}")
            event_id = _id(EntrySignal.TYPE, command)
            known = await self.asked.find(transaction, event_id)
            if known is not None:
                return _again(known, problems, same=isinstance(known, EntrySignal) and _is_same(known, asked))
            session = await self.register.alive_of(transaction, str(command.user_id))
            if session is None or session.status is SessionStatus.STARTING:
                problems.add("user_id", f"no session of user {command.user_id} runs: `tradebus start` begins one")
                return None
            signal = self._entry(command, asked, session, look, event_id=event_id, problems=problems)
            return None if signal is None else await self._put(transaction, signal)

    async def _close(
        self, command: ExternalCommand, asked: CloseAsked, problems: Problems
    ) -> tuple[AskedSignal, bool] | None:
        async with self.book.begin() as transaction:
            await transaction.lock(f"user {command.user_id}")
            event_id = _id(ExitSignal.TYPE, command)
            known = await self.asked.find(transaction, event_id)
            if known is not None:
                return _again(known, problems, same=known.pos_id == asked.pos_id)
            held = await self.asked.position(transaction, asked.pos_id, user_id=str(command.user_id))
            if held is None:
                problems.add(
                    "data.pos_id", f"no position of user {command.user_id} has this id: /api/portfolio lists them"
                )
                return None
            look = await self.market.look(held.instrument)
            now_ns = look.now_ns(is_live=True)
            return await self._put(transaction, ExitSignal(
                **self._envelope(command, event_id=event_id, now_ns=now_ns or self.clock.now_ns()),
                session_id=held.session_id, pos_id=asked.pos_id, strategy=held.strategy, symbol=held.symbol,
                instrument=held.instrument, side=held.side,
                price_paise=look.price_paise or held.expected_price_paise, reason=asked.reason,
            ))  # fmt: skip

    def _entry(
        self, command: ExternalCommand, asked: EntryAsked, session: StoredSession, look: MarketLook, *, event_id: str,
        problems: Problems,
    ) -> EntrySignal | None:  # fmt: skip
        now_ns = look.now_ns(is_live=session.spec.data_broker is not None)
        price_paise = asked.price_paise or look.price_paise
        if now_ns is None:
            problems.add("action", NO_DATA)
        if price_paise is None:
            problems.add("data.price", f"is missing, and {asked.instrument.symbol} has not traded lately: give a price")
        if now_ns is None or price_paise is None:
            return None
        return EntrySignal(
            **self._envelope(command, event_id=event_id, now_ns=now_ns), session_id=session.session_id,
            pos_id=derive_id(now_ns, "position", event_id), strategy=MANUAL, symbol=asked.instrument.symbol,
            instrument=asked.instrument.instrument_id, side=asked.side, price_paise=price_paise, reason=asked.reason,
            stop_paise=asked.stop_paise, target_paise=asked.target_paise, confidence=1.0, lots=asked.lots,
        )  # fmt: skip

    def _envelope(self, command: ExternalCommand, *, event_id: str, now_ns: int) -> dict[str, Any]:
        return {
            "event_id": event_id, "ts_event_ns": now_ns, "ts_recorded_ns": self.clock.now_ns(), "source": "gateway",
            "trace_id": event_id, "causation_id": command.command_id, "user_id": command.user_id,
        }  # fmt: skip

    async def _put(self, transaction: Any, signal: AskedSignal) -> tuple[AskedSignal, bool]:
        await self.asked.add(transaction, signal)
        transaction.emit(SIGNALS_MANUAL.name, signal)
        return signal, True


def _id(kind: str, command: ExternalCommand) -> str:
    return signal_id(kind, user_id=str(command.user_id), source=MANUAL, key=str(command.command_id))


def _again(known: AskedSignal, problems: Problems, *, same: bool) -> tuple[AskedSignal, bool] | None:
    if same:
        return known, False
    problems.add("command_id", "names another order already: give each order a key of its own")
    return None


def _is_same(known: EntrySignal, asked: EntryAsked) -> bool:
    """A price that was not given has been the last one."""
    ours = (known.instrument, known.side, known.stop_paise, known.target_paise, known.lots)
    theirs = (asked.instrument.instrument_id, asked.side, asked.stop_paise, asked.target_paise, asked.lots)
    return ours == theirs and asked.price_paise in (None, known.price_paise)
