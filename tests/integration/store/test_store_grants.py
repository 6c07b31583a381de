"""What the role of a service may do in the book, and what not. On a server of its own: roles are the whole server's."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from testkit.messages import sample
from testkit.waiting import WALL_TIMERS

from tradebus.contracts.commands import Kill
from tradebus.contracts.streams import COMMANDS, ORDERS
from tradebus.runtime.embedded import EmbeddedServers
from tradebus.store.migrate import migrate
from tradebus.store.outbox import Outbox
from tradebus.store.postgres.grants import SERVICES, SHARED, WRITES, role_of
from tradebus.store.store import Store
from tradebus.waiting.timers import WallTimers

ROOT = Path(__file__).parents[3]
WRITE = re.compile(r"\b(INSERT) INTO ([a-z_0-9]+)|\b(UPDATE) ([a-z_0-9]+) (?:SET|AS)|\b(DELETE) FROM ([a-z_0-9]+)")
# Statements of the libraries, and the services that run them.
LIBRARIES = {
    "store/**/candles.sql": ["market_data"], "store/**/instruments.sql": ["market_data"],
    "store/**/broker_instruments.sql": ["market_data"], "brokers/paper/*.py": ["execution"],
    "store/**/store.sql": [service for service in SERVICES if service != "market_data_api"],
}  # fmt: skip
MODULES = {"market_data_api": "market_data/http"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with TemporaryDirectory(prefix="tradebus-tests-") as folder, EmbeddedServers(Path(folder), redis=False) as urls:
        with psycopg.connect(urls.database_url, autocommit=True) as owner:
            for service in SERVICES:
                made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(sql.Identifier(role_of(service)))
                owner.execute(made)
        migrate(urls.database_url, namespace="")
        yield urls.database_url


def as_service(server: str, service: str) -> str:
    parts = urlsplit(server)
    return parts._replace(netloc=f"{role_of(service)}:secret@127.0.0.1:{parts.port}").geturl()


def refused(server: str, service: str, statement: str, *parameters: object) -> bool:
    """Whether Postgres refuses it for want of rights, and for nothing else."""
    with psycopg.connect(as_service(server, service), options="-c search_path=tradebus") as connection:
        try:
            connection.execute(statement, parameters)
        except psycopg.errors.InsufficientPrivilege:
            return True
        finally:
            connection.rollback()
    return False


def writes(text: str) -> set[tuple[str, str]]:
    """(table, right) of the statements in a text."""
    found = set()
    for groups in WRITE.findall(text):
        right, table = [part for part in groups if part]
        found.add((table, right))
    return found


def statements_of(service: str) -> set[tuple[str, str]]:
    folder = ROOT / "services" / MODULES.get(service, service)
    files = [*folder.rglob("*.sql"), *folder.rglob("*.py")]
    for pattern, services in LIBRARIES.items():
        files += (ROOT / "libs/tradebus").glob(pattern) if service in services else []
    return {one for path in files for one in writes(path.read_text())}


def rights_of(service: str) -> set[tuple[str, str]]:
    """(table, right), a right to some columns like one to all."""
    rights = {**WRITES[service], **(SHARED if service != "market_data_api" else {})}
    return {(table, right.split()[0]) for table, some in rights.items() for right in some}


@pytest.mark.parametrize("service", SERVICES)
def test_every_statement_a_service_has_is_one_it_may_run(service):
    assert statements_of(service) - rights_of(service) == set()


def test_every_statement_of_a_library_is_one_that_somebody_may_run():
    given = {one for service in SERVICES for one in rights_of(service)}
    files = [*(ROOT / "libs/tradebus").rglob("*.sql"), ROOT / "libs/tradebus/brokers/paper/postgres.py"]
    for path in files:
        if "migrations" not in path.parts:
            assert writes(path.read_text()) - given == set(), path


def test_every_table_has_somebody_who_writes_it(server):
    with psycopg.connect(server) as owner:
        tables = {name for (name,) in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'tradebus'")}
    nobodys = {"schema_migrations", "decisions_by_row"}  # the owner's, and what an earlier version wrote
    assert tables - nobodys == {table for some in WRITES.values() for table in some} | set(SHARED)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_every_table_and_writes_what_is_its_own(server, service):
    with psycopg.connect(server) as owner:
        rows = owner.execute(
            """SELECT relname, right_, has_table_privilege(%s, pg_class.oid, right_) OR CASE
                   WHEN right_ IN ('DELETE', 'TRUNCATE') THEN false
                   ELSE has_any_column_privilege(%s, pg_class.oid, right_) END
               FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS right_
               WHERE relnamespace = 'tradebus'::regnamespace AND relkind = 'r'""",
            [role_of(service), role_of(service)],
        ).fetchall()
    has = {(table, right) for table, right, given in rows if given}
    assert has == {(table, "SELECT") for table, _, _ in rows} | rights_of(service)


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_can_run_commands_make_anything_or_become_another(server, service):
    for statement in (
        "COPY (SELECT 1) TO PROGRAM 'id'", "COPY sessions FROM '/etc/passwd'", "SELECT pg_read_file('/etc/passwd')",
        "CREATE TABLE mine (x integer)", "CREATE SCHEMA mine", "CREATE ROLE mine",
        "ALTER TABLE trades DISABLE TRIGGER ALL", "DROP TABLE trades", "TRUNCATE inbox",
        "ALTER TABLE outbox DISABLE ROW LEVEL SECURITY",
        "SET ROLE tradebus",
    ):  # fmt: skip
        assert refused(server, service, statement), statement
    for other in set(SERVICES) - {service}:
        assert refused(server, service, f"SET ROLE {role_of(other)}"), other


def test_a_strategy_can_neither_order_nor_approve_nor_speak_for_another(server):
    for statement in (
        "UPDATE trades SET state = 'CLOSED'", "DELETE FROM orders", "UPDATE risk_state SET session_id = 'x'",
        "UPDATE kill_switch SET engaged = false", "UPDATE sessions SET spec = '{}'",
        "INSERT INTO outbox (producer, stream, kind, body) VALUES ('risk-1', 'intents.v1.{0}', 'X', '')",
        "INSERT INTO inbox (consumer, message_id) VALUES ('execution', 'the exit that is to be missed')",
        "INSERT INTO events (event_id, stream, type, ts_event_ns, body) VALUES ('e', 'orders.v1', 'X', 1, '{}')",
    ):  # fmt: skip
        assert refused(server, "strategy", statement), statement
    for statement in (
        "INSERT INTO outbox (producer, stream, kind, body) VALUES ('strategy-1', 'signals.v1.strategy', 'X', '')",
        "INSERT INTO inbox (consumer, message_id) VALUES ('strategy', 'm')",
        "INSERT INTO events (event_id, stream, type, ts_event_ns, body)"
        " VALUES ('e', 'signals.v1.strategy', 'X', 1, '{}')",
    ):
        assert not refused(server, "strategy", statement), statement
    with psycopg.connect(server, autocommit=True, options="-c search_path=tradebus") as owner:
        owner.execute("INSERT INTO outbox (producer, stream, kind, body) VALUES ('risk-1', 'risk.v1', 'X', '')")
        with psycopg.connect(as_service(server, "strategy"), options="-c search_path=tradebus") as strategy:
            assert strategy.execute("DELETE FROM outbox").rowcount == 0
            assert strategy.execute("UPDATE outbox SET body = ''").rowcount == 0
        owner.execute("DELETE FROM outbox")


async def test_the_store_works_as_a_service_and_publishes_only_what_is_its_own(server):
    from tradebus.bus.memory.bus import MemoryBus
    from tradebus.kernel.clock import EventClock

    bus = MemoryBus(timers=WallTimers(EventClock(1)))
    store = await Store.connect(as_service(server, "gateway"), namespace="", producer="gateway-1", timers=WALL_TIMERS)
    try:
        outbox = Outbox(store, bus, timers=WALL_TIMERS)
        async with store.begin() as transaction:
            assert await transaction.first_time("gateway.commands", "message")
            transaction.emit(COMMANDS.name, sample(Kill))
        await outbox.flush()
        assert len(await bus.tail(COMMANDS.name, count=9)) == 1
        with pytest.raises(Exception, match="row-level security"):
            async with store.begin() as transaction:
                transaction.emit(ORDERS.name, sample(Kill))
    finally:
        await store.close()


def test_granting_again_changes_nothing_and_takes_back_what_is_given_no_more(server):
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute("GRANT DELETE ON tradebus.trades TO tradebus_strategy")
    assert not refused(server, "strategy", "DELETE FROM trades")
    assert migrate(server, namespace="") == []
    assert refused(server, "strategy", "DELETE FROM trades")
