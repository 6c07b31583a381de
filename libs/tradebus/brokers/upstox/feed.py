"""Upstox's market feed behind the MarketFeed port: subscriptions, reconnects, frames to batches.

authorize ─► wss ─► market_info ─► initial_feed (a snapshot) ─► live_feed … ; requests are JSON in binary frames
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing

import numpy as np
import structlog

from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import Frame, Send, SocketTiming
from tradebus.brokers.upstox.authorised import AuthorisedSocket
from tradebus.brokers.upstox.client import UpstoxClient
from tradebus.brokers.upstox.decoder import UpstoxDecoder
from tradebus.brokers.upstox.limits import MODES, check_limits
from tradebus.contracts.records import Records
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import IdSource, RandomIds

_KEYS_A_REQUEST = 500  # keeps a request far below what a server's frame limit may be
_log = structlog.get_logger()


class UpstoxFeed:
    """One connection. `modes` may replace what a FeedMode asks for (`{FeedMode.FULL: "full_d30"}` on Plus)."""

    def __init__(
        self,
        client: UpstoxClient,
        *,
        timing: SocketTiming | None = None,
        modes: Mapping[FeedMode, str] | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        self._client, self._plus = client, client.settings.plus
        self._word_of = MODES | dict(modes or {})
        self._clock, self._ids = clock or client.timers, ids or RandomIds()
        self._wanted: dict[int, tuple[str, str]] = {}  # by instrument: key and mode
        self._decoder = UpstoxDecoder()
        self._skipped = 0
        self._socket = AuthorisedSocket(
            "upstox feed", self._client,
            lambda sdk, raw: sdk.api("WebsocketApi").get_market_data_feed_authorize_v3(**raw),
            opened=self._say_all, timing=timing,
        )  # fmt: skip

    async def subscribe(self, instruments: Mapping[int, ListedInstrument], mode: FeedMode) -> None:
        """Raises InvalidInput beyond the limits of BROKERS 3.3, or where two instruments share a key."""
        word = self._word_of[mode]
        wanted = self._wanted | {instrument: (listing.token, word) for instrument, listing in instruments.items()}
        check_limits({instrument: used for instrument, (_, used) in wanted.items()}, plus=self._plus)
        owners: dict[str, int] = {}
        for instrument, (key, _) in wanted.items():
            if "|" not in key or owners.setdefault(key, instrument) != instrument:
                raise InvalidInput(f"upstox feed: {key[:60]!r} is no instrument key, or another instrument's already")
        new, changed, dropped = _differences(self._wanted, wanted)
        self._wanted = wanted
        self._know()
        await self._say(self._requests("unsub", dropped))
        await self._say(self._requests("sub", new))
        await self._say(self._requests("change_mode", changed))

    async def unsubscribe(self, instruments: Sequence[int]) -> None:
        gone = {key: "" for key, _ in (self._wanted.pop(each) for each in instruments if each in self._wanted)}
        self._know()
        await self._say(self._requests("unsub", gone))

    async def batches(self) -> AsyncIterator[Records | FeedEvent]:
        async with aclosing(self._socket.frames()) as items:
            async for item in items:
                if isinstance(item, FeedEvent):
                    yield item
                    continue
                quotes, events = self._decoded(item)
                for event in events:
                    yield event
                if quotes is not None:
                    yield quotes

    async def close(self) -> None:
        await self._socket.socket.close()

    @property
    def skipped(self) -> int:
        """Frames that could not be read, and feeds that nobody asked for, since the start."""
        return self._skipped

    def _decoded(self, frames: Sequence[Frame]) -> tuple[Records | None, list[FeedEvent]]:
        received_ns = self._clock.now_ns()
        batches, events = [], []
        for frame in frames:
            if isinstance(frame, str):
                events.append(FeedEvent(FeedEventKind.NOTICE, self._client.redactor.text(frame)[:200]))
                continue
            decoded = self._decoder.decode(frame, received_ns=received_ns)
            self._skipped += decoded.skipped
            events.extend(decoded.events)
            if len(decoded.quotes):
                batches.append(decoded.quotes)
        if not batches:
            return None, events
        return batches[0] if len(batches) == 1 else np.concatenate(batches), events

    def _know(self) -> None:
        self._decoder.know({key: instrument for instrument, (key, _) in self._wanted.items()})

    async def _say_all(self, send: Send) -> None:
        for request in self._requests("sub", dict(self._wanted.values())):
            await send(request)

    async def _say(self, requests: Iterable[bytes]) -> None:
        """On the connection as it is; where there is none, the next one is told everything."""
        for request in requests:
            await self._socket.socket.send(request)

    def _requests(self, method: str, keys: Mapping[str, str]) -> list[bytes]:
        """`keys` with their modes; one request per mode and so many keys."""
        requests = []
        for mode in sorted(set(keys.values())):
            of_mode = [key for key, word in keys.items() if word == mode]
            for start in range(0, len(of_mode), _KEYS_A_REQUEST):
                data = {"instrumentKeys": of_mode[start : start + _KEYS_A_REQUEST]} | ({"mode": mode} if mode else {})
                request = {"guid": self._ids.new_id(), "method": method, "data": data}
                requests.append(json.dumps(request).encode())
        return requests


def _differences(
    before: Mapping[int, tuple[str, str]], after: Mapping[int, tuple[str, str]]
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Keys with modes: new ones, those whose mode changes, those that an instrument of another key left behind."""
    old, now = dict(before.values()), dict(after.values())
    new = {key: mode for key, mode in now.items() if key not in old}
    changed = {key: mode for key, mode in now.items() if old.get(key, mode) != mode}
    return new, changed, {key: "" for key in old if key not in now}
