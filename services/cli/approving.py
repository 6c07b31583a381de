"""`tradebus approvals`: what waits for a person, and the person's word."""

import asyncio
import getpass
from pathlib import Path
from typing import Any

from services.cli.client import GatewayClient
from services.cli.output import print_json, run_async
from services.cli.place import find_gateway
from tradebus.kernel.errors import InvalidInput, TradebusError, Unavailable

_ANSWER_SECONDS = 15.0
_POLL_SECONDS = 0.1
_LOOKED_AT = 500


def show_waiting(user: str | None, *, stack: str | None, url: str | None, token_file: Path | None, json: bool) -> None:
    """Everything that waits, of one user where one is given."""

    async def read() -> list[dict[str, Any]]:
        async with find_gateway(stack, url=url, token_file=token_file) as client:
            query = {} if user is None else {"user_id": user}
            return list((await client.get("/api/approvals", limit=_LOOKED_AT, **query))["approvals"])

    found = run_async(read())
    if json:
        print_json({"command": "approvals list", "approvals": found})
        return
    for one in found:
        print("\n".join(waiting_lines(one)))
    if not found:
        print("nothing waits for a person")


def waiting_lines(one: dict[str, Any]) -> list[str]:
    """What waits, a line for each of its entries."""
    head = f"{one['approval_id']}  user {one['user_id']}, until {one['expires_at']}, {one['quantity']} units"
    return [head, *(f"  {_entry(entry)}" for entry in one["entries"])]


def _entry(entry: dict[str, Any]) -> str:
    target = "" if entry["target"] is None else f", target {entry['target']}"
    return (
        f"{entry['strategy']}: {entry['side']} {entry['symbol']} at {entry['price']}, stop {entry['stop']}{target}: "
        f"{entry['reason']}"
    )


def give_word(
    action: str, approval: str, *, by: str | None, reason: str, stack: str | None, url: str | None,
    token_file: Path | None, json: bool,
) -> None:  # fmt: skip
    """Says yes or no, waits for what becomes of it, and says that. Raises TradebusError where a rule refuses it now."""

    async def send() -> dict[str, Any]:
        async with find_gateway(stack, url=url, token_file=token_file) as client:
            waiting = await _waiting(client, approval)
            data = {"approval_id": approval, "by": by or getpass.getuser(), "reason": reason}
            reply = await client.command(action, user_id=waiting["user_id"], data=data)
            return {"command": action, **reply, "verdict": await outcome_of(client, waiting)}

    done = run_async(send())
    if json:
        print_json(done)
    verdict = done["verdict"]
    if action == "APPROVE_ENTRY" and verdict["verdict"] == "BLOCK":
        raise TradebusError(f"refused by risk by now, {verdict['rule']}: {verdict['detail']}")
    if not json:
        what = "let in" if verdict["verdict"] in ("ALLOW", "REDUCE") else "refused"
        size = f": {verdict['quantity']} {verdict['symbol']}" if verdict["quantity"] else f": {verdict['symbol']}"
        print(f"{what}{size}; {verdict['detail']}")


async def _waiting(client: GatewayClient, approval: str) -> dict[str, Any]:
    found = (await client.get("/api/approvals", limit=_LOOKED_AT))["approvals"]
    for one in found:
        if one["approval_id"] == approval:
            return dict(one)
    raise InvalidInput(
        f"no entry waits under {approval[:64]!r}: it was answered, has expired, or its session has ended; "
        "`tradebus approvals list` shows what waits"
    )


async def outcome_of(client: GatewayClient, waiting: dict[str, Any]) -> dict[str, Any]:
    """Risk's verdict on the first entry after it has waited. Raises Unavailable where none comes."""
    first = waiting["entries"][0]["signal_id"]
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            while True:
                rows = (await client.get("/api/risk", session_id=waiting["session_id"], limit=_LOOKED_AT))["risk"]
                for row in rows:
                    if row["signal_id"] == first and row["verdict"] != "WAIT":
                        return dict(row)
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise Unavailable(
            f"risk has not answered in {_ANSWER_SECONDS:g} s: is the service running? Your word is kept, and counts "
            "until the entry expires"
        ) from None
