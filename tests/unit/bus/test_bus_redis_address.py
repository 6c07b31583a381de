"""A Redis URL is read as redis-py reads it."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from tradebus.bus.redis.address import RedisAddress, address_of

WORDS = st.text(st.sampled_from("aZ09-_.~@:/?#[]%+ é"), max_size=8)
HOSTS = st.sampled_from(["127.0.0.1", "redis", "cache.example.com", "[::1]", "My-Host", ""])
PORTS = st.sampled_from(["", ":6379", ":1", ":65535", ":65536", ":0", ":x", ":"])
PATHS = st.sampled_from(["", "/", "/0", "/15", "/x", "//3", "/-1", "/%31", "/1/2", "/run/redis.sock", "/a%20b"])
QUERIES = st.sampled_from(
    ["", "?db=3", "?db=x", "?db=", "?db=2&db=4", "?ssl_ca_certs=/a%20b.pem", "?ssl_cert_reqs=none&ssl_keyfile=k"]
)  # fmt: skip


@st.composite
def urls(draw):
    scheme = draw(st.sampled_from(["redis", "rediss", "unix", "REDIS", "http", ""]))
    username, password = (quote(draw(WORDS), safe="") for _ in range(2))
    access = draw(st.sampled_from(["", f"{username}@", f":{password}@", f"{username}:{password}@"]))
    return f"{scheme}://{access}{draw(HOSTS)}{draw(PORTS)}{draw(PATHS)}{draw(QUERIES)}"


def by_redis_py(url):
    found = dict(parse_url(url))
    kind = found.pop("connection_class", None)
    path = found.get("path") if kind is UnixDomainSocketConnection else None
    secured = {name: text for name, text in found.items() if name.startswith("ssl_")}
    return RedisAddress(
        host=found.get("host"), port=found.get("port"), path=path, username=found.get("username"),
        password=found.get("password"), database=found.get("db") or 0, tls=secured if kind is SSLConnection else None,
    )  # fmt: skip


@given(urls())
@settings(max_examples=500)
def test_it_is_read_as_redis_py_reads_it(url):
    try:
        expected = by_redis_py(url)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 -- the text is nobody's: who asks says what is to be written
            address_of(url)
        return
    found = address_of(url)
    tls = None if found.tls is None else {name: text for name, text in found.tls.items() if name.startswith("ssl_")}
    assert (found.host, found.port, found.path) == (expected.host, expected.port, expected.path)
    assert (found.username, found.password) == (expected.username, expected.password)
    assert (found.database, tls) == (expected.database, expected.tls)


def test_the_password_is_in_no_text_of_it():
    assert "hunter2" not in repr(address_of("redis://user:hunter2@127.0.0.1/1"))
