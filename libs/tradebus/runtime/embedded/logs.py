"""What the servers say about themselves."""

from pathlib import Path


def new_log(log: Path) -> None:
    """An empty log for this run; the one of the run before is kept beside it."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    log.touch(mode=0o600)


def telling_line(text: str) -> str:
    """The line that says why a server gave up: its last fatal one, else the first that speaks of an error."""
    lines = text.strip().splitlines()
    fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
    errors = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return (fatal[-1:] or errors[:1] or lines[-1:] or ["it gave no reason"])[0].strip()
