"""What runs and who listens on this machine."""

import os
import socket
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs; a zombie does not."""
    if pid <= 0:  # to the kernel a group of processes
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def is_free(port: int) -> bool:
    """Whether nobody listens there on 127.0.0.1. (A connection of a server before, on its way out, is no hindrance.)"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
