"""A market on the twins: a future of the brokers' masters, and what else is around execution."""

from pathlib import Path

import pytest
from testkit.broker_life import LISTED
from testkit.execution_around import Around
from testkit.execution_books import register


@pytest.fixture
async def around(tmp_path: Path) -> Around:
    made = Around.memory(state_dir=tmp_path)
    await register(made.book, *LISTED)
    return made
