"""The audit of a namespace, with what is still spooled brought into it first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from prometheus_client import CollectorRegistry

from services.cli.output import say
from services.cli.place import find_run, open_database, state_dir
from services.cli.stack.rundir import alive_runs, read_run, runs_folder
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
    chosen, root = _place(stack, namespace)
    timers, folder = wall_timers(), audit_folder(root, chosen)
    with ExitStack() as database:
        url = await asyncio.to_thread(database.enter_context, open_database())
        store = await Store.connect(url, namespace=chosen, producer="audit", timers=timers, pool_size=1)
        async with _taken_in(store, folder, timers) as audit:
            yield audit


def _place(stack: str | None, namespace: str | None) -> tuple[str, Path]:
    """The namespace, and the state folder of whoever trades in it: a stack's may be its run's own. Raises Unavailable
    for a stack that does not run."""
    root = state_dir()
    if namespace is None and (stack is not None or alive_runs(root)):
        standing = find_run(stack)
        return standing.namespace, Path(standing.state_dir)
    folders = runs_folder(root).iterdir() if runs_folder(root).is_dir() else ()
    known = {run.namespace: run for folder in folders if (run := read_run(folder)) is not None}
    last = read_run(runs_folder(root) / "default")
    chosen = namespace if namespace is not None else last.namespace if last is not None else ""
    return chosen, Path(known[chosen].state_dir) if chosen in known else root


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
