"""A gateway on real servers, seen from outside, and hands that do what the other services would."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from services.gateway.settings import GatewaySettings
from tradebus.bus.port import Bus, Entry
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.streams import COMMANDS, EVENTS
from tradebus.store.instruments import register_instruments
from tradebus.store.store import Store

TOKEN = "token-for-tests-only"
START: dict[str, Any] = {
    "action": "START_TRADING",
    "user_id": "123",
    "data": {"strategies": ["orb"], "symbols": ["BANKNIFTY"], "capital": 500000},
}


@dataclass
class Gateway:
    """A running gateway, seen from outside."""

    bus: Bus
    store: Store
    http: httpx.AsyncClient
    settings: GatewaySettings
    stop: Callable[[], Any]

    async def command(self, **fields: Any) -> dict[str, Any]:
        answer = await self.http.post("/api/commands", content=json.dumps(fields))
        assert answer.status_code in (200, 202, 422), answer.text
        return {"http": answer.status_code, **answer.json()}

    async def take_up(self, session_id: str, *services: str) -> None:
        """What strategy, risk and execution do when they read START_TRADING."""
        for service in services or ("strategy", "risk", "execution"):
            await self.store.pool.execute("INSERT INTO session_participants VALUES ($1, $2)", session_id, service)

    async def let_go(self, session_id: str) -> None:
        """What risk does when it reads STOP_TRADING: from then on it approves nothing of the session."""
        await self.store.pool.execute(
            "INSERT INTO inbox SELECT 'risk', event_id FROM events WHERE session_id = $1 AND type = 'STOP_TRADING'",
            session_id,
        )

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


async def eventually(question: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """The first answer that is true. Fails where there is none for long: an upper bound, not a measurement."""
    async with asyncio.timeout(seconds):
        while not (answer := await question()):
            await asyncio.sleep(0.01)
        return answer


async def register(store: Store) -> None:
    indices = [
        Instrument(
            instrument_id=number, symbol=symbol, kind="INDEX", market_class="index", underlying=symbol,
            tick_size_paise=5,
        )
        for number, symbol in enumerate(("BANKNIFTY", "NIFTY"), 1)
    ]  # fmt: skip
    async with store.pool.acquire() as connection:
        await register_instruments(connection, indices, aliases={"NIFTYBANK": "BANKNIFTY"})
