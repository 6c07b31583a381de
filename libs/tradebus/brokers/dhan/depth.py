"""Messages of Dhan's deep books (20 and 200 levels, each on a host of its own) to the best five levels of a QUOTE.

A packet is one side of one book: `length i16, code u8 (41 bid, 51 ask), segment u8, security id i32, number u32`, then
levels `price f64, quantity u32, orders u32`, best first; several are laid end to end. A record needs both sides, so the
last of each is held until `forget`, which a new connection calls for. Invariants (fuzzed) as of `DhanDecoder`.
"""

import struct
from collections.abc import Mapping

import numpy as np

from tradebus.brokers.dhan.decoder import disconnection, feed_key
from tradebus.brokers.feed import Decoded, FeedEvent
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.records import DEPTH_LEVELS, QUOTE, QUOTE_HAS_DEPTH, Records

_HEADER = struct.Struct("<hBBiI")
_LEVEL = np.dtype([("price", "<f8"), ("quantity", "<u4"), ("orders", "<u4")])
_SIDES = {41: "bid", 51: "ask"}
_DISCONNECT = 50
_PRICE_MAX_RUPEES = 1e8
_INT32_MAX = 2**31 - 1


class DhanDepthDecoder:
    """Knows the instruments that are subscribed, at most 50 of 20 levels or one of 200."""

    def __init__(self, instruments: Mapping[int, ListedInstrument]) -> None:
        self._instrument_of = {feed_key(listed): instrument for instrument, listed in instruments.items()}
        self._held: dict[tuple[int, str], Records] = {}

    def forget(self) -> None:
        """What was held is of another connection."""
        self._held.clear()

    def decode(self, frame: bytes, *, received_ns: int) -> Decoded:
        """One record for each instrument of which a side came and both are known."""
        changed: dict[int, None] = {}
        events: list[FeedEvent] = []
        skipped = at = 0
        while at < len(frame):
            length = _length(frame, at)
            if length == 0:
                skipped += 1
                break
            _, code, segment, security_id, number = _HEADER.unpack_from(frame, at)
            instrument = self._instrument_of.get(segment << 32 | security_id & 0xFFFF_FFFF)
            levels = _levels(frame, at, length) if code in _SIDES and instrument is not None else None
            if code == _DISCONNECT:
                events.append(disconnection(number))
            elif levels is None or instrument is None:
                skipped += 1
            else:
                self._held[instrument, _SIDES[code]] = levels
                changed[instrument] = None
            at += length
        return Decoded(self._records(list(changed), received_ns), tuple(events), skipped)

    def _records(self, changed: list[int], received_ns: int) -> Records:
        whole = [each for each in changed if all((each, side) in self._held for side in _SIDES.values())]
        quotes = np.zeros(len(whole), QUOTE)
        quotes["ts_event_ns"] = quotes["ts_received_ns"] = received_ns
        quotes["fields"] = QUOTE_HAS_DEPTH
        quotes["instrument"] = whole
        for row, instrument in enumerate(whole):
            for side in _SIDES.values():
                levels = self._held[instrument, side]
                quotes[f"{side}_paise"][row] = np.rint(levels["price"] * 100)
                quotes[f"{side}_quantity"][row] = np.minimum(levels["quantity"], _INT32_MAX)
                quotes[f"{side}_orders"][row] = np.minimum(levels["orders"], _INT32_MAX)
        return quotes


def _length(frame: bytes, at: int) -> int:
    """Of the packet at `at`; 0 where it is not all there or says nothing sensible of itself."""
    if at + _HEADER.size > len(frame):
        return 0
    (length,) = struct.unpack_from("<h", frame, at)
    return length if length >= _HEADER.size and at + length <= len(frame) else 0


def _levels(frame: bytes, at: int, length: int) -> Records | None:
    """The best five; None where there are fewer, or a price is none."""
    count, rest = divmod(length - _HEADER.size, _LEVEL.itemsize)
    if rest or count < DEPTH_LEVELS:
        return None
    levels = np.frombuffer(frame, _LEVEL, DEPTH_LEVELS, at + _HEADER.size)
    sound = (levels["price"] >= 0) & (levels["price"] <= _PRICE_MAX_RUPEES)  # a NaN is neither
    return levels if sound.all() else None
