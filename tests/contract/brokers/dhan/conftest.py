"""One sandbox for a module: its cases are clients of one exchange and never share an account."""

from collections.abc import Iterator

import pytest
from testkit.dhan_market import Desk, Market, dhan_market


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    with dhan_market() as made:
        yield made


@pytest.fixture(params=["sdk", "adapter"])
def desk(market: Market, request: pytest.FixtureRequest) -> Desk:
    """A new client, once acting through the official SDK and once through our adapter."""
    return market.desk(request.param)


@pytest.fixture
def one_desk(market: Market) -> Desk:
    """A new client, for cases in which both hands act, or which only the SDK knows."""
    return market.desk()
