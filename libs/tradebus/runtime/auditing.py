"""Brings what was said to brokers from the spool into the book, beside everything else, and publishes the heads.

    spool of this process ─┐
    left behind by others ─┴─► book (a chain per account) ─► <state>/audit/NAMESPACE/heads/ACCOUNT

A head in a file is what shows that rows at the end were removed from the table: whoever keeps a copy of it elsewhere
can show that to others. Where the book is away the spool waits.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from tradebus.audit.chain import ChainHead
from tradebus.audit.exchange import BrokerExchange
from tradebus.brokers.audit.spool import Spool, left_behind
from tradebus.kernel.timers import Timers
from tradebus.runtime.patience import PASSING
from tradebus.store.books import AuditBook
from tradebus.waiting.timers import sleep

_EVERY_SECONDS = 1.0
_BATCH = 500
_HEADS = "heads"
_log = structlog.get_logger()


def audit_folder(state_dir: Path, namespace: str) -> Path:
    """Where spools and heads of a namespace lie."""
    return state_dir / "audit" / (namespace or "default")


class AuditKeeper:
    """A component of a service that talks to brokers. `spool` is this process's own, None for whoever only helps."""

    def __init__(
        self, folder: Path, book: AuditBook, spool: Spool | None, *, timers: Timers, registry: CollectorRegistry
    ) -> None:
        self._folder, self._book, self._spool, self._timers = folder, book, spool, timers
        self._trouble, self._is_unpublished = "", False
        self._taken = Counter("tradebus_audit_exchanges", "Requests to brokers put into the audit", registry=registry)
        self._waiting = Gauge("tradebus_audit_spool_bytes", "Spooled and not in the audit yet", registry=registry)
        self._left_out = Gauge(
            "tradebus_audit_left_out", "Requests not recorded: the spool had no room", registry=registry
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, then once more: the next life takes in what the book does not take now."""
        while not stop.is_set():
            await self._try()
            await sleep(self._timers, _EVERY_SECONDS, unless=stop)
        await self._try()
        if self._spool is not None:
            await asyncio.to_thread(self._spool.close)

    async def take_in(self) -> int:
        """Everything that is spooled now, but for what living processes have not let go; how many exchanges that was.
        Raises what the book's absence raises."""
        count = 0
        while self._spool is not None and (own := await self._own(self._spool)):
            count += own
        while True:
            with ExitStack() as stack:
                taken = await asyncio.to_thread(stack.enter_context, left_behind(self._folder))
                await self._keep(taken.exchanges)
            count += len(taken.exchanges)
            if not taken.files:
                return count

    async def _try(self) -> None:
        try:
            await self.take_in()
        except PASSING as error:
            self._tell(f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - trading goes on, and so does the next attempt
            self._tell(f"{type(error).__name__}: {error}")
        else:
            self._trouble = ""
        if self._spool is not None:
            self._waiting.set(self._spool.waiting_bytes)
            self._left_out.set(self._spool.left_out_total)

    async def _own(self, spool: Spool) -> int:
        """How many were put into the book."""
        taken = await asyncio.to_thread(spool.take)
        try:
            await self._keep(taken.exchanges)
        except BaseException:
            spool.put_back(taken)
            raise
        await asyncio.to_thread(spool.kept, taken)
        return len(taken.exchanges)

    async def _keep(self, exchanges: Sequence[BrokerExchange]) -> None:
        for begin in range(0, len(exchanges), _BATCH):
            batch = exchanges[begin : begin + _BATCH]
            await self._publish(await self._book.append(batch))
            self._taken.inc(len(batch))

    async def _publish(self, heads: Sequence[ChainHead]) -> None:
        """The rows are in the book: where no file can be written they are there all the same."""
        try:
            await asyncio.to_thread(publish_heads, self._folder, heads)
        except OSError as error:
            if not self._is_unpublished:
                _log.error("audit: heads cannot be published here", folder=str(self._folder), error=str(error))
            self._is_unpublished = True
        else:
            self._is_unpublished = False

    def _tell(self, problem: str) -> None:
        if problem != self._trouble:
            _log.error("audit: requests to brokers wait in the spool", folder=str(self._folder), problem=problem)
        self._trouble = problem


def publish_heads(folder: Path, heads: Sequence[ChainHead]) -> None:
    """Writes the heads that are newer than what is there. Raises OSError."""
    place = folder / _HEADS
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (place / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = {head.account: head.seq for head in published_heads(folder)}
        for head in heads:
            if head.seq > before.get(head.account, 0):
                draft = place / f".draft.{os.getpid()}"
                draft.write_text(json.dumps(asdict(head)) + "\n")
                draft.replace(place / head.account.replace("/", "_"))


def published_heads(folder: Path) -> list[ChainHead]:
    """What was published here; a file that holds no head is left out, and told."""
    found = []
    place = folder / _HEADS
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path.name.startswith("."):
            continue
        try:
            found.append(ChainHead(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError) as error:
            _log.error("audit: a published head cannot be read", file=str(path), error=str(error))
    return found
