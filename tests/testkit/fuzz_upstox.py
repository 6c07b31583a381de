"""Broken Upstox frames by the thousand, each shown to our decoder and to the official classes.

PYTHONPATH=tests python -m testkit.fuzz_upstox 1000000
"""

import sys
from collections.abc import Iterator

import numpy as np

from testkit.upstox_frames import KEYS, full_feed, official_quotes, pb2
from tradebus.brokers.upstox.decoder import UpstoxDecoder

_RECEIVED_NS = 1_795_146_300_500_000_000
_TAGS = bytes(8 * field + wire for field in range(1, 17) for wire in (0, 1, 2, 3, 4, 5))


def fuzz_frames(count: int, seed: int, *, compare_every: int = 1) -> int:
    """Decodes `count` mutated frames; every `compare_every`-th is compared with the official classes' reading.

    Returns how many of those compared the official classes accepted. Raises AssertionError with the frame where ours
    differs, and whatever exception the decoder let out.
    """
    decoder = UpstoxDecoder(KEYS)
    accepted = 0
    for number, frame in enumerate(mutated(count, seed)):
        decoded = decoder.decode(frame, received_ns=_RECEIVED_NS)
        if number % compare_every:
            continue
        expected = official_quotes(frame, KEYS, received_ns=_RECEIVED_NS)
        ours = decoded.quotes[np.argsort(decoded.quotes["instrument"])]
        if expected is None:
            assert len(ours) == 0, f"the official classes refuse {frame.hex()}"
            assert decoded.skipped == 1, f"accepted though the official classes refuse {frame.hex()}"
            continue
        accepted += 1
        assert ours.tobytes() == expected.tobytes(), f"read differently: {frame.hex()}"
    return accepted


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """Frames from real ones by flipped, cut, doubled, swapped and inserted bytes."""
    rng = np.random.default_rng(seed)
    seeds = seed_frames(rng)
    for _ in range(count):
        frame = bytearray(seeds[rng.integers(len(seeds))])
        for _ in range(int(rng.integers(1, 4))):
            _mutate(frame, rng, seeds)
        yield bytes(frame)


def seed_frames(rng: np.random.Generator) -> list[bytes]:
    """Whole frames of each kind and mode."""
    frames = []
    for kind in range(8):
        message = pb2.FeedResponse(type=kind % 3, currentTs=1_795_146_300_123)
        for key in list(KEYS)[: 1 + kind % 3]:
            message.feeds[key].CopyFrom(_feed(kind, rng))
        if kind % 3 == 2:
            message.marketInfo.segmentStatus["NSE_FO"] = 2
            message.marketInfo.casMarketStatus["NSE_EQ"].status = "CLOSED"
        frames.append(message.SerializeToString())
    return frames


def _feed(kind: int, rng: np.random.Generator) -> "pb2.Feed":
    full = full_feed(rng, levels=(1, 5, 30)[kind % 3])
    market = full.fullFeed.marketFF
    market.ltpc.iep.value = 12.5
    if kind % 4 == 0:
        return full
    if kind % 4 == 1:
        return pb2.Feed(ltpc=market.ltpc)
    if kind % 4 == 2:
        index = pb2.IndexFullFeed(ltpc=market.ltpc, marketOHLC=market.marketOHLC)
        return pb2.Feed(fullFeed=pb2.FullFeed(indexFF=index))
    first = pb2.FirstLevelWithGreeks(
        ltpc=market.ltpc, firstDepth=market.marketLevel.bidAskQuote[0], vtt=5, oi=6.0, iv=0.5
    )
    return pb2.Feed(firstLevelWithGreeks=first, requestMode=2)


def _mutate(frame: bytearray, rng: np.random.Generator, seeds: list[bytes]) -> None:
    """One change in place."""
    if not frame:
        return
    at = int(rng.integers(len(frame)))
    kind = rng.integers(9)
    if kind == 0:
        frame[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        frame[at] = int(rng.integers(256))
    elif kind == 2:
        del frame[at:]
    elif kind == 3:
        del frame[at : at + int(rng.integers(1, 9))]
    elif kind == 4:
        frame[at:at] = frame[at : at + int(rng.integers(1, 40))]
    elif kind == 5:
        frame[at:at] = rng.integers(0, 256, int(rng.integers(1, 9)), dtype=np.uint8).tobytes()
    elif kind == 6:
        other = seeds[rng.integers(len(seeds))]
        frame[at:at] = other[: int(rng.integers(len(other) + 1))]
    elif kind == 7:
        frame[at] = _TAGS[rng.integers(len(_TAGS))]
    else:  # an empty or small sub-message somewhere
        frame[at:at] = bytes([_TAGS[rng.integers(len(_TAGS))], 0])


def main() -> None:
    """Fuzzes so many frames as the first argument says, with the second as seed."""
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    accepted = fuzz_frames(count, seed)
    print(f"{count:,} frames, {accepted:,} of them accepted, none read differently and no exception")


if __name__ == "__main__":
    main()
