"""A stage for the strategy service: its neighbours, with bus and book in memory."""

from collections.abc import AsyncIterator

import pytest
from testkit.strategy_service import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage.memory()
    await made.prepare()
    yield made
    await made.close()
