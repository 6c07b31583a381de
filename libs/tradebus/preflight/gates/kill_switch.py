"""Nobody has engaged the kill switch."""

from tradebus.preflight.gate import Facts, GateAnswer
from tradebus.store.books.kill_switch import KILL_FILE, reason_in


async def ask(facts: Facts) -> GateAnswer:
    reason = reason_in(facts.state_dir / KILL_FILE)
    if reason is not None:
        return GateAnswer(f"it is engaged ({reason})", "look why, then release it: `tradebus kill --reset`")
    return GateAnswer("it is not engaged")
