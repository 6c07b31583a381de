"""What strategies begin a day with, read from the book: once for all whom an entry concerns.

Invariant (tested): a session whose history cannot be read stands alone with that. It is paused with the reason, decides
nothing, and is tried again once a person resumes it; the others begin as if it were not there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from services.strategy.ports import PastCandles, StoredCandles
from tradebus.runtime.consuming.handling import reason_of
from tradebus.runtime.patience import PASSING
from tradebus.strategies.lane.asking import Asking, InputCandle
from tradebus.strategies.lane.sessions import ActiveSessions
from tradebus.strategies.needs import Series
from tradebus.strategies.protocol import Candle

_log = structlog.get_logger()


class FailedStrategy(NamedTuple):
    """A strategy that cannot go on; its session is paused."""

    session_id: str
    strategy: str
    why: str


class Histories:
    """Reads for the strategies of `active`. Raises only what the book's absence raises."""

    def __init__(self, history: StoredCandles, active: ActiveSessions) -> None:
        self._history, self._active = history, active
        self._read: dict[PastCandles, list[Candle]] = {}  # read ahead for the entry in hand
        self._unreadable: dict[str, str] = {}  # why, by session
        self._failed: list[FailedStrategy] = []

    def unreadable(self, session_id: str) -> str | None:
        """Why the session's history cannot be read, None where nothing is known against it."""
        return self._unreadable.get(session_id)

    def take_failed(self) -> list[FailedStrategy]:
        """Those that have failed since this was asked last."""
        failed, self._failed = self._failed, []
        return failed

    def retry_resumed(self) -> None:
        """A session that a person has resumed is tried again, and one that is gone forgotten."""
        for session_id in list(self._unreadable):
            session = self._active.get(session_id)
            if session is None or not session.paused:
                del self._unreadable[session_id]

    async def read_ahead(self, wanted: Sequence[tuple[Asking, int]]) -> None:
        """Reads, in a few round trips, what the strategies among these need that begin anew: each at the first candle
        or tick of it, `ts_ns`."""
        self._read = {}
        first_ns: dict[int, tuple[Asking, int]] = {}
        for asking, ts_ns in wanted:
            if asking.needs_rebuild(ts_ns) and asking.source.key.session_id not in self._unreadable:
                first_ns.setdefault(id(asking), (asking, ts_ns))
        if first_ns:
            await self._read_each(list(first_ns.values()))

    async def replayed(self, asking: Asking, ts_ns: int) -> tuple[list[Candle], list[InputCandle]] | None:
        """The stored candles of each series the strategy hears: its own, and those beside it. None where they cannot
        be read."""
        pasts = _pasts_of(asking, ts_ns)
        if any(past not in self._read for past, _ in pasts) and asking.source.key.session_id not in self._unreadable:
            await self._read_each([(asking, ts_ns)])
        if asking.source.key.session_id in self._unreadable:
            return None
        own = self._read[pasts[0][0]]
        return own, [(candle, series) for past, series in pasts if series is not None for candle in self._read[past]]

    def forget(self) -> None:
        """The entry is done with."""
        self._read = {}

    async def _read_each(self, wanted: Sequence[tuple[Asking, int]]) -> None:
        """All at once; where that cannot be, each for itself."""
        pasts = {past: asking.hours for asking, ts_ns in wanted for past, _ in _pasts_of(asking, ts_ns)}
        try:
            self._read.update(await self._history.before(pasts))
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - of whom, the next attempt shows
            if len(wanted) == 1:
                self._fail(wanted[0][0], reason_of(error))
                return
            for one in wanted:
                if one[0].source.key.session_id not in self._unreadable:
                    await self._read_each([one])

    def _fail(self, asking: Asking, reason: str) -> None:
        key = asking.source.key
        why = f"its history cannot be read: {reason}"
        _log.error("history cannot be read", **key._asdict(), reason=reason)
        self._unreadable[key.session_id] = why
        self._failed.append(FailedStrategy(key.session_id, key.strategy, why))
        session = self._active.get(key.session_id)
        if session is not None:
            session.paused = True


def _pasts_of(asking: Asking, ts_ns: int) -> list[tuple[PastCandles, Series | None]]:
    """What is read for it: its own series first, then those beside it."""
    info = asking.info
    traded = asking.source.instrument
    own = PastCandles(ts_ns, traded, info.timeframe_seconds, info.warmup_candles, traded)
    inputs = [
        (PastCandles(ts_ns, instrument, seconds, info.warmup_candles, traded), series)
        for (seconds, instrument), heard in asking.inputs.items()
        for series in heard
    ]
    return [(own, None), *inputs]
