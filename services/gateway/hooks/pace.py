"""How often each program may signal: so many in any minute, whatever they ask."""

from collections import deque

_MINUTE_NS = 60_000_000_000


class MinutePace:
    """Counts what was let through. Instants are of a clock that never goes back."""

    def __init__(self) -> None:
        self._passed: dict[str, deque[int]] = {}

    def wait_seconds(self, name: str, *, per_minute: int, now_ns: int) -> int:
        """0, and it counts; else how long until one may pass."""
        passed = self._passed.setdefault(name, deque())
        while passed and now_ns - passed[0] >= _MINUTE_NS:
            passed.popleft()
        if len(passed) < per_minute:
            passed.append(now_ns)
            return 0
        return (passed[len(passed) - per_minute] + _MINUTE_NS - now_ns + 999_999_999) // 1_000_000_000
