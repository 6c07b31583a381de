"""The market's time, for what is due by it while no data comes."""

from tradebus.bus.port import id_order
from tradebus.kernel.clock import Clock
from tradebus.kernel.time import NANOSECONDS_PER_DAY, NANOSECONDS_PER_MILLISECOND

_LONGEST_SILENCE_NS = 30 * NANOSECONDS_PER_DAY


class MarketTime:
    """The market's time, also while no data comes: where the newest slice left it, and how long ago that was.

    Right for every market that keeps the pace of the machine's clock times `speed`: a live one, a sandbox elsewhere in
    time, a generated one that began this morning. `clock` is the live market's own.
    """

    def __init__(self, clock: Clock, *, machine: Clock, speed: float = 1.0) -> None:
        self._clock, self._machine, self._speed = clock, machine, speed
        self.data_ns = 0  # the event time that market data has reached
        self._slice_ns = self._published_ns = 0

    def heard(self, watermark_ns: int, entry_id: str) -> None:
        """A slice up to `watermark_ns`; its entry's id says when it was published."""
        self.data_ns = watermark_ns
        published_ns = self._published_at(entry_id)
        self._slice_ns = watermark_ns
        self._published_ns = self._machine.now_ns() if published_ns is None else published_ns

    def remember(self, watermark_ns: int, entry_id: str) -> None:
        """A slice of an earlier life, as a session's state has kept it: it counts until there is a newer one."""
        published_ns = self._published_at(entry_id)
        if watermark_ns and published_ns is not None and published_ns > self._published_ns:
            self._slice_ns, self._published_ns = watermark_ns, published_ns

    def now_ns(self, *, is_live: bool) -> int | None:
        """None where nothing is known of the market, and it is not a live one."""
        if not self._slice_ns:
            return self._clock.now_ns() if is_live else None
        elapsed_ns = max(0, self._machine.now_ns() - self._published_ns)
        return self._slice_ns + int(elapsed_ns * self._speed)

    def at_ns(self, machine_ns: int, *, is_live: bool) -> int | None:
        """The market's time when the machine's clock said `machine_ns`, not after now; None as for `now_ns`."""
        now_ns = self.now_ns(is_live=is_live)
        return None if now_ns is None else now_ns - int(max(0, self._machine.now_ns() - machine_ns) * self._speed)

    def _published_at(self, entry_id: str) -> int | None:
        """None where the bus' clock is another one than ours: its ids say nothing of when."""
        published_ns = id_order(entry_id)[0] * NANOSECONDS_PER_MILLISECOND
        return published_ns if abs(self._machine.now_ns() - published_ns) < _LONGEST_SILENCE_NS else None
