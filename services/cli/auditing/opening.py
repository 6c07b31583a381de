"""The audit of a namespace, with what is still spooled brought into it first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from prometheus_client import CollectorRegistry

from services.cli.output import say
from services.cli.place import book_of, open_database
from tradebus.kernel.timers import Timers
from tradebus.runtime.auditing import AuditKeeper, audit_folder
from tradebus.store.books import AuditBook, audit_book
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers


@dataclass(frozen=True, slots=True)
class OpenAudit:
    """`folder` holds spools and published heads."""

    book: AuditBook
    folder: Path


@asynccontextmanager
async def opened_audit(*, stack: str | None, namespace: str | None) -> AsyncIterator[OpenAudit]:
    """Of the stack that runs, or ran here last; an embedded database is started for as long as this lasts. Raises
    Unavailable where there is no database, or the namespace is not in it."""
    chosen, root = book_of(stack, namespace)
    timers, folder = wall_timers(), audit_folder(root, chosen)
    with ExitStack() as database:
        url = await asyncio.to_thread(database.enter_context, open_database())
        store = await Store.connect(url, namespace=chosen, producer="audit", timers=timers, pool_size=1)
        async with _taken_in(store, folder, timers) as audit:
            yield audit


@asynccontextmanager
async def _taken_in(store: Store, folder: Path, timers: Timers) -> AsyncIterator[OpenAudit]:
    try:
        book = audit_book(store)
        try:
            await AuditKeeper(folder, book, None, timers=timers, registry=CollectorRegistry()).take_in()
        except asyncpg.InsufficientPrivilegeError:
            say(f"what waits in {folder} is left there: this database user may only read the audit")
        yield OpenAudit(book, folder)
    finally:
        await store.close()
