"""Nobody has engaged the kill switch: ours, by its file and in the book, nor the broker's own, behind which no order
leaves, exits included."""

import asyncio

from tradebus.preflight.gate import Facts, GateAnswer
from tradebus.store.books.kill_switch import KILL_FILE, reason_in


async def ask(facts: Facts) -> GateAnswer:
    reason = await asyncio.to_thread(reason_in, facts.state_dir / KILL_FILE)
    if reason is None and facts.switch is not None:
        stands = await facts.switch.read()
        reason = stands.reason if stands is not None and stands.engaged else None
    if reason is not None:
        return GateAnswer(f"it is engaged ({reason})", "look why, then release it: `tradebus kill --reset`")
    if await facts.broker.account.kill_switch_engaged():
        return GateAnswer(f"{facts.name}'s own is engaged", f"look why, then release it at {facts.name}")
    where = "" if facts.switch is not None else " by its file; no book of record answers here"
    return GateAnswer(f"it is not engaged{where}")
