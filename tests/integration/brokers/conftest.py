"""Brokers played by hand, for the tests of their adapters."""

import pytest
from testkit.dhan_desk import fake_dhan
from testkit.kite_server import KiteServer
from testkit.upstox_server import UpstoxServer


@pytest.fixture(scope="module")
def dhan_server():
    with fake_dhan() as server:
        yield server


@pytest.fixture
def dhan(dhan_server):
    dhan_server.answers.clear()
    dhan_server.asked.clear()
    return dhan_server


@pytest.fixture
def kite():
    with KiteServer() as server:
        yield server


@pytest.fixture
def upstox():
    with UpstoxServer() as server:
        yield server


@pytest.fixture
def client(upstox):
    """Of the server above; the tests of other brokers have their own."""
    made = upstox.client()
    yield made
    made.close()
