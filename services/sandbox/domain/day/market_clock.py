"""The market's clock: it stands at the last step and, between two steps, runs with the wall clock at a set speed."""

from collections.abc import Callable


class MarketClock:
    """Never goes back and never past the next step. `wall_ns` is any monotonic clock."""

    def __init__(self, start_ns: int, *, step_ns: int, speed: float, wall_ns: Callable[[], int]) -> None:
        self._at_ns, self.step_ns, self.speed, self._wall_ns = start_ns, step_ns, speed, wall_ns
        self._wall_at_ns = wall_ns()
        self._told_ns = start_ns

    @property
    def step_at_ns(self) -> int:
        """The time of the last step."""
        return self._at_ns

    def now_ns(self) -> int:
        passed = int((self._wall_ns() - self._wall_at_ns) * self.speed)
        # An event may cut a step short: what has been told already is not taken back.
        self._told_ns = max(self._told_ns, self._at_ns + min(max(passed, 0), self.step_ns - 1))
        return self._told_ns

    def step_to(self, at_ns: int) -> None:
        """The next step's time."""
        self._at_ns, self._wall_at_ns = max(at_ns, self._at_ns), self._wall_ns()
