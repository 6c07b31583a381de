"""How fast frames become records, beside the official SDK's way on the same frames in the same run.

`tradebus bench parse` prints what `measure_parse` returns. Nothing is asserted.
"""

from collections.abc import Callable
from functools import partial

from tradebus.brokers.upstox.decoder import UpstoxDecoder
from tradebus.brokers.upstox.synthetic import full_frames
from tradebus.kernel.timing import seconds_a_call

FRAME_FEEDS = (1, 20, 200)
_FRAMES = 32


def measure_parse(*, seconds_per_figure: float = 0.3) -> dict[str, dict[str, float]]:
    """By feeds in a frame, full-mode feeds with five levels a second: of ours (to records), of the SDK's way (its
    message classes, then a dict, as its streamer does), of its message classes alone (nothing read), and the ratios.

    Raises ImportError where the SDK is not installed.
    """
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
    from upstox_client.feeder.proto import MarketDataFeedV3_pb2  # type: ignore[import-untyped]

    parse = MarketDataFeedV3_pb2.FeedResponse.FromString
    figures: dict[str, dict[str, float]] = {}
    for feeds in FRAME_FEEDS:
        frames, keys = full_frames(_FRAMES, feeds)
        decoder = UpstoxDecoder(keys)
        calls: dict[str, Callable[[bytes], object]] = {
            "ours": lambda frame, decoder=decoder: decoder.decode(frame, received_ns=1),  # type: ignore[misc]
            "sdk": lambda frame: MessageToDict(parse(frame)),
            "classes": parse,
        }
        rate = {
            name: feeds * len(frames) / seconds_a_call(partial(_each, call, frames), seconds_per_figure)
            for name, call in calls.items()
        }
        figures[f"upstox, {feeds} feeds a frame"] = {
            "feeds": feeds,
            "ours_per_second": rate["ours"],
            "sdk_per_second": rate["sdk"],
            "message_classes_per_second": rate["classes"],
            "ours_to_sdk": rate["ours"] / rate["sdk"],
            "ours_to_message_classes": rate["ours"] / rate["classes"],
        }
    return figures


def _each(decode: Callable[[bytes], object], frames: list[bytes]) -> None:
    for frame in frames:
        decode(frame)
