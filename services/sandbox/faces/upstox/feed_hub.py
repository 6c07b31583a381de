"""Who hears what of the market: subscriptions, and one encoding per mode for all of them.

    exchange.listen_quotes() ─► per batch: encode each mode once ─► per kind of subscription one frame ─► connections

Connections with equal subscriptions share the bytes of a frame. A connection that does not keep up loses its oldest
frames, as the exchange's own listeners do.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from services.sandbox.faces.upstox.feed_wire import (
    MODES,
    Entries,
    FeedWire,
    Mode,
    feed_frame,
    market_info_frame,
    market_states,
)
from services.sandbox.faces.upstox.words import milliseconds
from services.sandbox.ports import Exchange
from tradebus.contracts.records import Records

_FRAMES_HELD_MAX = 1024
_QUIET_SECONDS = 1.0  # how long a quiet market goes without a look at its state
# Keys per connection: alone, and where it has keys in several modes (BROKERS 3.3).
_KEYS_MAX = {
    Mode.LTPC: (5000, 2000),
    Mode.OPTION_GREEKS: (3000, 2000),
    Mode.FULL: (2000, 1500),
    Mode.FULL_D30: (50, 50),
}
_NONE = -1


class TooManyKeys(Exception):
    """More keys than a connection may have."""


class Subscription:
    """One connection: what it wants, and the frames that wait for it."""

    def __init__(self, account: str, instruments: int) -> None:
        self.account = account
        self.modes = np.full(instruments, _NONE, np.int8)
        self.signature = b""
        self.frames: deque[bytes] = deque(maxlen=_FRAMES_HELD_MAX)
        self.waiting = asyncio.Event()

    def push(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.waiting.set()

    async def next_frame(self) -> bytes:
        while not self.frames:
            self.waiting.clear()
            await self.waiting.wait()
        return self.frames.popleft()

    def set(self, rows: npt.NDArray[np.int64], mode: Mode) -> None:
        """Raises TooManyKeys, changing nothing."""
        following = self.modes.copy()
        following[rows] = mode.value
        counts = {kind: int(np.count_nonzero(following == kind.value)) for kind in Mode}
        mixed = sum(count > 0 for count in counts.values()) > 1
        for kind, count in counts.items():
            most = _KEYS_MAX[kind][mixed]
            if count > most:
                raise TooManyKeys(f"{count} keys in this mode; a connection may have {most}")
        self._take(following)

    def clear(self, rows: npt.NDArray[np.int64]) -> None:
        following = self.modes.copy()
        following[rows] = _NONE
        self._take(following)

    def _take(self, following: npt.NDArray[np.int8]) -> None:
        self.modes = following
        self.signature = following.tobytes() if (following != _NONE).any() else b""


class FeedHub:
    """All market-feed connections of the face. Runs while there is one."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._subscriptions: set[Subscription] = set()
        self._wire: FeedWire | None = None
        self._listed: object = None
        self._running: asyncio.Task[None] | None = None
        self._states: tuple[str, ...] = ()

    def join(self, account: str) -> Subscription:
        """A new connection; its first frame is the market's state."""
        subscription = Subscription(account, len(self._exchange.instruments))
        self._subscriptions.add(subscription)
        if self._running is None or self._running.done():
            self._wire = None
            self._running = asyncio.create_task(self._run(), name="upstox feed")
        subscription.push(market_info_frame(self._exchange.now_ns))
        return subscription

    def leave(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        if not self._subscriptions and self._running is not None:
            self._running.cancel()
            self._running = None

    def subscribe(self, subscription: Subscription, keys: Iterable[str], mode: Mode) -> None:
        """Adds keys or changes their mode, and sends their snapshot. Unknown keys are passed over, as at Upstox.

        Raises TooManyKeys.
        """
        rows = self._rows(keys)
        subscription.set(rows, mode)
        if len(rows):
            entries = self._encoder().encode(self._exchange.quotes[rows], mode)
            snapshot = feed_frame(
                entries.of(np.ones(len(rows), np.bool_)), now_ms=milliseconds(self._exchange.now_ns), live=False
            )  # fmt: skip
            subscription.push(snapshot)

    def unsubscribe(self, subscription: Subscription, keys: Iterable[str]) -> None:
        subscription.clear(self._rows(keys))

    def handle(self, subscription: Subscription, message: object) -> None:
        """One request of a client, already parsed. What is no request is passed over. Raises TooManyKeys."""
        data = message.get("data") if isinstance(message, dict) else None
        keys = data.get("instrumentKeys") if isinstance(data, dict) else None
        if not isinstance(message, dict) or not isinstance(data, dict) or not isinstance(keys, list):
            return
        wanted = [key for key in keys if isinstance(key, str)]
        method, mode = message.get("method"), data.get("mode")
        if method in ("sub", "change_mode"):
            chosen = MODES.get(mode) if isinstance(mode, str) else Mode.LTPC if mode is None else None
            if chosen is not None:
                self.subscribe(subscription, wanted, chosen)
        elif method == "unsub":
            self.unsubscribe(subscription, wanted)

    def publish(self, batch: Records) -> None:
        """Sends one batch of quotes to whoever wants them."""
        wire = self._encoder()
        wire.follow(batch)
        batch = _last_of_each(batch, len(self._exchange.instruments))
        rows = batch["instrument"].astype(np.int64)
        groups: dict[bytes, list[Subscription]] = {}
        for subscription in self._subscriptions:
            if subscription.signature:
                groups.setdefault(subscription.signature, []).append(subscription)
        wanted = {signature: members[0].modes[rows] for signature, members in groups.items()}
        encoded = self._encode(wire, batch, list(wanted.values()))
        now_ms = milliseconds(self._exchange.now_ns)
        for signature, members in groups.items():
            pieces: list[memoryview] = []
            for mode, (entries, at) in encoded.items():
                pieces += entries.of((wanted[signature] == mode.value)[at])
            if pieces:
                frame = feed_frame(pieces, now_ms=now_ms, live=True)
                for member in members:
                    member.push(frame)

    def _encode(
        self, wire: FeedWire, batch: Records, wanted: list[npt.NDArray[np.int8]]
    ) -> dict[Mode, tuple[Entries, npt.NDArray[np.int64]]]:
        """Per mode somebody wants: its entries, and which quotes of the batch they are."""
        found = {}
        for mode in Mode:
            anybody = np.zeros(len(batch), np.bool_)
            for modes in wanted:
                anybody |= modes == mode.value
            at = np.flatnonzero(anybody)
            if len(at):
                found[mode] = (wire.encode(batch[at], mode), at)
        return found

    async def _run(self) -> None:
        queue = self._exchange.listen_quotes()
        self._states = market_states(self._exchange.now_ns)
        try:
            while True:
                batches = await _waiting(queue)
                self._tell_states()
                for batch in batches:
                    self.publish(batch)
        finally:
            self._exchange.unlisten(queue)

    def _tell_states(self) -> None:
        states = market_states(self._exchange.now_ns)
        if states != self._states:
            self._states = states
            frame = market_info_frame(self._exchange.now_ns)
            for subscription in self._subscriptions:
                subscription.push(frame)

    def _encoder(self) -> FeedWire:
        if self._wire is None or self._listed is not self._exchange.instruments:
            self._wire, self._listed = FeedWire(self._exchange), self._exchange.instruments
        return self._wire

    def _rows(self, keys: Iterable[str]) -> npt.NDArray[np.int64]:
        found = (self._exchange.by_upstox_key(key) for key in dict.fromkeys(keys))
        return np.array([item.index for item in found if item is not None], np.int64)


async def _waiting(queue: "asyncio.Queue[Records]") -> list[Records]:
    """All batches that have come, in order; waits a while for the first."""
    try:
        async with asyncio.timeout(_QUIET_SECONDS):
            batches = [await queue.get()]
    except TimeoutError:
        return []
    while not queue.empty():
        batches.append(queue.get_nowait())
    return batches


def _last_of_each(batch: Records, instruments: int) -> Records:
    """A map holds a key once: the newest quote of each instrument, in the batch's order."""
    places = np.arange(len(batch))
    last = np.zeros(instruments, np.int64)
    last[batch["instrument"]] = places
    keep = last[batch["instrument"]] == places
    return batch if keep.all() else batch[keep]
