"""Server addresses: passwords go in on the way to a server, and never come out."""

import pytest
from pydantic import SecretStr

from tradebus.config.settings import with_password, without_password


def test_a_password_is_put_in_where_there_is_none() -> None:
    secret = SecretStr("a/b")
    assert with_password("postgresql://me@db:5432/book", secret) == "postgresql://me:a%2Fb@db:5432/book"
    assert with_password("redis://:own@bus/0", secret) == "redis://:own@bus/0"
    assert with_password("redis://bus/0", None) == "redis://bus/0"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter2@db:5432/book?password=hunter2", "postgresql://db:5432/book"),
        ("unix:///run/redis.sock", "unix:/run/redis.sock"),
        ("hunter2", "(not a URL)"),
        ("me:hunter2@db/book", "(not a URL)"),
        ("redis://:hunter2@[x/0", "(not a URL)"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_what_is_no_address_is_left_for_whoever_connects_to_name() -> None:
    assert with_password("redis://[x/0", SecretStr("hunter2")) == "redis://[x/0"
