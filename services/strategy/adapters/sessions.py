"""Sessions, as Postgres has them."""

from dataclasses import dataclass

from tradebus.contracts.commands import StartTrading
from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.streams import COMMANDS, ORDERS
from tradebus.runtime.rendering import fact_of
from tradebus.store.instruments import load_instruments
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.trading.facts import PositionClosed, PositionOpened

_SQL = load_queries("services.strategy.sql", "sessions")
_CONSUMER = "strategy"
_MAY_TRADE = ("STARTING", "RUNNING", "PAUSED")


@dataclass(frozen=True, slots=True)
class StoredSession:
    spec: SessionSpec
    paused: bool


class Sessions:
    """Reads `sessions` and what belongs to it; writes this service's participation."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def may_trade(self, session_id: str) -> bool:
        """Whether a START command is still wanted: it may be read long after its session has ended."""
        return await self._store.pool.fetchval(_SQL["session_status"], session_id) in _MAY_TRADE

    async def participate(self, command: StartTrading) -> None:
        """Says, once, that this service has taken the session up."""
        async with self._store.begin() as transaction:
            if await transaction.first_time(_CONSUMER, command.event_id):
                await transaction.connection.execute(_SQL["participate"], command.spec.session_id)

    async def pause(self, session_id: str, *, reason: str) -> None:
        """Says that the session enters nothing more, and why."""
        await self._store.pool.execute(_SQL["pause"], session_id, reason)

    async def refuse(self, session_id: str, *, reason: str) -> None:
        """Says why a session that is starting cannot be taken up."""
        await self._store.pool.execute(_SQL["refuse"], session_id, reason)

    async def to_resume(self) -> list[StoredSession]:
        """The sessions this service was trading when it stopped, oldest first."""
        rows = await self._store.pool.fetch(_SQL["sessions_to_resume"], COMMANDS.name)
        return [StoredSession(SessionSpec.model_validate(row["spec"]), row["paused"]) for row in rows]

    async def instruments(self) -> InstrumentMaster:
        return await load_instruments(self._store.pool)

    async def positions(self, session_id: str) -> list[PositionOpened | PositionClosed]:
        """Every opening and closing of the session's positions so far."""
        rows = await self._store.pool.fetch(_SQL["position_messages"], session_id, ORDERS.name)
        facts = (fact_of(parse(row["body"].encode())) for row in rows)
        return [fact for fact in facts if isinstance(fact, PositionOpened | PositionClosed)]
