"""One sandbox for a module: its cases are clients of one exchange and never share an account."""

from collections.abc import Iterator

import pytest

from testkit.dhan_desk import Desk, Market, dhan_market


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    with dhan_market() as made:
        yield made


@pytest.fixture(params=["sdk", "adapter"])
def desk(market: Market, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A new client, once acting through the official SDK and once through our adapter."""
    made = market.desk(request.param)
    yield made
    made.adapter.client.close()
