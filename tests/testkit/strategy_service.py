"""The strategy service's neighbours, played by the test: market data, execution, and whoever starts and kills it.

On real servers or on their twins.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from services.strategy.adapters.journal import Journal
from services.strategy.adapters.memory_journal import MemoryJournal
from services.strategy.adapters.tick_stream import TICKS
from services.strategy.bootstrap import WiredStrategy, wire
from services.strategy.component import CANDLES, StrategyComponent
from services.strategy.messages import SignalMessage
from services.strategy.ports import DecisionJournal
from services.strategy.settings import Settings
from testkit.strategy_days import Day, Market
from testkit.waiting import WALL_TIMERS
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import PositionClosed, PositionOpened
from tradebus.contracts.records import CANDLE, Records
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionSpec, SessionStatus, StrategySpec
from tradebus.contracts.signals import EntrySignal, ExitSignal
from tradebus.contracts.streams import COMMANDS, ORDERS, SIGNALS
from tradebus.indicators.aggregate import Aggregator
from tradebus.kernel.clock import Clock, EventClock
from tradebus.kernel.ids import derive_id
from tradebus.kernel.timers import Timer
from tradebus.store.book import Book
from tradebus.store.books import candles_book, instruments_book, session_register, sessions_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store
from tradebus.strategies.lane.conflicts import Conflicts
from tradebus.strategies.lane.decisions import DecisionRow
from tradebus.strategies.protocol import Action, Candle, Decision
from tradebus.waiting.timers import WallTimers

INSTRUMENT = Instrument(
    instrument_id=3, symbol="TEST", kind="INDEX", market_class="index", underlying="NIFTY", tick_size_paise=5
)
FILL_AFTER_NS = 150_000_000


def records_of(candles: Sequence[Candle], *, instrument: int = 3) -> Records:
    """The candles as 1-minute CANDLE records."""
    records = np.zeros(len(candles), CANDLE)
    for row, one in zip(records, candles, strict=True):
        row["ts_open_ns"], row["ts_close_ns"] = one.ts_open_ns, one.ts_close_ns
        row["open_paise"], row["high_paise"] = one.open_paise, one.high_paise
        row["low_paise"], row["close_paise"], row["volume"] = one.low_paise, one.close_paise, one.volume
    records["instrument"], records["timeframe_seconds"] = instrument, 60
    return records


def message_fields(cause: str, ts_ns: int, session_id: str, pos_id: str | None = None) -> dict[str, Any]:
    return {
        "event_id": derive_id(ts_ns, cause, session_id, pos_id or "", ts_ns),
        "ts_event_ns": ts_ns,
        "ts_recorded_ns": ts_ns,
        "source": "test",
        "trace_id": "trace",
        "session_id": session_id,
        "pos_id": pos_id,
    }


class Killed(BaseException):
    """The process ends here, as by kill -9."""


class DyingBus:
    """The bus of a life that ends where it publishes next, once `stage.dies_at` says so."""

    def __init__(self, bus: Bus, stage: "Stage") -> None:
        self._bus, self._stage = bus, stage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def publish(self, entries: Sequence[Outgoing]) -> None:
        if self._stage.dies_at == "publish":
            raise Killed
        await self._bus.publish(entries)


class DyingJournal:
    """The journal of a life that ends where it stores a signal next, once `stage.dies_at` says so."""

    def __init__(self, journal: DecisionJournal, stage: "Stage") -> None:
        self._journal, self._stage = journal, stage
        self.decisions, self.signal_ids = journal.decisions, journal.signal_ids

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        self._look(rows)
        await self._journal.write(rows)

    async def write_with_signals(self, rows: Sequence[DecisionRow], signals: Sequence[SignalMessage]) -> None:
        if self._stage.dies_at == "store":
            raise Killed
        self._look(rows)
        await self._journal.write_with_signals(rows, signals)

    def _look(self, rows: Sequence[DecisionRow]) -> None:
        if any(row.session_id == self._stage.unstorable for row in rows):
            raise ArithmeticError("value out of range")


def journal_of(book: Book) -> DecisionJournal:
    """The journal in the book's own kind."""
    if isinstance(book, MemoryBook):
        return MemoryJournal(book)
    assert isinstance(book, Store)
    return Journal(book)


