"""A gateway on real servers or on their twins, seen from outside, and hands that do what the other services would."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from services.gateway.handlers import CommandReply
from services.gateway.settings import GatewaySettings
from tradebus.bus.port import Bus, Entry
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import COMMANDS, EVENTS
from tradebus.store.book import Book
from tradebus.store.books import instruments_book, sessions_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.store.store import Store

TOKEN = "token-for-tests-only"
START: dict[str, Any] = {
    "action": "START_TRADING",
    "user_id": "123",
    "data": {"strategies": ["orb"], "symbols": ["BANKNIFTY"], "capital": 500000},
}


@dataclass
class Hands(ABC):
    """A running gateway, and what the other services do."""

    bus: Bus
    book: Book
    settings: GatewaySettings

    @abstractmethod
    async def command(self, **fields: Any) -> dict[str, Any]:
        """What is answered to one."""

    async def take_up(self, session_id: str, *services: str) -> None:
        """What strategy, risk and execution do when they read START_TRADING."""
        for service in services or ("strategy", "risk", "execution"):
            async with self.book.begin() as transaction:
                await sessions_book(self.book).participate(transaction, session_id, service=service)

    async def let_go(self, session_id: str) -> None:
        """What risk does when it reads STOP_TRADING: from then on it approves nothing of the session."""
        told = [parse(entry.body) for entry in await self.commands() if entry.kind == "STOP_TRADING"]
        async with self.book.begin() as transaction:
            for one in told:
                if one.session_id == session_id:
                    await transaction.first_time("risk", one.event_id)

    async def started(self, **fields: Any) -> str:
        """A session that runs."""
        reply = await self.command(**{**START, **fields})
        await self.take_up(reply["session_id"])
        await self.event("SESSION_STARTED", session_id=reply["session_id"])
        return str(reply["session_id"])

    async def events(self) -> list[dict[str, Any]]:
        """What the outside has been told, in order."""
        return [json.loads(entry.body) for entry in await self.bus.tail(EVENTS.name, count=10_000)]

    async def event(self, kind: str, **about: Any) -> dict[str, Any]:
        """The newest public event of a type; waits for it."""

        async def found() -> dict[str, Any] | None:
            matching = [
                one for one in await self.events()
                if one["type"] == kind and all(one.get(key) == value for key, value in about.items())
            ]  # fmt: skip
            return matching[-1] if matching else None

        result: dict[str, Any] = await eventually(found)
        return result

    async def commands(self) -> list[Entry]:
        """What the services were told."""
        return await self.bus.tail(COMMANDS.name, count=10_000)


@dataclass
class Gateway(Hands):
    """Behind HTTP, on real servers or on the twins."""

    http: httpx.AsyncClient
    stop: Callable[[], Any]

    @property
    def store(self) -> Store:
        """Where it runs on real servers."""
        assert isinstance(self.book, Store)
        return self.book

    @property
    def database(self) -> MemoryDatabase:
        """Where it runs on the twins."""
        assert isinstance(self.book, MemoryBook)
        return self.book.database

    async def command(self, **fields: Any) -> dict[str, Any]:
        answer = await self.http.post("/api/commands", content=json.dumps(fields))
        assert answer.status_code in (200, 202, 422), answer.text
        return {"http": answer.status_code, **answer.json()}


@dataclass
class MemoryGateway(Hands):
    """On the twins, without HTTP: `handle` takes a command's bytes."""

    handle: Callable[[bytes], Awaitable[CommandReply]]

    async def command(self, **fields: Any) -> dict[str, Any]:
        reply = await self.handle(json.dumps(fields).encode())
        return {
            "status": reply.verdict.value,
            "session_id": reply.session_id,
            "session_status": reply.session_status,
            "errors": [one.model_dump() for one in reply.errors],
            "signal_id": reply.signal_id,
            "pos_id": reply.pos_id,
        }

    async def status(self, session_id: str) -> str | None:
        return await sessions_book(self.book).status(session_id)


def http_of(port: int) -> httpx.AsyncClient:
    """A caller with the token."""
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
        timeout=60,  # the first START loads the compiled indicators
    )


async def eventually(question: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """The first answer that is true. Fails where there is none for long: an upper bound, not a measurement."""
    async with asyncio.timeout(seconds):
        while not (answer := await question()):
            await asyncio.sleep(0.01)
        return answer


async def register(book: Book) -> None:
    indices = [
        Instrument(
            instrument_id=number, symbol=symbol, kind="INDEX", market_class="index", underlying=symbol,
            tick_size_paise=5,
        )
        for number, symbol in enumerate(("BANKNIFTY", "NIFTY"), 1)
    ]  # fmt: skip
    async with book.begin() as transaction:
        await instruments_book(book).register(transaction, indices, aliases={"NIFTYBANK": "BANKNIFTY"})
