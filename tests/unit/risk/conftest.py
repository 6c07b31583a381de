"""The risk service on the twins: bus and book in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from testkit.risk_service import Around


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[Around]:
    around = Around.memory(state_dir=tmp_path)
    await around.prepare()
    yield around
    for life in around.lives:
        await life.crash()
