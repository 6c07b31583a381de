"""How fast ticker frames become records here, beside the official SDK's parser and beside the floor: the same packets
seen through a numpy layout and copied to columns, which decodes nothing.

`tradebus bench parse` prints what `measure_parse` returns. Nothing is asserted.
"""

import logging
import struct
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from tradebus.brokers.kite.decoder import KiteDecoder
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.rng import seed_for

FRAME_PACKETS = (1, 10, 200, 1_000)
ROUNDS = 7
_FULL = struct.Struct(">2I5I4I5I")
_LEVEL = struct.Struct(">IIHH")
_TEN_O_CLOCK = 1_795_581_000  # seconds, some trading morning

_WIRE_LEVEL = np.dtype([("quantity", ">u4"), ("price", ">u4"), ("orders", ">u2"), ("padding", ">u2")])
_WIRE_NAMES = (
    "token", "price", "last_quantity", "average", "volume", "buy", "sell", "open", "high", "low", "close", "traded",
    "interest", "interest_high", "interest_low", "exchange",
)  # fmt: skip
_WIRE_PACKET = np.dtype([("length", ">u2"), *((name, ">u4") for name in _WIRE_NAMES), ("depth", _WIRE_LEVEL, (10,))])


def full_frame(packets: int, *, seed: int = 1) -> tuple[bytes, dict[int, int]]:
    """A full-mode frame with depth and the instruments by token that it speaks of."""
    draw = np.random.default_rng(seed_for(seed, "kite frame", packets))
    tokens = [(40_000 + number) * 256 + 2 for number in range(packets)]
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
    return b"".join(parts), {token: number for number, token in enumerate(tokens)}


def measure_parse(*, seconds_per_figure: float = 0.3) -> dict[str, dict[str, float]]:
    """By packets in a frame: packets a second of ours, of the SDK's parser and of the floor, and the ratios."""
    sdk = _sdk_parser()
    figures: dict[str, dict[str, float]] = {}
    for packets in FRAME_PACKETS:
        frame, instruments = full_frame(packets)
        decoder = KiteDecoder(instruments)
        calls: dict[str, Callable[[], object]] = {
            "ours": lambda frame=frame, decoder=decoder: decoder.decode(frame, received_ns=1),  # type: ignore[misc]
            "sdk": lambda frame=frame: sdk(frame),  # type: ignore[misc]
            "floor": lambda frame=frame, packets=packets: _columns(frame, packets),  # type: ignore[misc]
        }
        rate = {name: packets / _seconds(call, seconds_per_figure) for name, call in calls.items()}
        figures[f"kite, {packets} packets a frame"] = {
            "packets": packets,
            "ours_per_second": rate["ours"],
            "sdk_per_second": rate["sdk"],
            "floor_per_second": rate["floor"],
            "ours_to_sdk": rate["ours"] / rate["sdk"],
            "floor_to_sdk": rate["floor"] / rate["sdk"],
        }
    return figures


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


def _seconds(call: Callable[[], object], seconds: float) -> float:
    """Seconds of one call: the median over rounds of enough calls to fill the time."""
    call()
    started_ns = monotonic_ns()
    call()
    once_ns = max(1, monotonic_ns() - started_ns)
    repeats = max(1, int(seconds * 1e9 / ROUNDS / once_ns))
    took_ns = []
    for _ in range(ROUNDS):
        started_ns = monotonic_ns()
        for _ in range(repeats):
            call()
        took_ns.append((monotonic_ns() - started_ns) / repeats)
    return median(took_ns) / 1e9
