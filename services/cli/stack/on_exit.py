"""What becomes of the sessions when a standing stack is told to end (Ctrl-C, SIGTERM)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from services.cli.output import say
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import TradebusError, Unavailable

if TYPE_CHECKING:
    from services.cli.client import GatewayClient

SECONDS = 20.0
_POLL_SECONDS = 0.2
_OVER = ("STOPPED", "FAILED")
_REASON = {"reason": "the stack was told to end"}


class OnExit(StrEnum):
    STOP = "stop"  # positions are closed and the sessions end
    FLATTEN = "flatten"  # positions are closed; the sessions are paused, and there at the next start
    KEEP = "keep"  # sessions go on at the next start; positions at brokers keep their stops there


async def end_sessions(
    open_client: Callable[[], AbstractAsyncContextManager["GatewayClient"]], how: OnExit, *, seconds: float = SECONDS
) -> bool:
    """While there is still somebody to do it, in so many seconds all together. Says what could not be done; whether
    nothing is left of it."""
    try:
        async with open_client() as client:
            found = (await client.get("/api/sessions", limit=1000))["sessions"]
            alive = [one for one in found if one["status"] not in _OVER]
            if not alive:
                return True
            if how is OnExit.KEEP:
                say(
                    f"{len(alive)} session(s) go on at the next `tradebus up`; until then positions at brokers have "
                    "their stops there, and nobody watches those on paper"
                )
                return True
            ended_ns = monotonic_ns() + int(seconds * 1e9)
            await (_stop if how is OnExit.STOP else _flatten)(client, alive, ended_ns=ended_ns)
    except TradebusError as error:
        say(f"not every position is closed: {error}. What is open goes on at the next `tradebus up`")
        return False
    return True


async def wait_and_end(
    open_client: Callable[[], AbstractAsyncContextManager["GatewayClient"]], how: OnExit, *, seconds: float
) -> None:
    """Until it is told to end: then what is to become of the sessions, whose services live as long. Raises Unavailable
    where positions are left."""
    say(f"sessions at the end of the stack: {how}")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not await end_sessions(open_client, how, seconds=seconds):
            raise Unavailable("the stack ends, and positions may be open: look at the account") from None


async def _stop(client: "GatewayClient", alive: Sequence[Mapping[str, Any]], *, ended_ns: int) -> None:
    say(f"stopping {len(alive)} session(s), closing their positions; Ctrl-C again does not wait")
    for one in alive:
        await client.command("STOP_TRADING", user_id=one["user_id"], data=_REASON)
    for one in alive:
        await client.until(one["session_id"], "STOPPED", seconds=max(0.0, (ended_ns - monotonic_ns()) / 1e9))


async def _flatten(client: "GatewayClient", alive: Sequence[Mapping[str, Any]], *, ended_ns: int) -> None:
    """Paused first: what is closed must not be opened again before the end."""
    say(f"closing the positions of {len(alive)} session(s), which are paused then; Ctrl-C again does not wait")
    for action in ("PAUSE_TRADING", "FLATTEN"):
        for one in alive:
            await client.command(action, user_id=one["user_id"], data=_REASON)
    while held := await _held(client):
        if monotonic_ns() > ended_ns:
            raise Unavailable(f"still held: {', '.join(held)}")
        await asyncio.sleep(_POLL_SECONDS)
    say("flat; `tradebus resume USER` at the next start")


async def _held(client: "GatewayClient") -> list[str]:
    portfolio = (await client.get("/api/portfolio", limit=1000))["portfolio"]
    return [f"{one['quantity']} {one['symbol']}" for session in portfolio for one in session["positions"]]
