"""What decisions depend on beside a session's state: the master, the kill switch, the market's time, missing data."""

from datetime import date

from services.risk.kill_switch import KillSwitchState
from services.risk.market.daily_ranges import DailyRangesSeen
from services.risk.market.last_ticks import LastTicksSeen
from services.risk.ports import RiskBook
from services.risk.shared_limits import SharedScopes
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.market import DataGap, DataRecovered
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.risk.terms import SessionTerms, Situation
from tradebus.runtime.market_time import MarketTime

_LOOK_AGAIN_NS = NANOSECONDS_PER_SECOND


class Surroundings:
    """`paced`: market data comes in slices that others wait for, and alone is time."""

    def __init__(
        self, book: RiskBook, *, kill_switch: KillSwitchState, market: MarketTime, shared: SharedScopes, paced: bool
    ) -> None:  # fmt: skip
        self._book, self._kill_switch, self._paced = book, kill_switch, paced
        self.market, self.shared, self.last_ticks = market, shared, LastTicksSeen()
        self.ranges = DailyRangesSeen(book)
        self._instruments: dict[int, Instrument] = {}
        self._day: date | None = None  # of the newest that was judged
        self._looked_ns: dict[int, int] = {}  # for one that was not registered then
        self._open: dict[str, tuple[int, ...]] = {}  # instruments by gap
        self._gaps: frozenset[int] = frozenset()

    async def load(self) -> None:
        """Reads the master, which gaps are open, and the limits that sessions share."""
        await self._load_instruments()
        await self.load_gaps()
        await self.shared.load()

    async def load_gaps(self) -> None:
        """From the book, which keeps them whatever becomes of the stream that tells of them."""
        self._open = await self._book.open_gaps()
        self._count_gaps()

    async def know(self, instrument: int, *, ts_ns: int) -> None:
        """Reads the master again once a day, whose terms are others, and where an instrument is new: it may have been
        registered after we started. One that nobody registers is looked for once a second of the market's time."""
        day = ist_date(ts_ns)
        if self._day is not None and day <= self._day:
            looked_ns = self._looked_ns.get(instrument)
            if instrument in self._instruments or (looked_ns is not None and ts_ns - looked_ns < _LOOK_AGAIN_NS):
                return
        self._day = day if self._day is None else max(day, self._day)
        await self._load_instruments()
        self._looked_ns = {} if instrument in self._instruments else {instrument: ts_ns}

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
            shared=self.shared.around(terms.session_id, now_ns=self.market.data_ns), last_ticks=self.last_ticks,
            ranges=self.ranges,
        )  # fmt: skip

    def _count_gaps(self) -> None:
        self._gaps = frozenset(number for numbers in self._open.values() for number in numbers)

    async def _load_instruments(self) -> None:
        self._instruments = {one.instrument_id: one for one in await self._book.instruments()}
