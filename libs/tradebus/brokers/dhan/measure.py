"""How fast feed messages become records here, beside the official SDK's parser and beside the floor: the same packets
seen through a numpy layout and copied to columns, which decodes nothing.

The SDK is given one packet a message, for it loses what is stacked behind the first. `tradebus bench parse` prints what
`measure_parse` returns. Nothing is asserted.
"""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from tradebus.brokers.common.timing import compared
from tradebus.brokers.dhan.decoder import DhanDecoder
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.kernel.rng import seed_for
from tradebus.kernel.timing import seconds_a_call

MESSAGE_PACKETS = (1, 10, 200, 1_000)
FULL = struct.Struct("<BHBIfHIfIIIIIIffff")
LEVEL = struct.Struct("<IIHHff")
FULL_BYTES = 162
_FNO = 2
_TEN_O_CLOCK_INDIAN = 1_795_600_800  # seconds as Dhan counts them, some trading morning

_WIRE_LEVEL = np.dtype(
    [
        ("bid_quantity", "<u4"), ("ask_quantity", "<u4"), ("bid_orders", "<u2"), ("ask_orders", "<u2"),
        ("bid", "<f4"), ("ask", "<f4"),
    ]
)  # fmt: skip
_WIRE_PACKET = np.dtype(
    [
        ("code", "u1"), ("length", "<u2"), ("segment", "u1"), ("security", "<u4"), ("ltp", "<f4"), ("ltq", "<u2"),
        ("ltt", "<u4"), ("atp", "<f4"), ("volume", "<u4"), ("sell", "<u4"), ("buy", "<u4"), ("oi", "<u4"),
        ("oi_high", "<u4"), ("oi_low", "<u4"), ("open", "<f4"), ("close", "<f4"), ("high", "<f4"), ("low", "<f4"),
        ("depth", _WIRE_LEVEL, (5,)),
    ]
)  # fmt: skip


def full_packets(packets: int, *, seed: int = 1) -> tuple[list[bytes], dict[int, ListedInstrument]]:
    """Full packets with depth, and the instruments they speak of."""
    draw = np.random.default_rng(seed_for(seed, "dhan packets", packets))
    listed = {number: _listed(40_000 + number) for number in range(packets)}
    made = []
    for instrument in listed.values():
        price = int(draw.integers(1_000, 3_000_000)) / 100
        counts = [int(value) for value in draw.integers(1, 2_000_000, 16)]
        head = FULL.pack(
            8, FULL_BYTES, _FNO, int(instrument.token), price, counts[0] % 65_536, _TEN_O_CLOCK_INDIAN, price + 0.03,
            *counts[1:7], price - 5, price - 10, price + 20, price - 20,
        )  # fmt: skip
        levels = [
            LEVEL.pack(
                counts[level], counts[level + 5], level + 1, level + 2, price - 0.05 * level, price + 0.05 * level
            )
            for level in range(5)
        ]
        made.append(b"".join([head, *levels]))
    return made, listed


def measure_parse(*, seconds_per_figure: float = 0.3) -> dict[str, dict[str, float]]:
    """By how packets come, packets a second of ours, of the SDK's parser and of the floor, and the ratios."""
    sdk = sdk_parser()
    figures: dict[str, dict[str, float]] = {}
    for packets in MESSAGE_PACKETS:
        made, listed = full_packets(packets)
        for name, messages in {"a message": [b"".join(made)], "a turn, each a message": made}.items():
            figures[f"dhan, {packets} packets {name}"] = _figures(made, messages, listed, sdk, seconds_per_figure)
    return figures


def _figures(
    made: list[bytes],
    messages: list[bytes],
    listed: dict[int, ListedInstrument],
    sdk: Callable[[bytes], Any],
    seconds: float,
) -> dict[str, float]:
    decoder, body, few = DhanDecoder(listed), b"".join(made), made[:50]
    ours = len(made) / seconds_a_call(lambda: decoder.decode_all(messages, received_ns=1), seconds)
    theirs = len(few) / seconds_a_call(lambda: [sdk(packet) for packet in few], seconds)
    floor = len(made) / seconds_a_call(lambda: _columns(body), seconds)
    return compared(len(made), ours=ours, sdk=theirs, floor=floor)


def sdk_parser() -> Callable[[bytes], Any]:
    """The official SDK's own parser, of a feed that never connects."""
    import asyncio

    from dhanhq import DhanContext, MarketFeed  # type: ignore[import-untyped]

    feed = MarketFeed(DhanContext("1", "token"), [])
    feed.loop.close()  # it makes one for itself, and the thread's
    asyncio.set_event_loop(None)
    parser: Callable[[bytes], Any] = feed.process_data
    return parser


def _listed(security_id: int) -> ListedInstrument:
    key = InstrumentKey(Segment.NSE, f"S{security_id}")
    return ListedInstrument(key, str(security_id), "NSE_FNO", key.name, lot_size=1, tick_size_paise=5)


def _columns(message: bytes) -> list[Any]:
    """Every field as a column of native numbers: for nothing but full packets, without a look at a security id."""
    wire = np.frombuffer(message, _WIRE_PACKET)
    columns: list[Any] = [
        wire[name].astype(np.float64 if wire.dtype[name].kind == "f" else np.int64)
        for name in _WIRE_PACKET.names or ()
        if name != "depth"
    ]
    depth = wire["depth"]
    return columns + [
        depth[name].astype(np.float64 if depth.dtype[name].kind == "f" else np.int64)
        for name in _WIRE_LEVEL.names or ()
    ]
