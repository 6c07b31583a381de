"""What is asked for becomes a signal in the book, once for its key.

    asked ─► row in signals + ENTRY_SIGNAL or EXIT_SIGNAL on the source's stream, one commit ─► outbox ─► risk

Nothing is decided here but what the words mean: risk judges the signal by the rules of every entry, and answers
ENTRY_BLOCKED with the rule's name or approves it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from services.gateway.asking.book import AskedBook, AskedSignal, ClosablePosition
from services.gateway.asking.market import AskedMarket, MarketLook
from services.gateway.domain.asked_orders import EntryAsked, signal_id
from services.gateway.domain.problems import Problems
from tradebus.contracts.sessions import SessionStatus
from tradebus.contracts.signals import EntrySignal, ExitSignal
from tradebus.contracts.streams import SIGNALS_MANUAL, SIGNALS_WEBHOOK
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import derive_id
from tradebus.store.book import Book
from tradebus.store.books import SessionRegister
from tradebus.trading.sessions import StoredSession

NO_DATA = "no market data has come: nothing can be judged by it; is a feed running (`tradebus up`)?"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: `source` is the strategy that its positions belong to, `key` its own name for what it asks."""

    user_id: str
    source: str
    key: str
    is_program: bool

    def signal_id(self, kind: str) -> str:
        return signal_id(kind, user_id=self.user_id, source=self.source, key=self.key)


@dataclass(frozen=True, slots=True)
class AskedMade:
    """A signal, and whether it is a new one."""

    signal: AskedSignal
    is_new: bool


FindPosition = Callable[[Any], Awaitable[ClosablePosition | None]]


@dataclass(frozen=True, slots=True)
class SignalMaker:
    book: Book
    register: SessionRegister
    asked: AskedBook
    market: AskedMarket
    clock: Clock

    async def enter(self, asker: Asker, asked: EntryAsked, problems: Problems) -> AskedMade | None:
        """None after adding to `problems`."""
        look = await self.market.look(asked.instrument.instrument_id)
        async with self.book.begin() as transaction:
            await transaction.lock(f"user {asker.user_id}")
            known = await self.asked.find(transaction, asker.signal_id(EntrySignal.TYPE))
            if known is not None:
                return _again(known, problems, same=isinstance(known, EntrySignal) and _is_same(known, asked))
            session = await self.register.alive_of(transaction, asker.user_id)
            if session is None or session.status is SessionStatus.STARTING:
                problems.add("user_id", f"no session of user {asker.user_id} runs: `tradebus start` begins one")
                return None
            signal = self._entry(asker, asked, session, look, problems)
            return None if signal is None else await self._put(transaction, asker, signal)

    async def leave(
        self, asker: Asker, find: FindPosition, problems: Problems, *, is_same: Callable[[AskedSignal], bool],
        reason: str, missing: tuple[str, str],
    ) -> AskedMade | None:  # fmt: skip
        """Asks that the position be closed which `find` finds in the transaction; `missing` is the field and the
        problem where there is none, `is_same` whether a signal under the key asked for this. None after adding to
        `problems`."""
        async with self.book.begin() as transaction:
            await transaction.lock(f"user {asker.user_id}")
            known = await self.asked.find(transaction, asker.signal_id(ExitSignal.TYPE))
            if known is not None:
                return _again(known, problems, same=is_same(known))
            held = await find(transaction)
            if held is None:
                problems.add(*missing)
                return None
            look = await self.market.look(held.instrument)
            now_ns = look.now_ns(is_live=True) or self.clock.now_ns()
            signal = ExitSignal(
                **self._envelope(asker, ExitSignal.TYPE, now_ns=now_ns), session_id=held.session_id,
                pos_id=held.pos_id, strategy=held.strategy, symbol=held.symbol, instrument=held.instrument,
                side=held.side, price_paise=look.price_paise or held.expected_price_paise, reason=reason,
            )  # fmt: skip
            return await self._put(transaction, asker, signal)

    def _entry(
        self, asker: Asker, asked: EntryAsked, session: StoredSession, look: MarketLook, problems: Problems
    ) -> EntrySignal | None:
        now_ns = look.now_ns(is_live=session.spec.data_broker is not None)
        price_paise = asked.price_paise or look.price_paise
        if now_ns is None:
            problems.add("action", NO_DATA)
        if price_paise is None:
            problems.add("data.price", f"is missing, and {asked.instrument.symbol} has not traded lately: give a price")
        if now_ns is None or price_paise is None:
            return None
        envelope = self._envelope(asker, EntrySignal.TYPE, now_ns=now_ns)
        return EntrySignal(
            **envelope, session_id=session.session_id, pos_id=derive_id(now_ns, "position", envelope["event_id"]),
            strategy=asker.source, symbol=asked.instrument.symbol, instrument=asked.instrument.instrument_id,
            side=asked.side, price_paise=price_paise, reason=asked.reason, stop_paise=asked.stop_paise,
            target_paise=asked.target_paise, confidence=1.0, lots=asked.lots,
        )  # fmt: skip

    def _envelope(self, asker: Asker, kind: str, *, now_ns: int) -> dict[str, Any]:
        event_id = asker.signal_id(kind)
        return {
            "event_id": event_id, "ts_event_ns": now_ns, "ts_recorded_ns": self.clock.now_ns(), "source": "gateway",
            "trace_id": event_id, "causation_id": asker.key, "user_id": asker.user_id,
        }  # fmt: skip

    async def _put(self, transaction: Any, asker: Asker, signal: AskedSignal) -> AskedMade:
        await self.asked.add(transaction, signal)
        if asker.is_program:
            transaction.emit(SIGNALS_WEBHOOK.name, signal)
        else:
            transaction.emit(SIGNALS_MANUAL.name, signal)
        return AskedMade(signal, is_new=True)


def _again(known: AskedSignal, problems: Problems, *, same: bool) -> AskedMade | None:
    if same:
        return AskedMade(known, is_new=False)
    problems.add("command_id", "names another order already: give each order a key of its own")
    return None


def _is_same(known: EntrySignal, asked: EntryAsked) -> bool:
    """A price that was not given has been the last one."""
    ours = (known.instrument, known.side, known.stop_paise, known.target_paise, known.lots)
    theirs = (asked.instrument.instrument_id, asked.side, asked.stop_paise, asked.target_paise, asked.lots)
    return ours == theirs and asked.price_paise in (None, known.price_paise)
