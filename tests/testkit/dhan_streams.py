"""Dhan's sockets from a test's thread: frames as they come, the official clients in their threads, both decoders."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import numpy as np
from dhanhq import MarketFeed, OrderUpdate
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from testkit.dhan_market import Desk
from tradebus.brokers.dhan import DhanDecoder
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.records import (
    QUOTE_HAS_AVERAGE_PRICE,
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_PREVIOUS_CLOSE,
    QUOTE_HAS_PRICE,
)
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.time import ist_datetime

SEGMENT_NUMBERS = {"IDX_I": 0, "NSE_EQ": 1, "NSE_FNO": 2, "BSE_EQ": 4, "BSE_FNO": 8}
TICKER, QUOTE, FULL = 15, 17, 21
_SILENCE_SECONDS = 0.15
_PATIENCE_SECONDS = 5.0


def until(done: Callable[[], bool], what: str) -> None:
    """Waits for what another thread brings about."""
    deadline_ns = monotonic_ns() + int(_PATIENCE_SECONDS * 1e9)
    while not done():
        assert monotonic_ns() < deadline_ns, f"in {_PATIENCE_SECONDS:g} s there was no {what}"
        time.sleep(0.005)


class Tap:
    """One market-feed connection that keeps every frame as it came."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def say(self, code: int, listed: Sequence[ListedInstrument]) -> None:
        """One subscription message, however many instruments."""
        named = [{"ExchangeSegment": each.broker_segment, "SecurityId": each.token} for each in listed]
        self._connection.send(json.dumps({"RequestCode": code, "InstrumentCount": len(named), "InstrumentList": named}))

    def say_text(self, text: str) -> None:
        """Anything."""
        self._connection.send(text)

    def frames(self) -> list[bytes]:
        """All that comes until nothing does for a moment."""
        found: list[bytes] = []
        try:
            while True:
                frame = self._connection.recv(timeout=_SILENCE_SECONDS)
                assert isinstance(frame, bytes)
                found.append(frame)
        except (TimeoutError, ConnectionClosed):
            return found

    def goodbye(self) -> int:
        """The reason of the disconnect packet, after which the socket must be closed."""
        last = self.frames()[-1]
        assert (last[0], len(last)) == (50, 10)
        with np.testing.assert_raises(ConnectionClosed):
            self._connection.recv(timeout=_PATIENCE_SECONDS)
        return int.from_bytes(last[8:10], "little")


@contextmanager
def tap(desk: Desk, *, token: str | None = None, client: str | None = None) -> Iterator[Tap]:
    """Connects as the SDK does; another token or client id may be claimed."""
    query = {
        "version": 2, "token": desk.token if token is None else token,
        "clientId": desk.account if client is None else client, "authType": 2,
    }  # fmt: skip
    with connect(f"{desk.market.box.dhan_url.replace('http', 'ws')}/?{urlencode(query)}") as connection:
        yield Tap(connection)


class SdkFeed:
    """The official MarketFeed, unchanged, in its own thread."""

    def __init__(self, desk: Desk, wanted: Sequence[tuple[ListedInstrument, int]]) -> None:
        MarketFeed.market_feed_wss = f"{desk.market.box.dhan_url.replace('http', 'ws')}/"
        self.told: list[Any] = []
        self.closed = threading.Event()
        named = [(SEGMENT_NUMBERS[each.broker_segment], each.token, code) for each, code in wanted]
        self.feed = MarketFeed(
            desk.sdk.context, named, "v2", on_message=lambda feed, data: self.told.append(data),
            on_close=lambda feed: self.closed.set(),
        )  # fmt: skip
        self.thread = self.feed.start()

    def stop(self) -> None:
        """Ends the thread. The client's own `close_connection` may wait for ever: it waits for its loop, which ends."""
        self.feed._running = False
        asyncio.run_coroutine_threadsafe(self.feed.ws.close(), self.feed.loop)
        self.thread.join(_PATIENCE_SECONDS)
        assert not self.thread.is_alive()
        self.feed.loop.close()


class SdkUpdates:
    """The official OrderUpdate, unchanged, in its own thread. It prints the token, so nobody reads what it prints."""

    def __init__(self, desk: Desk) -> None:
        self.told: list[dict[str, Any]] = []
        client = OrderUpdate(desk.sdk.context)
        client.order_feed_wss = f"{desk.market.box.dhan_url.replace('http', 'ws')}/orders"
        client.on_update = self.told.append
        self.thread = threading.Thread(target=client.connect_to_dhan_websocket_sync, daemon=True)
        self.thread.start()


def by_sdk(desk: Desk, frames: Sequence[bytes]) -> list[Any]:
    """What the official client makes of each frame."""
    client = MarketFeed(desk.sdk.context, [], "v2")
    try:
        return [client.process_data(frame) for frame in frames]
    finally:
        client.loop.close()


def by_adapter(listed: Sequence[ListedInstrument], frames: Sequence[bytes]) -> list[np.ndarray]:
    """What our decoder makes of each frame: QUOTE records [0 or 1]."""
    decoder = DhanDecoder(dict(enumerate(listed)))
    return [decoder.decode(frame, received_ns=1).quotes for frame in frames]


def same(told: dict[str, Any], record: np.void) -> None:
    """The SDK's texts and our integers are the same numbers, field by field."""
    has = int(record["fields"])
    names: dict[str, tuple[str, int]] = {}
    if has & QUOTE_HAS_PRICE:
        names["LTP"] = ("price_paise", 100)
        assert told["LTT"] == f"{ist_datetime(int(record['ts_last_trade_ns'])):%H:%M:%S}"
    if has & QUOTE_HAS_AVERAGE_PRICE:
        names |= {
            "LTQ": ("last_quantity", 1), "volume": ("volume_cumulative", 1), "open": ("open_paise", 100),
            "total_sell_quantity": ("total_sell_quantity", 1), "total_buy_quantity": ("total_buy_quantity", 1),
            "close": ("previous_close_paise", 100), "high": ("high_paise", 100), "low": ("low_paise", 100),
        }  # fmt: skip
        assert abs(float(told["avg_price"]) * 100 - int(record["average_price_paise"])) <= 1
    elif has & QUOTE_HAS_PREVIOUS_CLOSE:
        names["prev_close"] = ("previous_close_paise", 100)
    if has & QUOTE_HAS_OPEN_INTEREST and "OI" in told:
        names["OI"] = ("open_interest", 1)
    for name, (field, factor) in names.items():
        assert round(float(told[name]) * factor) == record[field], (name, told, record)
    if has & QUOTE_HAS_DEPTH:
        for level, row in enumerate(told["depth"]):
            for side in ("bid", "ask"):
                assert round(float(row[f"{side}_price"]) * 100) == record[f"{side}_paise"][level]
                assert row[f"{side}_quantity"] == record[f"{side}_quantity"][level]
                assert row[f"{side}_orders"] == record[f"{side}_orders"][level]
