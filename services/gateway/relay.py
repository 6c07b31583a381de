"""Everything the services say, told to the outside; and what they could not handle.

    signals, intents, risk, orders, sessions ─► public form ─► trading:events (pub/sub) ─► trading.events.v1, ack
    the dead letters of every stream ─────────► ENTRY_PUT_ASIDE ─┘

Invariants (tested on twins and real servers): an event of any of these streams reaches the durable stream, also when
the gateway is killed on the way; one stream's events keep their order; a bare watermark is acknowledged and not told.
Told twice after a crash, an event has the same id.
"""

import json
from typing import Any

from services.gateway.announce import public_entry
from services.gateway.messages import message
from tradebus.bus.port import Bus, Entry, Origin, Subscription, dead_letter_stream
from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import EntryPutAside
from tradebus.contracts.streams import (
    ASKED_SOURCES,
    COMMAND_INBOX,
    EVENT_CHANNEL,
    EVENTS,
    INTENTS,
    MD_GAPS,
    ORDERS,
    RISK,
    SESSIONS,
    SIGNAL_SOURCES,
    STREAMS,
    key_of,
)
from tradebus.kernel.clock import Clock
from tradebus.kernel.timers import Timers
from tradebus.runtime.consumer import DONE, Answer, Done, PutAside
from tradebus.runtime.merge import MergedInput
from tradebus.waiting.timers import sleep

TOLD = tuple(key_of(stream) for stream in (*SIGNAL_SOURCES, *ASKED_SOURCES, INTENTS, RISK, ORDERS, SESSIONS, MD_GAPS))
# The inbox has no dead letters (its bodies may hold tokens), and what was told has no reader here.
DEAD = tuple(dead_letter_stream(key_of(stream)) for stream in STREAMS if stream not in (COMMAND_INBOX, EVENTS))
GROUP = "gateway"
WATERMARK = "watermark"
# A paced run sends thousands of bare watermarks: reading them in handfuls leaves the processor to those who need it.
_IDLE_PAUSE_SECONDS = 0.02


async def open_relay(bus: Bus, *, consumer: str, timers: Timers) -> MergedInput:
    """What the relay reads."""
    subscription = await bus.subscribe((*TOLD, *DEAD), group=GROUP, consumer=consumer)
    return _Unhurried(subscription, bus=bus, timers=timers)


class _Unhurried(MergedInput):
    def __init__(self, subscription: Subscription, *, bus: Bus, timers: Timers) -> None:
        super().__init__(subscription, bus=bus, gates=(), paced=False)
        self._pauses = timers

    async def next(self, *, block_ms: int) -> list[Entry]:
        entries = await super().next(block_ms=block_ms)
        if entries and all(entry.kind == WATERMARK for entry in entries):
            await sleep(self._pauses, _IDLE_PAUSE_SECONDS)
        return entries


class Relay:
    """The handler of the relay's consumer. Keeps nothing."""

    def __init__(self, bus: Bus, *, clock: Clock) -> None:
        self._bus, self._clock = bus, clock

    async def handle(self, entry: Entry) -> Answer:
        if entry.origin is not None:
            told = _put_aside(entry, entry.origin, now_ns=self._clock.now_ns())
        elif entry.kind == WATERMARK:
            return DONE
        else:
            try:
                told = parse(entry.body)
            except ValueError as error:
                return PutAside(f"gateway cannot read it: {str(error)[:200]}")
        event = public_entry(told)
        await self._bus.broadcast(EVENT_CHANNEL, event.body)
        return Done(then=[event])

    async def recover(self) -> None:
        """Nothing is kept here."""

    async def commit(self) -> bool:
        return True


def _put_aside(entry: Entry, origin: Origin, *, now_ns: int) -> Message:
    """What people are told of a dead letter: where it lies and why, and whose it is where it says so."""
    stream = entry.stream.removesuffix(dead_letter_stream(""))
    return message(
        EntryPutAside, now_ns=now_ns, cause=f"{stream} {origin.entry_id} {origin.group}", stream=stream,
        entry_id=origin.entry_id, kind=entry.kind, service=origin.group, reason=origin.reason, **_about(entry.body),
    )  # fmt: skip


def _about(body: bytes) -> dict[str, str]:
    try:
        fields: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(fields, dict):
        return {}
    names = ("user_id", "session_id", "pos_id")
    return {name: fields[name] for name in names if isinstance(fields.get(name), str) and len(fields[name]) <= 64}
