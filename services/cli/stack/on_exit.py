"""What becomes of the sessions when a standing stack is told to end (Ctrl-C, SIGTERM)."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import TYPE_CHECKING

from services.cli.output import say
from tradebus.kernel.errors import TradebusError

if TYPE_CHECKING:
    from services.cli.client import GatewayClient

_STOP_SECONDS = 20.0
_OVER = ("STOPPED", "FAILED")


class OnExit(StrEnum):
    STOP = "stop"  # positions are closed and the sessions end
    KEEP = "keep"  # sessions go on at the next start; positions at brokers keep their stops there


async def end_sessions(open_client: Callable[[], AbstractAsyncContextManager["GatewayClient"]], how: OnExit) -> None:
    """While there is still somebody to do it. Says what could not be done."""
    try:
        async with open_client() as client:
            found = (await client.get("/api/sessions", limit=1000))["sessions"]
            alive = [one for one in found if one["status"] not in _OVER]
            if not alive:
                return
            if how is OnExit.KEEP:
                say(
                    f"{len(alive)} session(s) go on at the next `tradebus up`; until then positions at brokers have "
                    "their stops there, and nobody watches those on paper"
                )
                return
            say(f"stopping {len(alive)} session(s), closing their positions; Ctrl-C again does not wait")
            for one in alive:
                await client.command("STOP_TRADING", user_id=one["user_id"], data={"reason": "tradebus up ended"})
            for one in alive:
                await client.until(one["session_id"], "STOPPED", seconds=_STOP_SECONDS)
    except TradebusError as error:
        say(f"not every session has stopped: {error}. What is open goes on at the next `tradebus up`")
