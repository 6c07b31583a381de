"""Kite ticker frames: well-formed ones of every kind, and mutations of them.

PYTHONPATH=tests python -m testkit.fuzz_kite 1000000
"""

import struct
import sys
from collections.abc import Iterator

import numpy as np

from testkit.mutations import changed
from tradebus.brokers.kite import KiteDecoder
from tradebus.contracts.records import QUOTE
from tradebus.kernel.rng import seed_for

LENGTHS = {"ltp": 8, "index quote": 28, "index full": 32, "quote": 44, "full": 184}
SEGMENTS_KNOWN, SEGMENTS_OTHER = (1, 2, 4, 5, 9), (3, 6, 7, 8, 12)


def packet(token: int, length: int, draw: np.random.Generator) -> bytes:
    """A packet of a known length with numbers such as a market has."""
    numbers = draw.integers(0, 2**31, length // 4, dtype=np.uint32)
    numbers[0] = token
    return numbers.astype(">u4").tobytes()


def frame_of(packets: list[bytes], *, declared: int | None = None) -> bytes:
    parts = [struct.pack(">H", len(packets) if declared is None else declared)]
    for body in packets:
        parts += [struct.pack(">H", len(body)), body]
    return b"".join(parts)


def mixed_frame(draw: np.random.Generator, tokens: list[int], *, count: int) -> bytes:
    """A frame of packets of every kind, in no order."""
    lengths = draw.choice(list(LENGTHS.values()), count)
    return frame_of([packet(int(draw.choice(tokens)), int(length), draw) for length in lengths])


def mutated(draw: np.random.Generator, frame: bytes) -> bytes:
    """A frame that is broken in one way or several."""
    return changed(draw, frame, (_other_count, _other_length))


def _other_count(draw: np.random.Generator, body: bytearray, at: int) -> bool:
    del at
    body[0:2] = draw.bytes(2)
    return True


def _other_length(draw: np.random.Generator, body: bytearray, at: int) -> bool:
    if at + 1 >= len(body):
        return False
    body[at : at + 2] = struct.pack(">H", int(draw.choice([0, 1, 7, 8, 9, 28, 32, 43, 44, 184, 65535])))
    return True


def frames(count: int, seed: int) -> Iterator[bytes]:
    """Mutated frames."""
    draw = np.random.default_rng(seed_for(seed, "kite frames"))
    tokens = [number * 256 + segment for number in range(1, 9) for segment in (*SEGMENTS_KNOWN, *SEGMENTS_OTHER)]
    originals = [mixed_frame(draw, tokens, count=int(draw.integers(0, 12))) for _ in range(200)]
    for _ in range(count):
        yield mutated(draw, originals[int(draw.integers(0, len(originals)))])


def fuzz_frames(count: int, seed: int = 1) -> dict[str, int]:
    """Decodes `count` mutated frames and checks what the decoder promises of any frame. Returns what came out."""
    known = {number * 256 + segment: number * 16 + segment for number in range(1, 7) for segment in SEGMENTS_KNOWN}
    decoder = KiteDecoder(known)
    instruments = np.array(sorted(known.values()))
    seen = {"frames": 0, "quotes": 0, "skipped": 0}
    turn, rows = [], 0
    for frame in frames(count, seed):
        decoded = decoder.decode(frame, received_ns=7)
        quotes = decoded.quotes
        assert quotes.dtype == QUOTE
        assert decoded.skipped >= 0
        assert len(quotes) * 10 + 2 <= max(len(frame), 2)
        assert np.isin(quotes["instrument"], instruments).all()
        assert (quotes["price_paise"] >= 0).all()
        assert (quotes["last_quantity"] >= 0).all()
        assert (quotes["ts_event_ns"] > 0).all()
        turn.append(frame)
        rows += len(quotes)
        if len(turn) == 64:
            assert len(decoder.decode_all(turn, received_ns=7).quotes) == rows
            turn, rows = [], 0
        seen["frames"] += 1
        seen["quotes"] += len(quotes)
        seen["skipped"] += decoded.skipped
    return seen


if __name__ == "__main__":
    print(fuzz_frames(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
