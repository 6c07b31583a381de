"""A process that holds embedded servers (`HOLDER`), and what runs in a folder."""

from contextlib import suppress
from pathlib import Path

import psutil

HOLDER = Path(__file__).with_name("embedded_holder.py")


def working_in(state_dir: Path) -> list[psutil.Process]:
    """The server processes of a folder: each works inside it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if Path(process.cwd()).is_relative_to(state_dir):
                found.append(process)
    return found
