"""Entries and exits of two accounts, while the third is asked for the same whether its face hangs or not."""

import asyncio
from dataclasses import dataclass, field

from services.cli.bench.accounts.heard import CLOSED, ENTRY_PLACED, EXIT_PLACED, PROTECTED
from services.cli.bench.accounts.standing import HANGING, OTHERS, AccountsStack
from tradebus.contracts.risk import EntryApproved
from tradebus.kernel.clock import monotonic_ns

BLOCK_SECONDS = 20.0
# Of one account; four order calls each, under what Kite takes in a minute.
ROUND_TRIPS_A_SECOND = 1.4
_AT_ONCE = 6  # entries of the third account at the beginning: more than may be unanswered
_THIRD_EVERY_SECONDS = 2.0
_THIRD_VALID_SECONDS = 20.0


@dataclass(slots=True)
class Latencies:
    """From the intent's publishing to the broker's acceptance in the order events, in ns."""

    entries: list[int] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)

    def add(self, other: "Latencies") -> None:
        self.entries += other.entries
        self.exits += other.exits


async def block(stack: AccountsStack, *, hang: bool, seconds: float = BLOCK_SECONDS) -> Latencies:
    """One stretch of trading, from a market in which nobody holds anything to the same again."""
    held = [await stack.opened(HANGING)]
    if hang:
        await stack.hang()
    until_ns = monotonic_ns() + int(seconds * 1e9)
    found = Latencies()
    apart_seconds = 1 / ROUND_TRIPS_A_SECOND / len(OTHERS)
    await asyncio.gather(
        _third(stack, held, until_ns),
        *(
            _trade(stack, face, found, until_ns=until_ns, delay_seconds=number * apart_seconds)
            for number, face in enumerate(OTHERS)
        ),
    )
    await stack.answer()
    await stack.leave(held[1:])
    await stack.settled()
    return found


async def _third(stack: AccountsStack, held: list[EntryApproved], until_ns: int) -> None:
    """An exit, more entries than may be under way, and one more now and then."""
    await stack.leave(held[:1])
    for _ in range(_AT_ONCE):
        held.append(await stack.entry(HANGING, valid_seconds=_THIRD_VALID_SECONDS))
    await stack.send(held[1:])
    while monotonic_ns() + _THIRD_EVERY_SECONDS * 1e9 < until_ns:
        await asyncio.sleep(_THIRD_EVERY_SECONDS)
        held.append(await stack.entry(HANGING, valid_seconds=_THIRD_VALID_SECONDS))
        await stack.send(held[-1:])


async def _trade(stack: AccountsStack, face: str, found: Latencies, *, until_ns: int, delay_seconds: float) -> None:
    """Round trips, each when it is due; one that is late moves the next."""
    due_ns = monotonic_ns() + int(delay_seconds * 1e9)
    while due_ns < until_ns:
        await asyncio.sleep(max(0, due_ns - monotonic_ns()) / 1e9)
        due_ns = max(due_ns, monotonic_ns()) + int(1e9 / ROUND_TRIPS_A_SECOND)
        entry = await stack.entry(face)
        pos_id = entry.pos_id or ""
        asked_ns = monotonic_ns()
        await stack.send([entry])
        found.entries.append(await stack.heard.moment(pos_id, ENTRY_PLACED) - asked_ns)
        await stack.heard.moment(pos_id, PROTECTED)
        asked_ns = monotonic_ns()
        await stack.leave([entry])
        found.exits.append(await stack.heard.moment(pos_id, EXIT_PLACED) - asked_ns)
        await stack.heard.moment(pos_id, CLOSED)
