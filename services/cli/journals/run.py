"""Writes the journals of a window from the book: all as of one moment, each file whole or not at all."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import asyncpg

from services.cli.journals.files import JOURNALS, JournalFile, writer_of
from services.cli.journals.moments import window_ns
from services.cli.output import print_json, say
from services.cli.place import book_of, open_database
from tradebus.kernel.errors import InvalidInput
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

_SQL = load_queries("services.cli.journals", "journals")
_ROWS_READ = 2_000
_TOLD_EVERY = 100_000
_PART = ".part"


async def run_export(
    *, from_text: str, to_text: str, folder: Path, only: Sequence[str], user: str | None, overwrite: bool,
    stack: str | None, namespace: str | None, json: bool,
) -> None:  # fmt: skip
    """Raises InvalidInput for what cannot be written or asked for, Unavailable where there is no such book."""
    window = window_ns(from_text, to_text)
    journals = _chosen(only)
    _make(folder, journals, overwrite=overwrite)
    with ExitStack() as database:
        url = database.enter_context(open_database())
        store = await Store.connect(
            url, namespace=book_of(stack, namespace)[0], producer="export", timers=wall_timers(), pool_size=1
        )
        try:
            rows = await write_journals(store, journals, folder, window=window, user=user)
        finally:
            await store.close()
    for journal in journals:
        say(f"{folder / journal.file}: {rows[journal.file]:,} rows - {journal.what}")
    if json:
        print_json({"folder": str(folder), "rows": rows})


async def write_journals(
    store: Store, journals: Sequence[JournalFile], folder: Path, *, window: tuple[int, int], user: str | None
) -> dict[str, int]:
    """Rows by file. A file takes the place of what was there once all are written."""
    rows: dict[str, int] = {}
    parts = {journal.file: folder / f"{journal.file}{_PART}" for journal in journals}
    try:
        async with (
            store.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            for journal in journals:
                rows[journal.file] = await _write(connection, journal, parts[journal.file], window=window, user=user)
        for name, part in parts.items():
            os.replace(part, folder / name)
    except OSError as error:
        raise InvalidInput(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return rows


async def _write(
    connection: asyncpg.Connection, journal: JournalFile, path: Path, *, window: tuple[int, int], user: str | None
) -> int:
    count = 0
    statement = await connection.prepare(_SQL[journal.query])
    with path.open("w", newline="", encoding="utf-8") as to:
        write = writer_of(journal, [column.name for column in statement.get_attributes()], to)
        told = _teller(journal)
        async for row in statement.cursor(*window, user, prefetch=_ROWS_READ):
            write(row)
            count += 1
            told(count)
    return count


def _teller(journal: JournalFile) -> Callable[[int], None]:
    def tell(count: int) -> None:
        if count % _TOLD_EVERY == 0:
            say(f"{journal.file}: {count:,} rows so far")

    return tell


def _chosen(only: Sequence[str]) -> list[JournalFile]:
    names = [part.strip() for one in only for part in one.split(",") if part.strip()]
    unknown = [name for name in names if name not in JOURNALS]
    if unknown:
        raise InvalidInput(f"--only {unknown[0]!r}: known are {', '.join(JOURNALS)}")
    return [journal for name, journal in JOURNALS.items() if not names or name in names]


def _make(folder: Path, journals: Sequence[JournalFile], *, overwrite: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{folder}: cannot be made ({error.strerror})") from error
    there = [journal.file for journal in journals if (folder / journal.file).exists()]
    if there and not overwrite:
        raise InvalidInput(f"{folder / there[0]} is there already: name another folder, or say --overwrite")
