"""`tradebus bench accounts`: one broker's face answers every request twelve seconds late; the other two accounts trade.

    blocks      intent ─► accepted by the broker, entries and exits
    starts      execution killed and started ─► first entry accepted
    kills       command, with the face hanging ─► out of every account's sender

Two stacks do the same at the same time: in one a face hangs, in the other nobody does, and they take turns in it. So
whatever else the machine does meets both alike, and what differs is the hanging.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from services.cli.bench.accounts.figures import figures
from services.cli.bench.accounts.killing import kill
from services.cli.bench.accounts.standing import AccountsStack, standing
from services.cli.bench.accounts.starting import start
from services.cli.bench.accounts.trading import Latencies, block
from services.cli.output import say
from tradebus.runtime.embedded import EmbeddedServers, ServerUrls

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
BLOCKS, STARTS, KILLS = 8, 8, 5
_WARM_SECONDS = 5.0
_STACKS = ("bench_accounts_1", "bench_accounts_2")


class Once(Protocol[T_co]):
    """A block, or a start."""

    async def __call__(self, stack: AccountsStack, *, hang: bool) -> T_co: ...


def measure() -> dict[str, Any]:
    """A row for each figure: milliseconds without and with the fault, their ratio; and whether all is within bounds."""
    with tempfile.TemporaryDirectory(prefix="tradebus-bench-") as folder, EmbeddedServers(Path(folder)) as servers:
        for name in _STACKS:
            (Path(folder) / name).mkdir()
        return asyncio.run(_measure(servers.for_services, Path(folder)))


async def _measure(urls: ServerUrls, folder: Path) -> dict[str, Any]:
    first, second = _STACKS
    async with (
        standing(urls, folder / first, namespace=first) as one,
        standing(urls, folder / second, namespace=second) as two,
    ):
        stacks = [one, two]
        await asyncio.gather(*(block(stack, hang=False, seconds=_WARM_SECONDS) for stack in stacks))
        trading: dict[bool, list[Latencies]] = {False: [], True: []}
        for number in range(BLOCKS):
            say(f"  trading, {number + 1} of {BLOCKS} …")
            hangs, answers = await _both(block, stacks, number)
            trading[True].append(hangs)
            trading[False].append(answers)
        starts: dict[bool, list[list[int]]] = {False: [], True: []}
        for number in range(STARTS):
            say(f"  starting, {number + 1} of {STARTS} …")
            late, soon = await _both(start, stacks, number)
            starts[True].append(late)
            starts[False].append(soon)
        say("  killing …")
        kills = [await kill(one) for _ in range(KILLS)]
    return figures(trading, starts, kills)


async def _both(once: Once[T], stacks: Sequence[AccountsStack], number: int) -> tuple[T, T]:
    """In one stack with the face hanging, in the other without, at once; which is which changes with the number."""
    hanging, other = stacks[number % 2], stacks[1 - number % 2]
    with_it, without = await asyncio.gather(once(hanging, hang=True), once(other, hang=False))
    return with_it, without
