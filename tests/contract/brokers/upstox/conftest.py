"""One sandbox per module, its clock standing still until a test moves it; a fresh account per case."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from testkit.broker_hands import Loop
from testkit.sandbox import Box, sandbox
from testkit.upstox_desk import Desk

_numbers = count(1)


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    """10:00 on a Wednesday; `Desk.pass_time` moves the market."""
    with sandbox(seed=7, start="2026-11-25T10:00:00", speed=0) as running:
        yield running


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def open_desk(box: Box, loop: Loop) -> Iterator[Callable[..., Desk]]:
    """Opens accounts with both hands; everything is closed after the test."""
    opened: list[Desk] = []

    def open_one(**options: float) -> Desk:
        box.advance(1.0)  # a new second for the limits, which also count requests without a token
        opened.append(Desk(box, f"UX{next(_numbers):04d}", loop, **options))
        return opened[-1]

    yield open_one
    for desk in opened:
        desk.close()


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()
