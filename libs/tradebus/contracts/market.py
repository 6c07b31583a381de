"""What market_data says of its own data, on `md.gaps.v1`: where it is missing, and what history has put right.

    DATA_GAP ─► [history is read] ─► CANDLES_RESTORED ─► DATA_RECOVERED

Whoever decides on candles builds its state anew from the book after CANDLES_RESTORED; entries in the instruments of a
DATA_GAP wait for the DATA_RECOVERED of the same `gap_id`.
"""

from typing import ClassVar

from pydantic import Field

from tradebus.contracts.base import Message


class _Span(Message):
    broker: str
    instruments: tuple[int, ...] = Field(min_length=1)
    symbols: tuple[str, ...] = Field(min_length=1)
    from_ns: int = Field(ge=0)


class _Gap(_Span):
    gap_id: str
    exchange: str
    market_class: str


class DataGap(_Gap):
    """Data of these instruments stopped in a session. No entry in them until the gap is filled; exits go on."""

    TYPE: ClassVar[str] = "DATA_GAP"
    reason: str


class DataRecovered(_Gap):
    """Data flows again and the broker's history has filled the gap, of the minutes in [from_ns, to_ns)."""

    TYPE: ClassVar[str] = "DATA_RECOVERED"
    to_ns: int = Field(ge=0)
    candles_corrected: int = Field(ge=0)


class CandlesRestored(_Span):
    """The one-minute candles that start in [from_ns, to_ns) are in the book as the broker's history has them, those of
    the running day on `md.candles.v1` too, flagged as corrected. State made of candles is built anew from the book."""

    TYPE: ClassVar[str] = "CANDLES_RESTORED"
    to_ns: int = Field(ge=0)
    candles: int = Field(ge=0)
    candles_corrected: int = Field(ge=0)
    reason: str
