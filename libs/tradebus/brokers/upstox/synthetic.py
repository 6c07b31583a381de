"""Generated full-mode frames in Upstox's wire format, for measuring. Written by hand: no broker data, no SDK needed."""

import struct

import numpy as np

from tradebus.kernel.rng import seed_for

_TRADED_MS = 1_795_146_299_000


def full_frames(count: int, feeds: int, *, seed: int = 1) -> tuple[list[bytes], dict[str, int]]:
    """`count` live_feed frames of `feeds` derivatives each with five levels, greeks and two bars; ids by key."""
    rng = np.random.default_rng(seed_for(seed, "upstox frames"))
    keys = {f"NSE_FO|{50_000 + number}": number for number in range(feeds)}
    return [_frame(list(keys), rng) for _ in range(count)], keys


def _frame(keys: list[str], rng: np.random.Generator) -> bytes:
    entries = [_part(2, _part(1, key.encode()) + _part(2, _feed(rng))) for key in keys]
    return _whole(1, 1) + b"".join(entries) + _whole(3, _TRADED_MS + 250)


def _feed(rng: np.random.Generator) -> bytes:
    price = float(rng.integers(2_000, 60_000)) * 0.05
    trade = _real(1, price) + _whole(2, _TRADED_MS) + _whole(3, 65) + _real(4, price - 1.25)
    levels = b"".join(
        _part(1, _whole(1, 65 * int(rng.integers(1, 50))) + _real(2, price - 0.05 * (level + 1))
              + _whole(3, 65 * int(rng.integers(1, 50))) + _real(4, price + 0.05 * level))
        for level in range(5)
    )  # fmt: skip
    greeks = b"".join(_real(place, value) for place, value in enumerate((0.42, -12.5, 0.0003, 20.1, 3.2), start=1))
    bars = b"".join(_part(1, _bar(interval, price)) for interval in (b"1d", b"I1"))
    market = (
        _part(1, trade) + _part(2, levels) + _part(3, greeks) + _part(4, bars) + _real(5, price - 0.3)
        + _whole(6, 1_300_000) + _real(7, 2_500_000.0) + _real(8, 0.123) + _real(9, 650_000.0) + _real(10, 700_000.0)
    )  # fmt: skip
    return _part(2, _part(1, market)) + _whole(4, 1)


def _bar(interval: bytes, price: float) -> bytes:
    prices = b"".join(_real(place, price + change) for place, change in enumerate((-2.0, 3.0, -4.0, 0.0), start=2))
    return _part(1, interval) + prices + _whole(6, 1_300_000) + _whole(7, _TRADED_MS)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _whole(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _real(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _part(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body
