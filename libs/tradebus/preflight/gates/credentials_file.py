"""Logins and their key can be read by nobody else."""

import os
import stat
from pathlib import Path

from tradebus.brokers.credentials import FOLDER, KEY_FILE
from tradebus.preflight.gate import Facts, GateAnswer


async def ask(facts: Facts) -> GateAnswer:
    wrong = []
    folder = facts.state_dir / FOLDER
    for path in (folder, folder / facts.credential_name, facts.state_dir / KEY_FILE):
        if path.name == KEY_FILE and facts.settings.credentials_key is not None:
            continue  # it is in the environment
        wrong += [f"{path} {what}" for what in _open_to_others(path)]
    if wrong:
        return GateAnswer("; ".join(wrong), "close it to everybody else: chmod 700 for the folder, 600 for the files")
    return GateAnswer("its owner alone reads it")


def _open_to_others(path: Path) -> list[str]:
    found = path.stat()
    said = [f"may be read by others (mode {stat.S_IMODE(found.st_mode):o})"] if found.st_mode & 0o077 else []
    return said + ([f"belongs to user {found.st_uid}"] if found.st_uid != os.geteuid() else [])
