"""`tradebus order|close`: what is asked for, and what risk says of it."""

import asyncio
import getpass
from pathlib import Path
from typing import Any

from services.cli.client import GatewayClient
from services.cli.output import print_json, run_async
from services.cli.place import find_gateway
from tradebus.kernel.errors import InvalidInput, TradebusError, Unavailable

_WAYS = {"buy": "LONG", "sell": "SHORT"}
_REFUSED = ("BLOCK", "IGNORED")
_VERDICT_SECONDS = 15.0
_POLL_SECONDS = 0.1
_LOOKED_AT = 500


def entry_data(
    way: str, symbol: str, *, stop: str, target: str | None, price: str | None, lots: int | None, reason: str,
    by: str | None,
) -> dict[str, Any]:  # fmt: skip
    """The data of PLACE_MANUAL. Raises InvalidInput for a way that is none."""
    if way not in _WAYS:
        raise InvalidInput(f"{way[:20]!r}: say buy (a long position) or sell (a short one)")
    given = {"target": target, "price": price, "lots": lots}
    return {
        "symbol": symbol, "side": _WAYS[way], "stop": stop, "reason": reason, "by": by or getpass.getuser(),
        **{name: value for name, value in given.items() if value is not None},
    }  # fmt: skip


def close_data(position: str, *, reason: str, by: str | None) -> dict[str, Any]:
    """The data of CLOSE_POSITION."""
    return {"pos_id": position, "reason": reason, "by": by or getpass.getuser()}


def ask(
    action: str, user: str, data: dict[str, Any], *, key: str | None, stack: str | None, url: str | None,
    token_file: Path | None, json: bool,
) -> None:  # fmt: skip
    """Sends it, waits for the verdict, and says it. Raises TradebusError with the rule that refuses."""

    async def send() -> tuple[dict[str, Any], dict[str, Any]]:
        async with find_gateway(stack, url=url, token_file=token_file) as client:
            reply = await client.command(action, user_id=user, data=data, key=key)
            return reply, await verdict_on(client, reply)

    reply, verdict = run_async(send())
    if json:
        print_json({"command": action, **reply, "verdict": verdict})
    if verdict["verdict"] in _REFUSED:
        raise TradebusError(f"refused by risk, {verdict['rule']}: {verdict['detail']}")
    if not json:
        print(said(action, reply, verdict))


async def verdict_on(client: GatewayClient, reply: dict[str, Any]) -> dict[str, Any]:
    """Risk's verdict on what was asked for. Raises Unavailable where none comes."""
    try:
        async with asyncio.timeout(_VERDICT_SECONDS):
            while True:
                found = await client.get("/api/risk", session_id=reply["session_id"], limit=_LOOKED_AT)
                for row in found["risk"]:
                    if row["signal_id"] == reply["signal_id"]:
                        return dict(row)
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise Unavailable(
            f"risk has not answered in {_VERDICT_SECONDS:g} s: is the service running? The order is kept and becomes "
            "stale; sent again under its key it is not a second one"
        ) from None


def said(action: str, reply: dict[str, Any], verdict: dict[str, Any]) -> str:
    """One line for a person."""
    again = ", as before" if reply["status"] == "repeated" else ""
    if action == "CLOSE_POSITION":
        return f"closing {verdict['symbol']}{again}: position {reply['pos_id']}"
    cut = f", cut by {verdict['rule']} ({verdict['detail']})" if verdict["verdict"] == "REDUCE" else ""
    return f"approved{again}: {verdict['quantity']} {verdict['symbol']}{cut}; position {reply['pos_id']}"
