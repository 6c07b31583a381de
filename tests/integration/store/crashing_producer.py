"""Commits twice, then kills itself inside a third transaction, before anything is published. Run by a test."""

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from testkit.pauses import pause
from testkit.waiting import WALL_TIMERS

from tradebus.contracts.streams import COMMANDS
from tradebus.store.store import Store


async def main() -> None:
    store = await Store.connect(
        os.environ["DATABASE_URL"], namespace=sys.argv[1], producer="crashing-1", timers=WALL_TIMERS
    )
    for numbers in ((1, 2), (3,)):
        async with store.begin() as transaction:
            for number in numbers:
                transaction.emit(COMMANDS.name, pause(number))
    async with store.begin() as transaction:
        transaction.emit(COMMANDS.name, pause(4))
        await transaction.write_emitted()
        os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main())
