"""Execution is killed with positions in all accounts and started again: until the other two accept entries."""

from services.cli.bench.accounts.heard import ENTRY_PLACED
from services.cli.bench.accounts.standing import HANGING, OTHERS, WAIT_SECONDS, AccountsStack
from services.cli.stack.children import started
from tradebus.kernel.clock import monotonic_ns


async def start(stack: AccountsStack, *, hang: bool) -> list[int]:
    """From the start of the process to each account's acceptance, in ns."""
    held = [await stack.opened(face) for face in (*OTHERS, HANGING)]
    await stack.kill_execution()
    if hang:
        await stack.hang()
    entries = [await stack.entry(face) for face in OTHERS]
    await stack.send(entries)
    began_ns = monotonic_ns()
    await started(stack.execution, seconds=WAIT_SECONDS)
    found = [await stack.heard.moment(entry.pos_id or "", ENTRY_PLACED) - began_ns for entry in entries]
    await stack.answer()
    await stack.leave([*held, *entries])
    await stack.settled()
    return found
