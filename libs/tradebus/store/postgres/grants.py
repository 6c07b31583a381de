"""What each service may do in the book, where a server has a role for it: `tradebus_risk`, made by deploy/postgres.

Everybody may read. A table is written by the services named here and by nobody else. Three tables are everybody's: in
them a service reaches its own rows only, so that code in one can neither publish nor answer for another:

    inbox    rows whose consumer is the service
    outbox   rows whose producer is an instance of the service
    events   new rows of streams that the service produces

Without such roles (embedded servers, one user for all) nothing here happens. `migrate` brings it up to date.
"""

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from tradebus.contracts.streams import STREAMS

PREFIX = "tradebus_"
SERVICES = ("market_data", "market_data_api", "strategy", "risk", "execution", "gateway")
# UPDATE belongs to INSERT … ON CONFLICT DO UPDATE and to LOCK TABLE as well.
WRITES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "market_data": {
        "feeds": ("INSERT", "UPDATE"), "candles_1m": ("INSERT", "UPDATE"), "instruments": ("INSERT", "UPDATE"),
        "instrument_aliases": ("INSERT", "UPDATE"), "broker_instruments": ("INSERT", "UPDATE"),
        "option_chains": ("INSERT", "UPDATE"), "data_gaps": ("INSERT", "UPDATE"), "broker_audit": ("INSERT",),
    },
    "market_data_api": {},
    "strategy": {
        "decision_groups": ("INSERT",), "signals": ("INSERT",), "session_participants": ("INSERT", "UPDATE"),
        # It pauses a session whose strategy file keeps dying.
        "sessions": ("UPDATE (status, reason)",),
    },
    "risk": {
        "risk_state": ("INSERT", "UPDATE"), "risk_decisions": ("INSERT",), "session_participants": ("INSERT", "UPDATE"),
        "kill_switch": ("INSERT", "UPDATE"), "risk_headroom": ("INSERT", "UPDATE", "DELETE"),
        "shared_limits": ("INSERT", "UPDATE"), "shared_limit_changes": ("INSERT",),
    },
    "execution": {
        "sessions": ("UPDATE",), "session_participants": ("INSERT", "UPDATE"), "intents": ("INSERT", "UPDATE"),
        "trades": ("INSERT", "UPDATE"), "orders": ("INSERT", "UPDATE"), "order_history": ("INSERT",),
        "fills": ("INSERT",), "execution_instances": ("INSERT", "UPDATE", "DELETE"),
        "paper_orders": ("INSERT", "UPDATE"), "paper_fills": ("INSERT",), "order_budgets": ("INSERT", "UPDATE"),
        "broker_audit": ("INSERT",), "account_standings": ("INSERT", "UPDATE"),
    },
    "gateway": {
        "sessions": ("INSERT", "UPDATE"), "kill_switch": ("INSERT", "UPDATE"), "limit_changes": ("INSERT",),
        "shared_limits": ("INSERT", "UPDATE"), "shared_limit_changes": ("INSERT",),
        "broker_audit": ("INSERT",), "signals": ("INSERT",), "alert_sinks": ("INSERT", "UPDATE"),
        "alert_deliveries": ("INSERT",),
    },
}  # fmt: skip
# What every service that writes anything keeps its messages' ends in.
SHARED: Mapping[str, Sequence[str]] = {
    "inbox": ("INSERT", "DELETE"), "outbox": ("INSERT", "UPDATE", "DELETE"), "events": ("INSERT",),
}  # fmt: skip
WITHOUT_MESSAGES = ("market_data_api",)


def role_of(service: str) -> str:
    return f"{PREFIX}{service}"


def grant_to_services(connection: psycopg.Connection, schema: str) -> None:
    """Makes the rights in this schema those above, for the roles that the server has. In one transaction."""
    rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[*map(role_of, SERVICES)]])
    roles = {name for (name,) in rows.fetchall()}
    if not roles:
        return
    tables = {
        name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
    }  # fmt: skip
    with connection.transaction():
        for service in SERVICES:
            if role_of(service) in roles:
                _grant(connection, schema, service, tables)
        for table in sorted(tables & set(SHARED)):
            _enable_row_security(connection, schema, table)


def _grant(connection: psycopg.Connection, schema: str, service: str, tables: set[str]) -> None:
    names = {"schema": sql.Identifier(schema), "role": sql.Identifier(role_of(service))}
    for statement in (
        "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
    ):
        connection.execute(sql.SQL(statement).format(**names))
    shared = {} if service in WITHOUT_MESSAGES else SHARED
    for table, rights in {**WRITES[service], **shared}.items():
        if table in tables:
            given = sql.SQL(", ").join(map(sql.SQL, rights))
            allow = sql.SQL("GRANT {rights} ON {table} TO {role}")
            connection.execute(allow.format(rights=given, table=sql.Identifier(schema, table), **names))
    for table in sorted(set(shared) & tables):
        _own_rows_only(connection, schema, service, table)


def _own_rows_only(connection: psycopg.Connection, schema: str, service: str, table: str) -> None:
    """The service changes those rows of the table that are its own."""
    streams = [stream.name for stream in STREAMS if stream.producer == service]
    own = {
        "inbox": sql.SQL("split_part(consumer, '.', 1) = {}").format(service),
        "outbox": sql.SQL("split_part(producer, '-', 1) = {}").format(service),
        "events": sql.SQL("regexp_replace(stream, '\\.\\{{?[0-9]+\\}}?$', '') = ANY({}::text[])").format(streams),
    }[table]
    names = {"table": sql.Identifier(schema, table), "role": sql.Identifier(role_of(service)), "own": own}
    for kind, clause in {
        "adds": "FOR INSERT TO {role} WITH CHECK ({own})",
        "changes": "FOR UPDATE TO {role} USING ({own}) WITH CHECK ({own})",
        "removes": "FOR DELETE TO {role} USING ({own})",
    }.items():
        policy = sql.Identifier(f"{service}_{kind}")
        connection.execute(sql.SQL("DROP POLICY IF EXISTS {policy} ON {table}").format(policy=policy, **names))
        statement = sql.SQL("CREATE POLICY {policy} ON {table} " + clause)
        connection.execute(statement.format(policy=policy, **names))


def _enable_row_security(connection: psycopg.Connection, schema: str, table: str) -> None:
    """Everybody may read all rows; the owner goes on changing everything."""
    for statement in (
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        "DROP POLICY IF EXISTS everybody_reads ON {table}",
        "CREATE POLICY everybody_reads ON {table} FOR SELECT USING (true)",
    ):
        connection.execute(sql.SQL(statement).format(table=sql.Identifier(schema, table)))
