"""Makes and upgrades a namespace's schema: numbered SQL files, each once, in order, in a transaction of its own.

Invariants (tested on real servers):
- Running again applies nothing; running twice at once applies each file once (a Postgres advisory lock).
- A file that was applied is never different afterwards: its checksum is kept, an edited file is refused.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from time import sleep

import psycopg
from psycopg import sql

from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.ids import lock_key
from tradebus.store.namespaces import namespace_of, schema_name
from tradebus.store.postgres.address import describe
from tradebus.store.postgres.grants import grant_to_services

_MIGRATIONS = files("tradebus.store") / "sql" / "migrations"
_JOURNAL = "schema_migrations"
_RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `name` is its file name without .sql; the checksum ignores how lines end."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()


def migrations(folder: Traversable = _MIGRATIONS) -> list[Migration]:
    """The files of a folder in the order they apply. Raises ValueError where two have one number."""
    found = sorted(
        (Migration(entry.name.removesuffix(".sql"), entry.read_text("utf-8")) for entry in folder.iterdir()
         if entry.name.endswith(".sql")),
        key=lambda migration: migration.name,
    )  # fmt: skip
    numbers = [migration.name.split("_", 1)[0] for migration in found]
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"two migrations have one number: {numbers}")
    return found


def migrate(
    database_url: str, *, namespace: str, folder: Traversable = _MIGRATIONS, retry_seconds: float = _RETRY_SECONDS
) -> list[str]:
    """Brings the namespace's schema up to date; returns the names of the files applied now.

    Raises Unavailable where the server does not answer for `retry_seconds`, InvalidInput where an applied file was
    edited or is unknown.
    """
    schema = schema_name(namespace)
    wanted = migrations(folder)
    with _connection(database_url, retry_seconds=retry_seconds) as connection:
        key = lock_key(f"migrate {schema}")
        # Held to the end of the session: a migrator that dies lets go.
        connection.execute("SELECT pg_advisory_lock(%s)", [key])
        applied = _prepare(connection, schema)
        _check(wanted, applied, schema=schema)
        pending = [migration for migration in wanted if migration.name not in applied]
        for migration in pending:
            _apply(connection, migration)
        grant_to_services(connection, schema)
    return [migration.name for migration in pending]


def drop_namespace(database_url: str, *, namespace: str) -> None:
    """Deletes the namespace's schema and everything in it. Does nothing where there is none."""
    statement = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema_name(namespace)))
    with _connection(database_url) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(statement)


def list_namespaces(database_url: str) -> list[str]:
    """Every namespace that was migrated in this database, sorted; "" is the default one."""
    with _connection(database_url) as connection:
        rows = connection.execute(
            "SELECT schemaname FROM pg_tables WHERE tablename = %s AND schemaname LIKE 'tradebus%%'", [_JOURNAL]
        ).fetchall()
    found = (namespace_of(schema) for (schema,) in rows)
    return sorted(name for name in found if name is not None)


def _prepare(connection: psycopg.Connection, schema: str) -> dict[str, str]:
    """Makes the schema and its journal; returns the checksums of what was applied before."""
    known = connection.execute("SELECT to_regclass(%s)", [f"{schema}.{_JOURNAL}"]).fetchone()
    connection.execute("SELECT set_config('search_path', %s, false)", [schema])
    if known is None or known[0] is None:
        connection.execute(
            sql.SQL(
                "BEGIN; CREATE SCHEMA IF NOT EXISTS {schema}; "
                "CREATE TABLE {journal} (name text PRIMARY KEY, checksum text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT now()); COMMIT"
            ).format(schema=sql.Identifier(schema), journal=sql.Identifier(schema, _JOURNAL))
        )
        return {}
    rows = connection.execute(f"SELECT name, checksum FROM {_JOURNAL}").fetchall()
    return dict(rows)


def _check(wanted: list[Migration], applied: dict[str, str], *, schema: str) -> None:
    by_name = {migration.name: migration for migration in wanted}
    for name in sorted(applied):
        if name not in by_name:
            raise InvalidInput(f"schema {schema}: {name} was applied by a newer tradebus; upgrade this one")
        if applied[name] != by_name[name].checksum:
            raise InvalidInput(
                f"schema {schema}: migration {name} was edited after it had been applied; "
                "restore the file and put the change into a new one"
            )


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    with connection.transaction():
        # Without parameters psycopg sends the whole file at once, as psql would.
        connection.execute(migration.text.encode())
        connection.execute(
            f"INSERT INTO {_JOURNAL} (name, checksum) VALUES (%s, %s)", [migration.name, migration.checksum]
        )


@contextmanager
def _connection(database_url: str, *, retry_seconds: float = _RETRY_SECONDS) -> Iterator[psycopg.Connection]:
    """Waits for the server for some seconds. Raises Unavailable in one line without secrets."""
    where = describe(database_url)
    give_up_ns = monotonic_ns() + int(retry_seconds * 1e9)
    delay_seconds = 0.05
    while True:
        try:
            connection = psycopg.connect(database_url, autocommit=True, connect_timeout=5)
            break
        except psycopg.ProgrammingError as error:
            raise InvalidInput(f"DATABASE_URL: {_last_line(error)}") from error
        except psycopg.OperationalError as error:
            # A server that answers, but not to us (password, database name), will not change its mind.
            if ("FATAL" in str(error) and "starting up" not in str(error)) or monotonic_ns() > give_up_ns:
                raise Unavailable(f"{where}: {_last_line(error)}; check DATABASE_URL") from error
            sleep(delay_seconds)
            delay_seconds = min(1.0, 2 * delay_seconds)
    with connection:
        yield connection


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
