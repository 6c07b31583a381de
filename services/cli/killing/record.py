"""The book of record, as far as it answers: whose an order at a broker is, and whether execution lives.

Every question has its bound. A book that left one unanswered is lost for the rest: from then on the form of a tag tells
what is ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import asyncpg

from services.cli.killing.logins import BrokerLogin
from tradebus.contracts.orders import OrderRole
from tradebus.execution.reconciliation import looks_ours
from tradebus.kernel.errors import TradebusError
from tradebus.store.broker_instruments import BrokerInstrument, read_broker_instruments
from tradebus.store.namespaces import schema_name
from tradebus.store.queries import load_queries

_SQL = load_queries("services.cli.killing", "record")
_ANSWER_SECONDS = 3.0
_LOST = (OSError, ValueError, TimeoutError, TradebusError, asyncpg.PostgresError, asyncpg.InterfaceError)
T = TypeVar("T")


class BookOfRecord:
    """Of the namespaces that share a state folder. `problem` says why it does not answer, "" while it does."""

    def __init__(self, find_database: Callable[[], str], namespaces: Sequence[str]) -> None:
        self._find, self._namespaces = find_database, namespaces
        self._connections: list[asyncpg.Connection] = []
        self._one_at_a_time = asyncio.Lock()
        self._said: dict[str, bool] = {}
        self.problem = ""

    async def open(self) -> None:
        """Connects to what there is, within its bound."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                for namespace in self._namespaces:
                    connection = await asyncpg.connect(
                        self._find(), timeout=_ANSWER_SECONDS, server_settings={"search_path": schema_name(namespace)}
                    )
                    self._connections.append(connection)
        except asyncpg.ClientConfigurationError as error:
            self.problem = f"DATABASE_URL: {error}"
        except _LOST as error:
            self._lose(error)

    def close(self) -> None:
        """Waits for nobody."""
        for connection in self._connections:
            connection.terminate()

    async def judge(self, login: BrokerLogin, tags: Sequence[str]) -> None:
        """Finds out whose orders these are, where nobody has yet."""
        asked = [tag for tag in tags if tag not in self._said and looks_ours(tag)]
        if not asked or self.problem:
            return
        rows = await self._asked("ours", asked, login.broker, list(login.names))
        if rows is not None:
            ours = {row["tag"] for row in rows}
            self._said |= {tag: tag in ours for tag in asked}

    def is_ours(self, tag: str) -> bool:
        """By the book, where it was asked; else by the form of the tag."""
        return self._said.get(tag, looks_ours(tag))

    async def unanswered(self, login: BrokerLogin) -> Mapping[str, tuple[OrderRole, str, str]]:
        """The account's orders of which execution does not know whether they are at the broker: by tag their role, and
        the broker's segment and token ("" where it lists them nowhere)."""
        rows = await self._asked("unanswered", login.broker, list(login.names)) or []
        return {row["tag"]: (OrderRole(row["role"]), row["broker_segment"] or "", row["token"] or "") for row in rows}

    async def listed(self, broker: str, today: date) -> list[BrokerInstrument]:
        """The terms of that day's master of the broker, as far as the book has them."""
        found: list[BrokerInstrument] = []
        for connection in self._connections if not self.problem else ():
            rows = await self._bounded(read_broker_instruments(connection, broker, listed_on=today))
            found += rows or []
        return found

    async def heard_seconds_ago(self) -> float | None:
        """How long ago execution said that it lives; None where it never did, or the book does not answer."""
        found = [row[0] for row in await self._asked("heard") or [] if row[0] is not None]
        return min(found, default=None)

    async def _asked(self, query: str, *arguments: Any) -> list[Any] | None:
        """The rows of all namespaces; None where not all answer."""
        rows: list[Any] = []
        for connection in self._connections if not self.problem else ():
            rows += await self._bounded(connection.fetch(_SQL[query], *arguments)) or []
        return rows if not self.problem else None

    async def _bounded(self, asking: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), self._one_at_a_time:
                return await asking
        except asyncpg.UndefinedTableError:
            return None  # nothing ever ran in that namespace
        except _LOST as error:
            self._lose(error)
            return None

    def _lose(self, error: BaseException) -> None:
        self.problem = str(error) or f"no answer in {_ANSWER_SECONDS:g} s"
