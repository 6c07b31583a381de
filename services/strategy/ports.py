"""What the strategy service needs of its book. Each is there twice, over Postgres and in memory; one suite on both."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from services.strategy.messages import SignalMessage
from tradebus.strategies.lane.decisions import DecisionRow
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.protocol import Candle


class DecisionJournal(Protocol):
    """Every decision, HOLD too, and the signals they sent.

    Invariants (tested on both): one decision for each session, strategy, instrument and instant, the one that was
    written first; writing again changes nothing; decisions and their signals are written together or not at all.
    """

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        """Stores decisions durably."""

    async def write_with_signals(self, rows: Sequence[DecisionRow], signals: Sequence[SignalMessage]) -> None:
        """Stores both in one transaction; the signals also among the events of their stream."""

    async def decisions(self, session_id: str) -> list[DecisionRow]:
        """A session's, by instant, strategy and instrument."""

    async def signal_ids(self, session_id: str) -> list[str]:
        """Of a session's signals, by instant and id."""


class PastCandles(NamedTuple):
    """What a strategy is told of one series before it is asked anything at `ts_ns`: the newest `warmup_candles` candles
    of earlier days, and those of the day of `ts_ns` that close at or before it, within the hours of the instrument that
    the strategy trades, `hours_of`."""

    ts_ns: int
    instrument: int
    timeframe_seconds: int
    warmup_candles: int
    hours_of: int


class StoredCandles(Protocol):
    """What was stored of the market: warm-up, and what a strategy is rebuilt from."""

    async def before(self, wanted: Mapping[PastCandles, SessionHours]) -> dict[PastCandles, list[Candle]]:
        """The candles of each in time order: all in a few round trips."""
