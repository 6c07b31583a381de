"""The sessions execution has taken up, which of them are closed to entries, and the kill switch as the book has it."""

from collections.abc import Collection

from services.execution.books.ports import CONSUMER
from services.execution.closed_sessions import ClosedSessions
from tradebus.contracts.commands import Kill, StartTrading
from tradebus.contracts.sessions import PaperSettings, SessionSpec, SessionStatus
from tradebus.kernel.errors import InvalidInput
from tradebus.store.book import Book
from tradebus.store.books import kill_switch_book, sessions_book
from tradebus.trading.sessions import StoredSession

PAPER = "paper"
_LOOKS = 3  # before a command that may be on its way counts as lost


class ExecutionSessions:
    """Specs by session id."""

    def __init__(self, book: Book) -> None:
        self._book, self._sessions, self._switch = book, sessions_book(book), kill_switch_book(book)
        self._specs: dict[str, SessionSpec] = {}
        self._alive: list[StoredSession] = []  # at the last look
        self._waiting: dict[str, int] = {}  # looks at which a session was still to be taken up
        self.closed, self.killed = ClosedSessions(), False

    async def load(self, trading: Collection[str]) -> None:
        """Takes up again what was alive before a restart, and the sessions that hold trades (`trading`)."""
        for session in await self._sessions.alive():
            self.remember(session.spec)
        for spec in (await self._sessions.specs(trading)).values():
            self.remember(spec)
        await self.refresh()

    async def take_up(self, message: StartTrading) -> None:
        """Says, once and durably, that execution has the session."""
        async with self._book.begin() as tx:
            if await tx.first_time(CONSUMER, message.event_id):
                await self._sessions.participate(tx, message.spec.session_id, service=CONSUMER)
        self.remember(message.spec)

    async def unheard(self) -> list[SessionSpec]:
        """Sessions that wait to be taken up and whose command did not come from one look to the next: the bus may lose
        everything. Each is given once. After a `refresh`."""
        starting = [one.spec for one in self._alive if one.status is SessionStatus.STARTING]
        if not starting:
            self._waiting = {}
            return []
        taken = {one.spec.session_id for one in await self._sessions.taken_up(CONSUMER)}
        looks = {
            spec.session_id: self._waiting.get(spec.session_id, 0) + 1
            for spec in starting
            if spec.session_id not in taken
        }
        self._waiting = looks
        return [spec for spec in starting if looks.get(spec.session_id) == _LOOKS]

    def remember(self, spec: SessionSpec) -> None:
        """Knows the session without having taken it up: its account may still have to be opened."""
        self._specs[spec.session_id] = spec

    async def participate(self, session_id: str) -> None:
        """Says durably that execution has the session, its account being open. Repeating it is harmless."""
        async with self._book.begin() as tx:
            await self._sessions.participate(tx, session_id, service=CONSUMER)

    async def give_up(self, session_id: str, *, reason: str) -> None:
        """Says why a session that is starting cannot be taken up; the gateway ends it with that reason."""
        await self._sessions.give_up(session_id, reason=f"execution: {reason}")

    @property
    def at_brokers(self) -> list[SessionSpec]:
        """The sessions whose orders go to a broker."""
        return [spec for spec in self._specs.values() if spec.broker != PAPER]

    def known(self, session_id: str) -> SessionSpec | None:
        """What is known of the session without asking the book."""
        return self._specs.get(session_id)

    def is_at_broker(self, session_id: str) -> bool:
        """Whether its orders go to a broker. False for a session that is not known yet."""
        spec = self._specs.get(session_id)
        return spec is not None and spec.broker != PAPER

    async def refresh(self) -> None:
        """How the sessions stand by the book, and the kill switch."""
        known = set(self._specs)  # before: one of them that is not alive then is over
        self._alive = await self._sessions.alive()
        self.closed.look(self._alive, known=known)
        switch = await self._switch.read()
        self.killed = switch is not None and switch.engaged

    async def kill(self, command: Kill) -> bool:
        """Whether the switch stands. An instance that is new to the bus reads old commands too: not where a person has
        released it since."""
        self.killed = True  # at once: what waits to be sent is not sent while the book is asked
        switch = await self._switch.read()
        released = switch is not None and not switch.engaged and switch.changed_ns >= command.ts_event_ns
        self.killed = not released
        return self.killed

    async def paper_settings(self, session_id: str) -> PaperSettings:
        """How the paper broker behaves for this session. Raises InvalidInput for one that is not in the book."""
        return (await self.spec(session_id)).paper

    async def spec(self, session_id: str) -> SessionSpec:
        """Raises InvalidInput for a session that is not in the book."""
        if session_id not in self._specs:  # an order may come before the command that started its session
            spec = await self._sessions.spec(session_id)
            if spec is None:
                raise InvalidInput(f"session {session_id} is not in the book")
            self.closed.found(session_id, await self._sessions.status(session_id))
            self.remember(spec)
        return self._specs[session_id]
