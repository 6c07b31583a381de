"""Messages of Dhan's market socket to QUOTE records (BROKERS 3.2); the reading itself is `_feed_kernel`.

Invariants (fuzzed): no message makes it raise; a packet cut short gives nothing; packets of instruments that nobody
subscribed, of unknown codes or of unknown segments are counted in `skipped`.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tradebus.brokers.dhan import _feed_kernel as core
from tradebus.brokers.dhan.words import FEED_NUMBERS, WORD_OF_NUMBER
from tradebus.brokers.feed import Decoded, FeedEvent, FeedEventKind
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.records import QUOTE
from tradebus.kernel.errors import InvalidInput

_SECURITY_ID_MAX = 2**32 - 1
_EVENTS_MAX = 64  # a turn with more of them is broken; the others are counted as skipped
# Disconnect reasons; the second figure says whether the same login can ever do better.
_REASONS = {
    805: ("more connections than Dhan allows for one user: the oldest was closed", False),
    806: ("the account has no subscription to Dhan's data API: subscribe, then start again", True),
    807: ("the access token has expired: log in again", True),
    808: ("the client id or access token is not accepted: log in again", True),
    809: ("the access token is not accepted: log in again", True),
    810: ("the client id is not accepted: check it, then log in again", True),
}


class DhanDecoder:
    """Knows the instruments that are subscribed; `Decoded.quotes` names each by its small integer."""

    def __init__(self, instruments: Mapping[int, ListedInstrument] | None = None) -> None:
        self._listed: dict[int, ListedInstrument] = {}
        self._blank = np.zeros(1, QUOTE)
        self._events = np.empty((_EVENTS_MAX, 3), np.int64)
        self.add(instruments or {})

    def add(self, instruments: Mapping[int, ListedInstrument]) -> None:
        """Takes instruments in. Raises InvalidInput, with none taken, for one that Dhan's feed cannot name, or whose
        name on the feed another one has."""
        owners = {feed_key(listed): each for each, listed in self._listed.items() if each not in instruments}
        for instrument, listed in instruments.items():
            other = owners.setdefault(feed_key(listed), instrument)
            if other != instrument:
                raise InvalidInput(
                    f"dhan feed: {listed.symbol} as instrument {instrument} is {listed.broker_segment} {listed.token}, "
                    f"which instrument {other} is already; unsubscribe that first"
                )
        self._listed |= instruments
        self._build()

    def remove(self, instruments: Iterable[int]) -> None:
        """Their packets are skipped from now on."""
        for instrument in instruments:
            self._listed.pop(instrument, None)
        self._build()

    def decode(self, frame: bytes, *, received_ns: int) -> Decoded:
        """One message."""
        return self.decode_all((frame,), received_ns=received_ns)

    def decode_all(self, frames: Sequence[bytes], *, received_ns: int) -> Decoded:
        """Messages that came one after another, in one step."""
        body = frames[0] if len(frames) == 1 else b"".join(frames)
        data = np.frombuffer(body, np.uint8)
        lengths = np.fromiter(map(len, frames), np.int64, len(frames))
        # Most turns hold packets of one size: room for them first, for the smallest ones where that was too little.
        size = max(int(core.SIZES[body[0]]), core.HEADER_BYTES + 4) if body else 1
        for room in (len(body) // size, core.room_for(len(body))):
            quotes = np.empty(room, QUOTE)
            records, skipped, told = core.walk(
                data, lengths, received_ns, self._keys, self._slots, self._instruments, self._ticks_paise, self._blank,
                quotes, self._events,
            )  # fmt: skip
            if records >= 0:
                break
        events = tuple(map(_event, self._events[:told].tolist())) if told else ()
        return Decoded(quotes if records == len(quotes) else quotes[:records], events, skipped)

    def _build(self) -> None:
        """The lookup, anew: open addressing, at most half full."""
        keys = {feed_key(listed): row for row, listed in enumerate(self._listed.values())}
        self._keys = np.full(max(16, 1 << (2 * len(keys)).bit_length()), -1, np.int64)
        self._slots = np.zeros(len(self._keys), np.int32)
        for key, row in keys.items():
            core.insert(self._keys, self._slots, key, row)
        self._instruments = np.array(list(self._listed), np.int64)
        self._ticks_paise = np.array([listed.tick_size_paise for listed in self._listed.values()], np.int64)


def feed_key(listed: ListedInstrument) -> int:
    """How the feed names an instrument: segment << 32 | security id. Raises InvalidInput for one it cannot name."""
    number = FEED_NUMBERS.get(listed.broker_segment)
    if number is None:
        raise InvalidInput(
            f"{listed.symbol}: Dhan's feed has no segment {listed.broker_segment!r}; it has {', '.join(FEED_NUMBERS)}"
        )
    if not (listed.token.isascii() and listed.token.isdigit() and int(listed.token) <= _SECURITY_ID_MAX):
        raise InvalidInput(f"{listed.symbol}: {listed.token[:20]!r} is no security id of Dhan's; load its master again")
    if listed.tick_size_paise < 1:
        raise InvalidInput(f"{listed.symbol}: a tick of {listed.tick_size_paise} paise cannot be")
    return number << 32 | int(listed.token)


def _event(row: list[int]) -> FeedEvent:
    code, segment, reason = row
    if code == core.MARKET_STATUS:  # the packet has no body: it says only that the status changed
        return FeedEvent(FeedEventKind.MARKET_STATUS, f"{WORD_OF_NUMBER.get(segment, segment)}: market status changed")
    return disconnection(reason)


def disconnection(reason: int) -> FeedEvent:
    """What Dhan's code for ending a connection means: REFUSED where the same login can never do better."""
    text, final = _REASONS.get(reason, ("an unknown reason", False))
    kind = FeedEventKind.REFUSED if final else FeedEventKind.DISCONNECTED
    return FeedEvent(kind, f"dhan-feed: disconnected with {reason}: {text}")
