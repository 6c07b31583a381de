"""What happened in a run, line by line, in Indian time; and its hash, by which two runs are told to be the same."""

import hashlib
from collections.abc import Callable

from tradebus.kernel.time import ist_datetime

LINES_MAX = 20_000


class DrillStory:
    """`now_ns` is the run's time."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._digest = hashlib.blake2b(digest_size=8)
        self.lines: list[tuple[int, str]] = []

    def tell(self, text: str) -> None:
        """It happens now."""
        now_ns = self._now_ns()
        self._digest.update(f"{now_ns} {text}\n".encode())
        if len(self.lines) < LINES_MAX:
            self.lines.append((now_ns, text))

    @property
    def digest(self) -> str:
        """Of everything told so far."""
        return self._digest.copy().hexdigest()

    def text(self) -> str:
        """For people."""
        return "\n".join(f"{ist_datetime(at_ns):%H:%M:%S.%f} IST  {text}" for at_ns, text in self.lines)
