"""What decisions depend on beside a session's state: the master, the kill switch, the market's time, missing data."""

from services.risk.kill_switch import KillSwitchState
from services.risk.ports import RiskBook
from tradebus.bus.port import id_order
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.market import DataGap, DataRecovered
from tradebus.kernel.clock import Clock
from tradebus.kernel.time import NANOSECONDS_PER_DAY
from tradebus.risk.terms import SessionTerms, Situation

_NS_PER_MS = 1_000_000
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

    def _published_at(self, entry_id: str) -> int | None:
        """None where the bus' clock is another one than ours: its ids say nothing of when."""
        published_ns = id_order(entry_id)[0] * _NS_PER_MS
        return published_ns if abs(self._machine.now_ns() - published_ns) < _LONGEST_SILENCE_NS else None


class Surroundings:
    """`paced`: market data comes in slices that others wait for, and alone is time."""

    def __init__(
        self, book: RiskBook, *, kill_switch: KillSwitchState, market: MarketTime, paced: bool
    ) -> None:  # fmt: skip
        self._book, self._kill_switch, self._paced = book, kill_switch, paced
        self.market = market
        self._instruments: dict[int, Instrument] = {}
        self._open: dict[str, tuple[int, ...]] = {}  # instruments by gap
        self._gaps: frozenset[int] = frozenset()

    async def load(self) -> None:
        """Reads the master, and which gaps are open."""
        await self._load_instruments()
        await self.load_gaps()

    async def load_gaps(self) -> None:
        """From the book, which keeps them whatever becomes of the stream that tells of them."""
        self._open = await self._book.open_gaps()
        self._count_gaps()

    async def know(self, instrument: int) -> None:
        """Reads the master again where an instrument is new: it may have been registered after we started."""
        if instrument not in self._instruments:
            await self._load_instruments()

    def gap(self, message: DataGap | DataRecovered) -> None:
        if isinstance(message, DataGap):
            self._open[message.gap_id] = message.instruments
        else:
            self._open.pop(message.gap_id, None)
        self._count_gaps()

    def of(self, terms: SessionTerms) -> Situation:
        return Situation(
            terms=terms, instruments=self._instruments, killed=self._kill_switch.engaged, data_ns=self.market.data_ns,
            paced=self._paced, gaps=self._gaps,
        )  # fmt: skip

    def _count_gaps(self) -> None:
        self._gaps = frozenset(number for numbers in self._open.values() for number in numbers)

    async def _load_instruments(self) -> None:
        self._instruments = {one.instrument_id: one for one in await self._book.instruments()}
