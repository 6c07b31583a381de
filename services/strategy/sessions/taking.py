"""Sessions come and go: what of them is known here, and what stands for it in the book."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import date

import structlog

from services.strategy.adapters.market import RunningMarket
from services.strategy.adapters.seen import ChainReader, RunningMarketSeen
from services.strategy.adapters.tick_stream import TickStream
from services.strategy.desks import Desks
from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.runtime.rendering import fact_of
from tradebus.store.book import Book
from tradebus.store.books import instruments_book, sessions_book
from tradebus.store.books.sessions import MAY_TRADE
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSession, ActiveSessions, Found, open_session
from tradebus.strategies.roles import Offered, spots_of
from tradebus.trading.facts import PositionClosed, PositionOpened

SERVICE = "strategy"

_log = structlog.get_logger()


class Taking:
    """Takes sessions up and lets go of them: runners, positions and the processes of strategy files."""

    def __init__(
        self, active: ActiveSessions, *, store: Book, book: PositionBook, desks: Desks, ticks: TickStream,
        quotes: TickStream, market: RunningMarket, seen: RunningMarketSeen, chains: ChainReader, clock: Clock,
        paced: bool,
    ) -> None:  # fmt: skip
        self._active, self._store, self._book, self._desks = active, store, book, desks
        self._sessions, self._instruments = sessions_book(store), instruments_book(store)
        self._ticks, self._quotes, self._clock, self._paced = ticks, quotes, clock, paced
        self._market, self._seen, self._chains = market, seen, chains
        self._loading: dict[str, asyncio.Task[None]] = {}
        # Set by whoever has the loop: does a job between entries, and hears that what is listened to may be another.
        self.post: Callable[[Callable[[], Awaitable[object]]], None] = lambda job: None
        self.changed: Callable[[], None] = lambda: None

    @property
    def loading(self) -> Collection[str]:
        """Sessions that are taken up once their strategy files are there."""
        return self._loading.keys()

    async def resume(self) -> None:
        """Lets go of all, and takes up again those that were being traded."""
        for session_id in [*(session.spec.session_id for session in self._active.all()), *self._loading]:
            await self.let_go(session_id)
        for stored in await self._sessions.taken_up(SERVICE):
            session_id = stored.spec.session_id
            try:
                self._active.add(
                    await self._build(stored.spec, await self._desks.open(stored.spec), paused=stored.paused)
                )
            except InvalidInput as error:
                # A strategy file that is gone stops its own session, not the others; execution guards its positions.
                _log.error("session not resumed: it decides nothing", session_id=session_id, reason=str(error))
            else:
                _log.info("session resumed", session_id=session_id, paused=stored.paused)

    async def start(self, spec: SessionSpec) -> None:
        """Raises InvalidInput where the session's strategies or symbols cannot be loaded; the session's reason says so
        too. Of strategy files in a live market the reason alone does, once it is known."""
        if not await self._is_wanted(spec):
            return
        if self._paced or all(one.path is None for one in spec.strategies):
            try:
                await self._take_up(spec, await self._desks.open(spec))
            except InvalidInput as error:
                await self._refuse(spec.session_id, str(error))
                raise
        else:  # nobody else waits while a file is loaded
            self._loading[spec.session_id] = asyncio.create_task(self._load(spec))

    async def _is_wanted(self, spec: SessionSpec) -> bool:
        if self._active.get(spec.session_id) is not None or spec.session_id in self._loading:
            return False
        return await self._may_trade(spec.session_id)

    async def _may_trade(self, session_id: str) -> bool:
        """A START command may be read long after its session has ended."""
        return await self._sessions.status(session_id) in MAY_TRADE

    async def _load(self, spec: SessionSpec) -> None:
        """Starts the processes of a session's files; the rest is done by the loop, between entries."""
        session_id = spec.session_id
        try:
            found = await self._desks.open(spec)
        except InvalidInput as error:
            reason = str(error)
            _log.error("session not taken up", session_id=session_id, reason=reason)
            self.post(lambda: self._refuse(session_id, reason))
        else:
            self.post(lambda: self._loaded(spec, found))

    async def _loaded(self, spec: SessionSpec, found: dict[int, Found]) -> None:
        session_id = spec.session_id
        if self._loading.get(session_id) is None:
            return  # it was let go of meanwhile
        if not await self._may_trade(session_id):
            await self.let_go(session_id)
            return
        try:
            await self._take_up(spec, found)
        except InvalidInput as error:
            _log.error("session not taken up", session_id=session_id, reason=str(error))
            await self._refuse(session_id, str(error))
        else:
            del self._loading[session_id]
        self.changed()

    async def _refuse(self, session_id: str, reason: str) -> None:
        await self._sessions.give_up(session_id, reason=reason)
        self._loading.pop(session_id, None)

    async def _take_up(self, spec: SessionSpec, found: dict[int, Found]) -> None:
        session = await self._build(spec, found, paused=False)
        if session.wants_ticks and not self._active.wants_ticks:
            await self._ticks.take()
        if session.wants_quotes and not self._active.quote_instruments:
            await self._quotes.take()
        async with self._store.begin() as transaction:
            await self._sessions.participate(transaction, spec.session_id, service=SERVICE)
        self._active.add(session)
        await self._chains.read()
        _log.info("session taken up", session_id=spec.session_id, strategies=[one.name for one in spec.strategies])

    async def let_go(self, session_id: str) -> bool:
        """Whether there was such a session."""
        loading = self._loading.pop(session_id, None)
        if loading is not None:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
        self._book.forget_session(session_id)
        await self._desks.close(session_id)
        return self._active.remove(session_id) is not None

    def pause(self, session_id: str, *, paused: bool) -> None:
        """A session that is paused decides and does not enter; resumed, its strategies that were given up are tried
        again."""
        session = self._active.get(session_id)
        if session is None:
            return
        session.paused = paused
        if not paused:
            self._desks.revive(session_id)

    async def reload_positions(self) -> None:
        """Hears again all that execution has said of positions; what was heard already changes nothing."""
        for session in self._active.all():
            await self._load_positions(session.spec.session_id)

    async def _load_positions(self, session_id: str) -> None:
        for report in await self._sessions.position_reports(session_id):
            fact = fact_of(report)
            assert isinstance(fact, PositionOpened | PositionClosed)
            self._book.apply(fact)

    async def _build(self, spec: SessionSpec, found: dict[int, Found], *, paused: bool) -> ActiveSession:
        instruments = await self._instruments.load()
        try:
            today = None if self._paced else ist_date(self._clock.now_ns())
            day, offered = await _offered(self._market, spec, found, instruments, today=today)
            session = open_session(
                spec, instruments=instruments, book=self._book, paused=paused, day=day, found=list(found.values()),
                offered=offered, seen=self._seen,
            )  # fmt: skip
            await self._load_positions(spec.session_id)
        except BaseException:
            await self._desks.close(spec.session_id)
            raise
        return session


async def _offered(
    market: RunningMarket,
    spec: SessionSpec,
    found: dict[int, Found],
    instruments: InstrumentMaster,
    *,
    today: date | None,
) -> tuple[date | None, Offered]:
    """The session's first day (None: any) and what the feed has for its strategies. `today` is None in a paced run:
    there it is the first day of the recorded market."""
    offered, first_day = await market.offered()
    if today is None and offered.chains is None:  # the feed has not begun yet, but what is paced is recorded
        offered = replace(offered, depth=frozenset(), chains=frozenset())
    day = first_day if today is None else today
    if day is None:
        return None, offered
    owns = [instruments.find(symbol) for symbol in spec.symbols]
    spots = {
        spot.instrument_id
        for one in found.values()
        for own in owns
        for spot in spots_of(one.info.needs, own, instruments, day)
    }
    closes = await market.closes_paise(sorted(spots), day=day)
    return day, replace(offered, closes_paise=closes)
