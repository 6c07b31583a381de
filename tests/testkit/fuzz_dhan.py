"""Dhan feed messages: well-formed packets of every kind, and mutations of them.

PYTHONPATH=tests python -m testkit.fuzz_dhan 1000000
"""

import struct
import sys
from collections.abc import Iterator

import numpy as np

from testkit.mutations import changed
from tradebus.brokers.dhan import DhanDecoder
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.records import DEPTH_LEVELS, QUOTE
from tradebus.kernel.rng import seed_for

SIZES = {2: 16, 3: 112, 4: 50, 5: 12, 6: 16, 7: 8, 8: 162, 50: 10}
WORDS = {0: "IDX_I", 1: "NSE_EQ", 2: "NSE_FNO", 4: "BSE_EQ", 8: "BSE_FNO"}
SEGMENTS_OTHER = (3, 5, 7)
INDIAN_SECONDS = 1_795_600_800
REASONS = (0, 805, 806, 807, 808, 809, 810, 65_535)


def listed(security_id: int, segment: int = 2, *, tick_paise: int = 5) -> ListedInstrument:
    key = InstrumentKey(Segment.NSE, f"S{segment}-{security_id}")
    return ListedInstrument(key, str(security_id), WORDS[segment], key.name, 1, tick_paise)


def header(code: int, segment: int, security_id: int, *, length: int | None = None) -> bytes:
    return struct.pack("<BHBI", code, SIZES[code] if length is None else length, segment, security_id)


def levels(price: float, draw: np.random.Generator) -> bytes:
    counts = [int(value) for value in draw.integers(0, 2**31, 4 * DEPTH_LEVELS)]
    return b"".join(
        struct.pack(
            "<IIHHff", counts[level], counts[level + 5], counts[level + 10] % 65_536, counts[level + 15] % 65_536,
            price - level / 20, price + level / 20,
        )
        for level in range(DEPTH_LEVELS)
    )  # fmt: skip


def packet(code: int, segment: int, security_id: int, draw: np.random.Generator) -> bytes:
    """A packet with numbers such as a market has."""
    price = int(draw.integers(5_00, 90_000_00)) / 100
    counts = [int(value) for value in draw.integers(0, 2**32, 8, dtype=np.uint64)]
    traded = struct.pack("<fHIfIII", price, counts[0] % 65_536, INDIAN_SECONDS + counts[1] % 3_600, price, *counts[2:5])
    day = struct.pack("<ffff", price - 1, price - 2, price + 1, price - 3)
    bodies = {
        2: struct.pack("<fI", price, INDIAN_SECONDS),
        3: struct.pack("<f", price) + levels(price, draw),
        4: traded + day,
        5: struct.pack("<I", counts[0]),
        6: struct.pack("<fI", price, counts[0]),
        7: b"",
        8: traded + struct.pack("<III", *counts[5:8]) + day + levels(price, draw),
        50: struct.pack("<H", int(draw.choice(REASONS))),
    }
    return header(code, segment, security_id) + bodies[code]


def unknown_packet(draw: np.random.Generator) -> bytes:
    size = int(draw.integers(8, 60))
    return struct.pack("<BHBI", int(draw.choice([1, 9, 41, 51, 200])), size, 1, 7) + draw.bytes(size - 8)


def mixed_message(draw: np.random.Generator, known: list[tuple[int, int]], *, count: int) -> bytes:
    """Packets of every kind, in no order."""
    parts = []
    for _ in range(count):
        segment, security_id = known[int(draw.integers(0, len(known)))]
        code = int(draw.choice([*SIZES, 0]))
        parts.append(packet(code, segment, security_id, draw) if code else unknown_packet(draw))
    return b"".join(parts)


def mutated(draw: np.random.Generator, message: bytes) -> bytes:
    """A message that is broken in one way or several."""
    return changed(draw, message, (_other_length, _other_price))


def _other_length(draw: np.random.Generator, body: bytearray, at: int) -> bool:
    if at + 1 >= len(body):
        return False
    body[at : at + 2] = struct.pack("<H", int(draw.choice([0, 1, 7, 8, 10, 12, 16, 50, 154, 162, 65_535])))
    return True


def _other_price(draw: np.random.Generator, body: bytearray, at: int) -> bool:
    if at + 3 >= len(body):
        return False
    body[at : at + 4] = struct.pack("<f", float(draw.choice([-1, 0, 1e30, np.nan, np.inf, -np.inf])))
    return True


def frames(count: int, seed: int) -> Iterator[bytes]:
    """Mutated messages."""
    draw = np.random.default_rng(seed_for(seed, "dhan messages"))
    known = [(segment, number) for number in range(1, 9) for segment in (*WORDS, *SEGMENTS_OTHER)]
    originals = [mixed_message(draw, known, count=int(draw.integers(0, 12))) for _ in range(200)]
    for _ in range(count):
        yield mutated(draw, originals[int(draw.integers(0, len(originals)))])


def fuzz_frames(count: int, seed: int = 1) -> dict[str, int]:
    """Decodes `count` mutated messages and checks what the decoder promises of any. Returns what came out."""
    known = {number * 16 + segment: listed(number, segment) for number in range(1, 7) for segment in WORDS}
    decoder = DhanDecoder(known)
    instruments = np.array(sorted(known))
    seen = {"frames": 0, "quotes": 0, "skipped": 0, "events": 0}
    for frame in frames(count, seed):
        decoded = decoder.decode(frame, received_ns=7)
        quotes = decoded.quotes
        assert quotes.dtype == QUOTE
        assert decoded.skipped >= 0
        assert 12 * len(quotes) + 8 * len(decoded.events) <= len(frame)
        assert np.isin(quotes["instrument"], instruments).all()
        for name in ("price_paise", "open_paise", "previous_close_paise", "last_quantity", "open_interest"):
            assert (quotes[name] >= 0).all()
        for name in ("bid_paise", "ask_paise", "bid_quantity", "ask_quantity", "bid_orders"):
            assert (quotes[name] >= 0).all()
        assert (quotes["ts_event_ns"] > 0).all()
        seen["frames"] += 1
        seen["quotes"] += len(quotes)
        seen["skipped"] += decoded.skipped
        seen["events"] += len(decoded.events)
    return seen


if __name__ == "__main__":
    print(fuzz_frames(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
