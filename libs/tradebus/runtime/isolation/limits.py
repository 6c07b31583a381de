"""How much a strategy file's process may take."""

import math
from dataclasses import dataclass

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IsolationLimits:
    """`answer_seconds` is the deadline of one batch of questions, and `step_seconds` more for each question in it (a
    warm-up is hundreds). Memory is address space; Python with the compiled kernels takes about 360 MiB of it.

    In a live market nobody waits for a file: who answers within `prompt_seconds` is waited for that long. At most
    `waiting_max` batches wait for their turn; a file that is busy for more than `busy_share_max` of
    `busy_window_seconds`, by the wall's clock, is given up."""

    memory_mebibytes: int = 1536
    start_seconds: float = 20.0
    answer_seconds: float = 2.0
    step_seconds: float = 0.01
    prompt_seconds: float = 0.02
    waiting_max: int = 256
    busy_window_seconds: float = 60.0
    busy_share_max: float = 0.5

    @property
    def memory_bytes(self) -> int:
        return self.memory_mebibytes * _MEBIBYTE

    def cpu_seconds(self, seconds: float) -> int:
        """Processor time for what must be answered within `seconds`: a little more, so that the deadline speaks."""
        return math.ceil(seconds) + 2
