"""Brokers played by hand, for the tests of their adapters."""

import pytest
from testkit.kite_server import KiteServer
from testkit.upstox_server import UpstoxServer


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
