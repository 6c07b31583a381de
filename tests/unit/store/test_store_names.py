"""Namespaces, and addresses that may be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.errors import InvalidInput
from tradebus.store.namespaces import namespace_of, schema_name
from tradebus.store.postgres.address import describe


@given(st.from_regex(r"[a-z0-9_]{0,40}", fullmatch=True))
def test_a_schema_leads_back_to_its_namespace_and_needs_no_quotes(namespace: str) -> None:
    schema = schema_name(namespace)
    assert namespace_of(schema) == namespace
    assert len(schema) <= 63, "the longest identifier Postgres keeps whole"
    assert schema == schema.lower()
    assert schema.isidentifier()


@pytest.mark.parametrize("namespace", ["Demo", "a-b", "a b", 'a"; DROP SCHEMA public; --', "x" * 41, "a\n"])
def test_a_namespace_that_would_need_quotes_is_refused_by_name(namespace: str) -> None:
    with pytest.raises(InvalidInput, match="namespace"):
        schema_name(namespace)


@pytest.mark.parametrize("schema", ["public", "tradebusx", "pg_catalog"])
def test_a_foreign_schema_has_no_namespace(schema: str) -> None:
    assert namespace_of(schema) is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://u:secret@db.example:6543/book?sslmode=require", "Postgres at db.example:6543, database 'book'"),
        ("postgres://db.example", "Postgres at db.example:5432, database 'postgres'"),
        ("postgresql://u:secret@[::1]:6543/book", "Postgres at ::1:6543, database 'book'"),
    ],
)
def test_an_address_is_described_without_user_or_password(url: str, told: str) -> None:
    assert describe(url) == told


@pytest.mark.parametrize("url", ["", "localhost:5432", "mysql://u:secret@h/d", "postgresql://u:secret@h:port/d"])
def test_what_is_no_postgres_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="DATABASE_URL") as told:
        describe(url)
    assert "secret" not in str(told.value)
