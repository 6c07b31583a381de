"""Migrations on real servers, old and new."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.runtime.embedded import EmbeddedServers
from tradebus.store.migrate import drop_namespace, list_namespaces, migrate, migrations
from tradebus.store.namespaces import schema_name

OLDER_POSTGRES = [
    Path("/usr/lib/postgresql/15/bin"),
    Path("/opt/homebrew/opt/postgresql@15/bin"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_a.sql").write_text("CREATE TABLE a (x integer); INSERT INTO a VALUES (1);")
    (made / "0002_b.sql").write_text("-- A comment with a %s and a ; in it\nCREATE TABLE b (x integer);")
    return made


def tables(database_url: str, namespace: str) -> set[str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema_name(namespace)])
        return {name for (name,) in rows}


def test_every_file_is_applied_in_order_and_once(database_url: str, namespace: str, folder: Path) -> None:
    assert migrate(database_url, namespace=namespace, folder=folder) == ["0001_a", "0002_b"]
    assert migrate(database_url, namespace=namespace, folder=folder) == []
    (folder / "0003_c.sql").write_text("ALTER TABLE a RENAME TO c;")
    assert migrate(database_url, namespace=namespace, folder=folder) == ["0003_c"]
    assert tables(database_url, namespace) == {"b", "c", "schema_migrations"}


def test_migrators_at_once_apply_each_file_once(database_url: str, namespace: str, folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: migrate(database_url, namespace=namespace, folder=folder), range(8)))
    assert sorted(name for applied in answers for name in applied) == ["0001_a", "0002_b"]
    with psycopg.connect(database_url) as connection:
        assert connection.execute(f"SELECT count(*) FROM {schema_name(namespace)}.a").fetchone() == (1,)


def test_an_edited_file_is_refused_by_name_and_nothing_else_is_applied(
    database_url: str, namespace: str, folder: Path
) -> None:
    migrate(database_url, namespace=namespace, folder=folder)
    (folder / "0001_a.sql").write_text("CREATE TABLE a (x bigint);")
    (folder / "0003_c.sql").write_text("CREATE TABLE c (x integer);")
    with pytest.raises(InvalidInput, match="0001_a was edited"):
        migrate(database_url, namespace=namespace, folder=folder)
    assert "c" not in tables(database_url, namespace)


def test_other_line_ends_are_no_edit(database_url: str, namespace: str, folder: Path) -> None:
    migrate(database_url, namespace=namespace, folder=folder)
    file = folder / "0002_b.sql"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert migrate(database_url, namespace=namespace, folder=folder) == []


def test_a_schema_of_a_newer_version_is_left_alone(database_url: str, namespace: str, folder: Path) -> None:
    migrate(database_url, namespace=namespace, folder=folder)
    (folder / "0002_b.sql").unlink()
    with pytest.raises(InvalidInput, match="0002_b was applied by a newer tradebus"):
        migrate(database_url, namespace=namespace, folder=folder)


def test_a_file_that_fails_leaves_nothing_of_itself_and_keeps_those_before(
    database_url: str, namespace: str, folder: Path
) -> None:
    (folder / "0002_b.sql").write_text("CREATE TABLE b (x integer); SELECT 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(database_url, namespace=namespace, folder=folder)
    assert tables(database_url, namespace) == {"a", "schema_migrations"}
    (folder / "0002_b.sql").write_text("CREATE TABLE b (x integer);")
    assert migrate(database_url, namespace=namespace, folder=folder) == ["0002_b"]


def test_a_killed_migrator_leaves_the_lock_free_and_no_half_file(
    database_url: str, namespace: str, folder: Path
) -> None:
    (folder / "0002_b.sql").write_text("CREATE TABLE b (x integer); SELECT pg_sleep(3600);")  # until it is killed
    program = (
        "import sys, pathlib; from tradebus.store.migrate import migrate;"
        "migrate(sys.argv[1], namespace=sys.argv[2], folder=pathlib.Path(sys.argv[3]))"
    )
    migrator = subprocess.Popen([sys.executable, "-c", program, database_url, namespace, str(folder)])
    with psycopg.connect(database_url, autocommit=True) as connection:
        sleeping: list[int] = []
        while not sleeping:
            assert migrator.poll() is None
            found = connection.execute("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'").fetchall()
            sleeping = [pid for (pid,) in found]
        os.kill(migrator.pid, signal.SIGKILL)
        migrator.wait()
        # A server notices a lost client at its next word to it; an operator would end the session likewise.
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", sleeping)
    (folder / "0002_b.sql").write_text("CREATE TABLE b (x integer);")
    assert migrate(database_url, namespace=namespace, folder=folder) == ["0002_b"]


def test_two_files_with_one_number_are_refused(folder: Path) -> None:
    (folder / "0002_c.sql").write_text("SELECT 1")
    with pytest.raises(ValueError, match="one number"):
        migrations(folder)


def test_our_own_files_are_numbered_without_a_gap() -> None:
    numbers = [int(migration.name.split("_", 1)[0]) for migration in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_namespaces_are_listed_and_dropped_one_by_one(database_url: str, namespace: str, folder: Path) -> None:
    names = [f"{namespace}_{suffix}" for suffix in ("a", "b")]
    for name in names:
        migrate(database_url, namespace=name, folder=folder)
    try:
        assert set(names) <= set(list_namespaces(database_url))
        drop_namespace(database_url, namespace=names[0])
        drop_namespace(database_url, namespace=names[0])
        found = list_namespaces(database_url)
        assert names[0] not in found
        assert names[1] in found
    finally:
        drop_namespace(database_url, namespace=names[1])


def test_no_server_is_one_line_after_a_while() -> None:
    with pytest.raises(Unavailable, match=r"Postgres at 127\.0\.0\.1:1, database 'book'") as told:
        migrate("postgresql://u:secret@127.0.0.1:1/book", namespace="", retry_seconds=0.1)
    assert "\n" not in str(told.value)
    assert "secret" not in str(told.value)


def test_the_schema_is_made_by_postgres_15_too(state_dir: Path) -> None:
    programs = next((found for found in OLDER_POSTGRES if (found / "initdb").exists()), None)
    if programs is None:
        pytest.skip("no Postgres 15 is installed here")
    with EmbeddedServers(state_dir, redis=False, postgres_bin=programs) as urls:
        with psycopg.connect(urls.database_url) as connection:
            assert connection.info.server_version // 10_000 == 15
        applied = migrate(urls.database_url, namespace="old")
        assert applied == [migration.name for migration in migrations()]
        assert migrate(urls.database_url, namespace="old") == []
