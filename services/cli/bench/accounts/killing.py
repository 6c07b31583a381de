"""KILL while one face hangs, with a position in each account: until every account's sender has let an exit out."""

import asyncio

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.cli.bench.accounts.standing import HANGING, OTHERS, AccountsStack
from services.gateway.killswitch import kill_command
from tradebus.bus.port import Outgoing
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.clock import WallClock, monotonic_ns
from tradebus.kernel.errors import Unavailable
from tradebus.store.books import kill_switch_book

_LEFT = "tradebus_execution_requests_total"
_ENTRIES_WAITING = 6
_LOOK_SECONDS = 0.002  # between two questions: who answers them is the one that sends
_SECONDS = 30.0


async def kill(stack: AccountsStack) -> dict[str, int]:
    """By account: from the command's publishing to when execution shows that a request of KILL has left, in ns. What
    is shown is asked for again and again, so that each figure is up to one question too long."""
    for face in (*OTHERS, HANGING):
        await stack.opened(face)
    await stack.hang()
    await stack.send([await stack.entry(HANGING) for _ in range(_ENTRIES_WAITING)])
    async with httpx.AsyncClient(trust_env=False) as http:
        found = await _killed(stack, http)
    await stack.answer()
    await stack.settled()
    switch = kill_switch_book(stack.store)
    async with stack.store.begin() as transaction:
        await switch.release(transaction, reason="bench", at_ns=WallClock().now_ns())
    return found


async def _killed(stack: AccountsStack, http: httpx.AsyncClient) -> dict[str, int]:
    before = await _left(stack, http)
    now_ns = WallClock().now_ns()
    command = kill_command("bench", now_ns=now_ns)
    async with stack.store.begin() as transaction:
        await kill_switch_book(stack.store).engage(transaction, reason="bench", at_ns=now_ns)
    asked_ns = monotonic_ns()
    await stack.bus.publish([Outgoing(COMMANDS.name, command.TYPE, command.to_json())], urgent=True)
    found: dict[str, int] = {}
    try:
        async with asyncio.timeout(_SECONDS):
            while len(found) < 1 + len(OTHERS):
                left = await _left(stack, http)
                for account in left.keys() - found.keys():
                    if left[account] > before.get(account, 0):
                        found[account] = monotonic_ns() - asked_ns
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        reached = ", ".join(found) or "no account"
        raise Unavailable(f"bench accounts: KILL reached {reached} in {_SECONDS:g} s") from None
    return found


async def _left(stack: AccountsStack, http: httpx.AsyncClient) -> dict[str, float]:
    """Requests of KILL that have left, by account."""
    shown = (await http.get(f"http://127.0.0.1:{stack.execution.spec.health_port}/metrics")).text
    lines = "\n".join(line for line in shown.splitlines() if line.startswith(_LEFT))  # the rest is not worth its time
    return {
        sample.labels["account"]: sample.value
        for family in text_string_to_metric_families(lines + "\n")
        for sample in family.samples
        if sample.labels["priority"] == "KILL"
    }