class Hurried(WallTimers):
    """Durations are over the sooner."""

    def __init__(self, clock: Clock, hurry: float) -> None:
        super().__init__(clock)
        self._hurry = hurry

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        return super().after(seconds / self._hurry, call)


@dataclass
class Stage:
    """The servers or their twins, the service on them, and the market it sees. `open_book` gives a new process's door
    to the book, `store` is the neighbours' own."""

    bus: Bus
    store: Book
    open_book: Callable[[], Awaitable[Book]]
    paced: bool = True
    flush_entries: int = 16
    answer_seconds: float = 10.0  # a busy machine is no hostile strategy
    busy_share: float = 1.0
    conflicts: Conflicts = Conflicts.INDEPENDENT
    unstorable: str | None = None  # the session whose decisions the book refuses
    hurry: float = 1.0  # so many times as soon is due what the service waits for
    service: WiredStrategy | None = None
    fills: bool = True
    dies_at: str | None = None
    _books: list[Book] = field(default_factory=list)
    _aggregator: Aggregator = field(default_factory=lambda: Aggregator(4))
    _markets: dict[tuple[str, str], Market] = field(default_factory=dict)
    _owners: dict[tuple[str, str], EntrySignal] = field(default_factory=dict)
    _pending: list[tuple[int, Message]] = field(default_factory=list)
    _signals_read: dict[str, str] = field(default_factory=lambda: {SIGNALS.name: "0"})
    _acted_on: set[str] = field(default_factory=set)
    signals: list[Message] = field(default_factory=list)
    watermark_ns: int = 0

    @classmethod
    def memory(cls) -> "Stage":
        database = MemoryDatabase()

        async def open_book() -> Book:
            return MemoryBook(database, producer="strategy-1")

        return cls(MemoryBus(timers=WALL_TIMERS), MemoryBook(database, producer="test-1"), open_book)

    @classmethod
    def servers(cls, database_url: str, namespace: str, bus: Bus, store: Store) -> "Stage":
        async def open_book() -> Book:
            return await Store.connect(
                database_url, namespace=namespace, producer="strategy-1", pool_size=2, timers=WALL_TIMERS
            )

        return cls(bus, store, open_book)

    @property
    def component(self) -> StrategyComponent:
        assert self.service is not None, "the service does not run"
        return self.service.component

    @property
    def journal(self) -> DecisionJournal:
        return journal_of(self.store)

    async def prepare(self) -> None:
        async with self.store.begin() as transaction:
            await instruments_book(self.store).register(transaction, [INSTRUMENT])

    async def start_service(self) -> StrategyComponent:
        """A new process of the service: its own door to the book, the same names."""
        book, clock = await self.open_book(), EventClock()
        self._books.append(book)
        settings = Settings(
            database_url="postgresql://unused", redis_url="redis://unused", paced=self.paced,
            flush_entries=self.flush_entries, flush_seconds=60, answer_seconds=self.answer_seconds,
            busy_share=self.busy_share, conflicts=self.conflicts,
        )  # fmt: skip
        bus: Any = DyingBus(self.bus, self)
        self.service = wire(
            settings, bus=bus, book=book, journal=DyingJournal(journal_of(book), self), clock=clock,
            timers=Hurried(clock, self.hurry), registry=CollectorRegistry(),
        )  # fmt: skip
        await self.component.start()
        return self.component

    async def kill_service(self) -> None:
        """As kill -9: nothing is flushed, published or acknowledged; what it holds in memory is gone."""
        if self.service is not None:
            await self.component.abandon()
        self.service, self.dies_at = None, None

    async def close(self) -> None:
        if self.service is not None:
            await self.component.abandon()
        for book in self._books:
            await book.close()

    async def look(self, *, times: int = 1) -> None:
        """Has the service look for what the bus has lost, and do what it has found."""
        assert self.service is not None
        assert self.service.recovery is not None, "a paced run looks for nothing"
        for _ in range(times):
            await self.service.recovery.look()
            await self.settle()

    async def turn_until(self, watermark_ns: int) -> None:
        """Lets the service work until its watermark is out."""
        for _ in range(200):
            await self.read_signals()
            if self.watermark_ns >= watermark_ns:
                return
            await self.component.turn(block_ms=20)
        raise AssertionError(f"no watermark {watermark_ns}; the last one is {self.watermark_ns}")

    async def settle(self) -> None:
        """Lets the service work until it has nothing more to do."""
        quiet = 0
        while quiet < 2:  # a turn may also come back empty because what it read waits for another stream
            quiet = 0 if await self.component.turn(block_ms=20) or self.component.is_waiting else quiet + 1

    async def start_session(
        self, strategies: Sequence[StrategySpec], *, session_id: str = "s1", status: str = "RUNNING",
        wait: bool = True, lost: bool = False,
    ) -> SessionSpec:  # fmt: skip
        """What the gateway does for START_TRADING, and the service's taking it up."""
        spec = SessionSpec(
            session_id=session_id, user_id=f"user-{session_id}", symbols=("TEST",), strategies=tuple(strategies),
            capital_paise=100_000_000,
        )  # fmt: skip
        register = session_register(self.store)
        async with self.store.begin() as transaction:
            await register.insert(transaction, spec, command_id="c", now_ns=0)
            await register.set_status(transaction, session_id, SessionStatus(status))
        await self.command(StartTrading(**message_fields("start", 1, session_id), spec=spec), lost=lost)
        if wait and not lost and not self.paced and any(one.path is not None for one in strategies):
            await self.taken_up(session_id)
        return spec

    async def taken_up(self, session_id: str) -> None:
        """Lets the service work until it has the session: a file is loaded beside everything else."""
        async with asyncio.timeout(60):
            while session_id not in await self.participants():
                await self.component.turn(block_ms=20)

    async def participants(self) -> list[str]:
        """The sessions that the service has taken up and that are not over."""
        return [one.session_id for one in await sessions_book(self.store).standing("strategy") if one.is_taken_up]

    async def status(self, session_id: str, status: str) -> None:
        """What the gateway writes."""
        async with self.store.begin() as transaction:
            await session_register(self.store).set_status(transaction, session_id, SessionStatus(status))

    async def command(self, message: Message, *, lost: bool = False) -> None:
        await self.tell(COMMANDS.name, message, lost=lost)
        if self.service is not None:
            await self.settle()

    async def tell(self, stream: str, message: Message, *, lost: bool = False) -> None:
        """What a neighbour says; `lost`: it is in the book, and the bus has lost it."""
        async with self.store.begin() as transaction:
            transaction.emit(stream, message)
        if lost:
            self.store.backlog.take()
        await Outbox(self.store, self.bus, timers=WALL_TIMERS).flush()

    async def store_day(self, day: Day) -> None:
        """Candles that were stored before the run."""
        await candles_book(self.store).upsert(records_of(day.candles))

    async def publish_slice(self, day: Day, candle: Candle, *, ticks: Records | None = None) -> None:
        """Market data's slice of one minute, and execution's answer to its ticks."""
        minute = records_of([candle])
        await candles_book(self.store).upsert(minute)
        higher = self._aggregator.apply(minute, session_open_ns=day.open_ns, session_close_ns=day.close_ns)
        body = np.concatenate((minute, higher)).tobytes()
        start, end = candle.ts_open_ns, candle.ts_close_ns
        await self.bus.publish(
            [
                Outgoing(TICKS, "ticks", b"" if ticks is None else ticks.tobytes(), end - 1, start),
                Outgoing(CANDLES, "candles", body, end, start),
            ]
        )
        for key, market in self._markets.items():
            held = market.position
            market.supervise(candle)
            if held is not None and market.position is None:
                self._pending.append((end - 1, self._closed(self._owners[key], end - 1)))
        await self._publish_orders(until_ns=end - 1)

    async def act(self, candle: Candle) -> None:
        """Execution takes the signals at the slice's end: entries fill, exits close, a little later."""
        at_ns = candle.ts_close_ns + FILL_AFTER_NS
        for signal in self.signals:
            if signal.event_id in self._acted_on or not self.fills:
                continue
            self._acted_on.add(signal.event_id)
            assert signal.session_id is not None
            if isinstance(signal, EntrySignal):
                key = (signal.session_id, signal.strategy)
                action = Action.ENTER_LONG if signal.side.sign > 0 else Action.ENTER_SHORT
                self._markets.setdefault(key, Market()).act(
                    candle, Decision(action, "-", signal.stop_paise, signal.target_paise)
                )
                self._owners[key] = signal
                self._pending.append((at_ns, self._opened(signal, at_ns)))
            elif isinstance(signal, ExitSignal):
                key = (signal.session_id, signal.strategy)
                self._markets[key].position = None
                self._pending.append((at_ns, self._closed(self._owners[key], at_ns)))
        await self._publish_orders(until_ns=candle.ts_close_ns)

    async def end_day(self, day: Day) -> None:
        """Execution squares off what is open after the close."""
        at_ns = day.close_ns + 2 * FILL_AFTER_NS
        for key, market in self._markets.items():
            if market.position is not None:
                market.position = None
                self._pending.append((at_ns, self._closed(self._owners[key], at_ns)))

    async def play(self, day: Day, candles: Sequence[Candle] | None = None) -> None:
        """A day, minute by minute, each step waiting for the service's watermark."""
        for candle in day.candles if candles is None else candles:
            await self.publish_slice(day, candle)
            await self.turn_until(candle.ts_close_ns)
            await self.act(candle)
        if candles is None or (candles and candles[-1] is day.candles[-1]):
            await self.end_day(day)

    async def decisions(self, *, session_id: str = "s1", strategy: str = "orb") -> list[tuple[int, str, str, int]]:
        return [
            (row.ts_event_ns, row.action, row.reason, row.price_paise)
            for row in await self.journal.decisions(session_id)
            if row.strategy == strategy
        ]

    async def _publish_orders(self, *, until_ns: int) -> None:
        due = sorted((pair for pair in self._pending if pair[0] <= until_ns), key=lambda pair: pair[0])
        self._pending = [pair for pair in self._pending if pair[0] > until_ns]
        if due:
            async with self.store.begin() as transaction:
                for _, message in due:
                    transaction.emit(ORDERS.name, message)
        await Outbox(self.store, self.bus, timers=WALL_TIMERS).flush(
            then=[Outgoing(ORDERS.name, "watermark", watermark_ns=until_ns)]
        )

    async def read_signals(self) -> None:
        for entry in await self.bus.follow([SIGNALS.name], after=self._signals_read, block_ms=0):
            self._signals_read[SIGNALS.name] = entry.entry_id
            if entry.kind == "watermark":
                self.watermark_ns = max(self.watermark_ns, entry.watermark_ns or 0)
            else:
                self.signals.append(parse(entry.body))

    def _opened(self, signal: EntrySignal, at_ns: int) -> PositionOpened:
        assert signal.session_id is not None
        return PositionOpened(
            **message_fields("opened", at_ns, signal.session_id, signal.pos_id), strategy=signal.strategy,
            symbol=signal.symbol, instrument=signal.instrument, side=signal.side, quantity=1,
            average_price_paise=signal.price_paise, stop_paise=signal.stop_paise,
        )  # fmt: skip

    def _closed(self, signal: EntrySignal, at_ns: int) -> PositionClosed:
        assert signal.session_id is not None
        return PositionClosed(
            **message_fields("closed", at_ns, signal.session_id, signal.pos_id), strategy=signal.strategy,
            symbol=signal.symbol, instrument=signal.instrument, side=signal.side, quantity=1,
            entry_price_paise=signal.price_paise, exit_price_paise=signal.price_paise, gross_pnl_paise=0,
            charges_paise=0, net_pnl_paise=0, r_multiple=0.0, mae_r=0.0, mfe_r=0.0, reason="test",
            opened_ts_ns=signal.ts_event_ns + FILL_AFTER_NS,
        )  # fmt: skip
