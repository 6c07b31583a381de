"""Who hears what of the market: subscriptions, and one encoding per mode for all of them.

    exchange.listen_quotes() ─► per batch: encode each mode once ─► per kind of subscription one frame ─► connections

Connections with equal subscriptions share the bytes of a frame. A connection that does not keep up loses its oldest
frames, as the exchange's own listeners do.
"""

import asyncio
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from services.sandbox.faces.upstox.feed_wire import (
    MODES,
    Entries,
    FeedWire,
    StreamMode,
    feed_frame,
    market_info_frame,
    market_states,
)
from services.sandbox.faces.upstox.subscription import NONE, FeedSubscriber
from services.sandbox.faces.upstox.words import milliseconds
from services.sandbox.ports import Exchange, Reading
from tradebus.contracts.records import Records

_QUIET_SECONDS = 1.0  # how long a quiet market goes without a look at its state
_CONNECTIONS_MAX = 5  # of one user: every account of the sandbox has Plus


class _Audience:
    """The subscriptions as they are: which instruments anybody wants in a mode, and who wants the same."""

    def __init__(self, subscriptions: Iterable[FeedSubscriber], instruments: int) -> None:
        self.anybody: dict[StreamMode, npt.NDArray[np.bool_]] = {}
        groups: dict[bytes, list[FeedSubscriber]] = {}
        for subscription in subscriptions:
            for mode, rows in subscription.rows.items():
                self.anybody.setdefault(mode, np.zeros(instruments, np.bool_))[rows] = True
            if subscription.signature:
                groups.setdefault(subscription.signature, []).append(subscription)
        self.groups = list(groups.values())


class FeedHub:
    """All market-feed connections of the face. Runs while there is one."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._subscriptions: dict[FeedSubscriber, None] = {}  # in the order they came
        self._audience: _Audience | None = None  # None where a subscription has changed since
        self._wire: FeedWire | None = None
        self._listed: object = None
        self._running: asyncio.Task[None] | None = None
        self._states: tuple[str, ...] = ()

    def join(self, account: str) -> FeedSubscriber:
        """A new connection; its first frame is the market's state. Beyond what a user may have, the oldest ends."""
        of_user = [each for each in self._subscriptions if each.account == account and not each.ended]
        for oldest in of_user[: max(0, len(of_user) + 1 - _CONNECTIONS_MAX)]:
            oldest.end()
        subscription = FeedSubscriber(account, len(self._exchange.instruments))
        self._subscriptions[subscription] = None
        if self._running is None or self._running.done():
            self._wire = None
            self._running = asyncio.create_task(self._run(), name="upstox feed")
        subscription.push(market_info_frame(self._exchange.now_ns))
        return subscription

    def leave(self, subscription: FeedSubscriber) -> None:
        self._subscriptions.pop(subscription, None)
        self._audience = None
        if not self._subscriptions and self._running is not None:
            self._running.cancel()
            self._running = None

    def subscribe(self, subscription: FeedSubscriber, keys: Iterable[str], mode: StreamMode) -> None:
        """Adds keys or changes their mode, and sends their snapshot. Unknown keys are passed over, as at Upstox.

        Raises TooManyKeys.
        """
        rows = self._rows(keys)
        subscription.set(rows, mode)
        self._audience = None
        if len(rows):
            entries = self._encoder().encode(self._exchange.quotes[rows], mode)
            now_ms = milliseconds(self._exchange.now_ns)
            subscription.push(feed_frame(entries.all, now_ms=now_ms, live=False))

    def unsubscribe(self, subscription: FeedSubscriber, keys: Iterable[str]) -> None:
        subscription.clear(self._rows(keys))
        self._audience = None

    def handle(self, subscription: FeedSubscriber, message: object) -> None:
        """One request of a client, already parsed. What is no request is passed over. Raises TooManyKeys."""
        data = message.get("data") if isinstance(message, dict) else None
        keys = data.get("instrumentKeys") if isinstance(data, dict) else None
        if not isinstance(message, dict) or not isinstance(data, dict) or not isinstance(keys, list):
            return
        wanted = [key for key in keys if isinstance(key, str)]
        method, mode = message.get("method"), data.get("mode")
        if method in ("sub", "change_mode"):
            chosen = MODES.get(mode) if isinstance(mode, str) else StreamMode.LTPC if mode is None else None
            if chosen is not None:
                self.subscribe(subscription, wanted, chosen)
        elif method == "unsub":
            self.unsubscribe(subscription, wanted)

    def publish(self, batch: Records) -> None:
        """Sends one batch of quotes to whoever wants them."""
        wire = self._encoder()
        wire.follow(batch)
        if self._audience is None:
            self._audience = _Audience(self._subscriptions, len(self._exchange.instruments))
        audience = self._audience
        batch = _last_of_each(batch, len(self._exchange.instruments))
        rows = batch["instrument"].astype(np.int64)
        encoded: dict[StreamMode, tuple[Entries, npt.NDArray[np.int64]]] = {}
        for mode, anybody in audience.anybody.items():
            at = np.flatnonzero(anybody[rows])
            if len(at):
                place_of = np.full(len(anybody), NONE, np.int64)  # by instrument: where its entry is
                place_of[rows[at]] = np.arange(len(at))
                encoded[mode] = wire.encode(batch[at], mode), place_of
        now_ms = milliseconds(self._exchange.now_ns)
        for members in audience.groups:
            pieces = _pieces(members[0], encoded)
            if pieces:
                frame = feed_frame(pieces, now_ms=now_ms, live=True)
                for member in members:
                    member.push(frame)

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


async def _waiting(queue: Reading[Records]) -> list[Records]:
    """All batches that have come, in order; waits a while for the first."""
    try:
        async with asyncio.timeout(_QUIET_SECONDS):
            batches = [await queue.get()]
    except TimeoutError:
        return []
    while not queue.empty():
        batches.append(queue.get_nowait())
    return batches


def _pieces(
    subscription: FeedSubscriber, encoded: dict[StreamMode, tuple[Entries, npt.NDArray[np.int64]]]
) -> list[memoryview]:
    """Of what was encoded, what the subscription wants."""
    pieces: list[memoryview] = []
    for mode, rows in subscription.rows.items():
        if mode in encoded:
            entries, place_of = encoded[mode]
            places = place_of[rows]
            pieces += entries.of(places[places != NONE])
    return pieces


def _last_of_each(batch: Records, instruments: int) -> Records:
    """A map holds a key once: the newest quote of each instrument, in the batch's order."""
    places = np.arange(len(batch))
    last = np.zeros(instruments, np.int64)
    last[batch["instrument"]] = places
    keep = last[batch["instrument"]] == places
    return batch if keep.all() else batch[keep]
