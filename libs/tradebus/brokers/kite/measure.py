"""How fast ticker frames become records here, beside the official SDK's parser and beside the floor: the same packets
seen through a numpy layout and copied to columns, which decodes nothing.

`tradebus bench parse` prints what `measure_parse` returns. Nothing is asserted.
"""

import logging
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from tradebus.brokers.common.timing import compared
from tradebus.brokers.kite.decoder import KiteDecoder
from tradebus.kernel.rng import seed_for
from tradebus.kernel.timing import seconds_a_call

FRAME_PACKETS = (1, 10, 200, 1_000)
TURN_FRAMES = 200
_FULL = struct.Struct(">2I5I4I5I")
_LEVEL = struct.Struct(">IIHH")
_TEN_O_CLOCK = 1_795_581_000  # seconds, some trading morning

_WIRE_LEVEL = np.dtype([("quantity", ">u4"), ("price", ">u4"), ("orders", ">u2"), ("padding", ">u2")])
_WIRE_NAMES = (
    "token", "price", "last_quantity", "average", "volume", "buy", "sell", "open", "high", "low", "close", "traded",
    "interest", "interest_high", "interest_low", "exchange",
)  # fmt: skip
_WIRE_PACKET = np.dtype([("length", ">u2"), *((name, ">u4") for name in _WIRE_NAMES), ("depth", _WIRE_LEVEL, (10,))])


def full_frame(packets: int, *, first: int = 0, seed: int = 1) -> tuple[bytes, dict[int, int]]:
    """A full-mode frame with depth and the instruments by token that it speaks of, from number `first` on."""
    draw = np.random.default_rng(seed_for(seed, "kite frame", packets, first))
    tokens = [(40_000 + first + number) * 256 + 2 for number in range(packets)]
    parts = [struct.pack(">H", packets)]
    for token in tokens:
        price = int(draw.integers(5_000, 3_000_000))
        counts = [int(value) for value in draw.integers(1, 5_000_000, 14)]
        packet = _FULL.pack(
            token, price, counts[0], price + 5, counts[1], counts[2], counts[3], price, price + 500, price - 500,
            price - 100, _TEN_O_CLOCK - 1, counts[4], counts[4] + 75, counts[4] - 1, _TEN_O_CLOCK,
        )  # fmt: skip
        levels = [_LEVEL.pack(counts[level + 4], price + 5 * level, level + 1, 0) for level in range(10)]
        parts += [struct.pack(">H", 184), packet, *levels]
    return b"".join(parts), {token: first + number for number, token in enumerate(tokens)}


def measure_parse(*, seconds_per_figure: float = 0.3) -> dict[str, dict[str, float]]:
    """By packets in a frame: packets a second of ours, of the SDK's parser and of the floor, and the ratios. The last
    figure is of many small frames that arrived since the last turn."""
    figures = {
        f"{packets} packets a frame": _compared([full_frame(packets)[0]], packets, seconds_per_figure)
        for packets in FRAME_PACKETS
    }
    small = [full_frame(1, first=number)[0] for number in range(TURN_FRAMES)]
    figures[f"1 packet a frame, {TURN_FRAMES} frames a turn"] = _compared(small, 1, seconds_per_figure)
    return figures


def _compared(frames: list[bytes], packets: int, seconds: float) -> dict[str, float]:
    """`packets` is how many each frame has."""
    decoder, sdk = KiteDecoder(full_frame(packets * len(frames))[1]), _sdk_parser()
    total = packets * len(frames)
    ours = total / seconds_a_call(lambda: decoder.decode_all(frames, received_ns=1), seconds)
    sdks = total / seconds_a_call(lambda: [sdk(frame) for frame in frames], seconds)
    floor = total / seconds_a_call(lambda: [_columns(frame, packets) for frame in frames], seconds)
    return compared(packets, ours=ours, sdk=sdks, floor=floor)


def _columns(frame: bytes, packets: int) -> list[Any]:
    """Every field as a column of native numbers: for frames of nothing but full packets, without a look at a token."""
    wire = np.frombuffer(frame, _WIRE_PACKET, packets, 2)
    columns: list[Any] = [wire[name].astype(np.int64) for name in _WIRE_NAMES]
    columns += [wire["depth"][name].astype(np.int64) for name in ("quantity", "price", "orders")]
    return columns


def _sdk_parser() -> Callable[[bytes], object]:
    """The official SDK's own parser, of a ticker that never connects."""
    from kiteconnect import KiteTicker  # type: ignore[import-untyped]

    logging.getLogger("kiteconnect").setLevel(logging.CRITICAL)
    parser: Callable[[bytes], object] = KiteTicker("key", "token")._parse_binary
    return parser
