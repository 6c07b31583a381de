"""The audit of a namespace, with what is still spooled brought into it first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from prometheus_client import CollectorRegistry

from services.cli.output import say
from services.cli.place import find_database, find_namespace, state_dir
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
    """Raises Unavailable where no database is there."""
    chosen = namespace if namespace is not None else find_namespace(stack)
    timers, folder = wall_timers(), audit_folder(state_dir(), chosen)
    store = await Store.connect(find_database(), namespace=chosen, producer="audit", timers=timers, pool_size=1)
    try:
        book = audit_book(store)
        try:
            await AuditKeeper(folder, book, None, timers=timers, registry=CollectorRegistry()).take_in()
        except asyncpg.InsufficientPrivilegeError:
            say(f"what waits in {folder} is left there: this database user may only read the audit")
        yield OpenAudit(book, folder)
    finally:
        await store.close()
