"""How fast frames become records, beside the official SDK's way on the same frames in the same run."""

from collections.abc import Callable

from tradebus.brokers.upstox.decoder import UpstoxDecoder
from tradebus.brokers.upstox.synthetic import full_frames
from tradebus.kernel.clock import monotonic_ns

_FEEDS_A_FRAME = 20


def measure_parse(*, seconds: float = 1.0, feeds_per_frame: int = _FEEDS_A_FRAME) -> dict[str, float]:
    """Full-mode feeds with depth decoded per second: `ours`, `sdk` (message classes, then a dict, as its streamer does)
    and `message_classes` alone; `ratio` is ours over the SDK's. Frames are generated, the best of three runs counts.

    Raises ImportError where the SDK is not installed.
    """
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
    from upstox_client.feeder.proto import MarketDataFeedV3_pb2  # type: ignore[import-untyped]

    frames, keys = full_frames(64, feeds_per_frame)
    decoder = UpstoxDecoder(keys)
    parse = MarketDataFeedV3_pb2.FeedResponse.FromString
    feeds = {
        "ours": _best(lambda frame: decoder.decode(frame, received_ns=1), frames, seconds),
        "sdk": _best(lambda frame: MessageToDict(parse(frame)), frames, seconds),
        "message_classes": _best(parse, frames, seconds),
    }
    figures = {name: rate * feeds_per_frame for name, rate in feeds.items()}
    return {**figures, "ratio": figures["ours"] / figures["sdk"]}


def _best(decode: Callable[[bytes], object], frames: list[bytes], seconds: float) -> float:
    """Frames a second, the best of three runs of a third of `seconds` each."""
    rates = []
    for _ in range(3):
        done, started_ns = 0, monotonic_ns()
        while monotonic_ns() - started_ns < seconds / 3 * 1e9:
            for frame in frames:
                decode(frame)
            done += len(frames)
        rates.append(done / ((monotonic_ns() - started_ns) / 1e9))
    return max(rates)
