"""`tradebus bench accounts`: one broker's face answers every request twelve seconds late; the other two accounts trade.

    blocks      without │ with │ with │ without …   intent ─► accepted by the broker, entries and exits
    starts      execution killed and started        process ─► first entry accepted
    kills       with the face hanging               command ─► out of every account's sender

Both kinds take turns in one run, so that whatever else the machine does meets both.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from services.cli.bench.accounts.figures import figures
from services.cli.bench.accounts.killing import kill
from services.cli.bench.accounts.standing import HANGING, standing
from services.cli.bench.accounts.starting import start
from services.cli.bench.accounts.trading import Latencies, block
from services.cli.output import say
from tradebus.runtime.embedded import EmbeddedServers, ServerUrls

PAIRS, STARTS, KILLS = 5, 8, 3
_WARM_SECONDS = 5.0


def measure() -> dict[str, Any]:
    """A row for each figure: milliseconds without and with the fault, their ratio; and whether all is within bounds."""
    with tempfile.TemporaryDirectory(prefix="tradebus-bench-") as folder, EmbeddedServers(Path(folder)) as servers:
        return asyncio.run(_measure(servers.for_services, Path(folder)))


async def _measure(urls: ServerUrls, folder: Path) -> dict[str, Any]:
    async with standing(urls, folder) as stack:
        await block(stack, hang=False, seconds=_WARM_SECONDS)
        trading: dict[bool, list[Latencies]] = {False: [], True: []}
        for hang in _turns(PAIRS):
            say(f"  trading, {_said(hang)} …")
            trading[hang].append(await block(stack, hang=hang))
        starts: dict[bool, list[list[int]]] = {False: [], True: []}
        for hang in _turns(STARTS):
            say(f"  starting, {_said(hang)} …")
            starts[hang].append(await start(stack, hang=hang))
        say("  killing …")
        kills = [await kill(stack) for _ in range(KILLS)]
    return figures(trading, starts, kills)


def _turns(pairs: int) -> list[bool]:
    """Without and with, in turns whose order changes: what drifts through a run meets both alike."""
    return [hang for number in range(pairs) for hang in ((False, True) if number % 2 == 0 else (True, False))]


def _said(hang: bool) -> str:
    return f"{HANGING} hangs" if hang else "everybody answers"
