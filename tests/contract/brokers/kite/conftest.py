"""One sandbox per test module, its market standing still between the steps a test asks for."""

from collections.abc import Iterator

import pytest
from testkit.kite_desk import KiteDesk
from testkit.sandbox import sandbox


@pytest.fixture(scope="module")
def kite_desk() -> Iterator[KiteDesk]:
    with sandbox(seed=7, start="2026-11-25T10:00:00", speed=0, instruments=900, limit_scale=0) as box:
        desk = KiteDesk(box)
        yield desk
        desk.close()


@pytest.fixture
def desk(kite_desk: KiteDesk) -> KiteDesk:
    """The module's desk, with a fresh order book in the market and no faults."""
    kite_desk.fresh()
    return kite_desk
