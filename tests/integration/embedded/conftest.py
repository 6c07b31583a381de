"""State folders that have been used before."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.embedded import Holder

from tradebus.runtime.embedded import EmbeddedServers


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    """A state folder as a first run leaves it. Copying it is quicker than making another."""
    with tempfile.TemporaryDirectory(prefix="tradebus-tests-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedServers(Path(folder) / "state"):
            pass
        yield Path(folder) / "state"


@pytest.fixture
def used_dir(state_dir: Path, made_once: Path) -> Path:
    """A folder in which servers have run before."""
    subprocess.run(["cp", "-a", str(made_once), str(state_dir)], check=True)
    return state_dir


@pytest.fixture
def holder(used_dir: Path) -> Iterator[Holder]:
    held = Holder(used_dir)
    yield held
    held.end()
