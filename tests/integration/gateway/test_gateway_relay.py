"""Everything the services say reaches the outside: in order, once told at least, over restarts."""

import json
from typing import Any

from testkit.gateway import eventually

from services.gateway.relay import GROUP, STREAMS, Relay
from tradebus.bus.port import Bus, Outgoing, dead_letter_stream
from tradebus.contracts.base import Message
from tradebus.contracts.sessions import SessionResumed
from tradebus.contracts.signals import EntrySignal, Side
from tradebus.contracts.streams import EVENT_CHANNEL, EVENTS, ORDERS, SESSIONS, SIGNALS


def signal(number: int) -> Message:
    return EntrySignal(
        event_id=f"signal-{number}", ts_event_ns=number, ts_recorded_ns=number, source="strategy", trace_id="t",
        strategy="orb", symbol="NIFTY", instrument=1, side=Side.LONG, price_paise=100, stop_paise=90, reason="r",
        confidence=0.5,
    )  # fmt: skip


def resumed(number: int) -> Message:
    return SessionResumed(
        event_id=f"session-{number}", ts_event_ns=number, ts_recorded_ns=number, source="gateway", trace_id="t"
    )


def entry(stream: str, message: Message) -> Outgoing:
    return Outgoing(stream, message.TYPE, message.to_json())


async def told(bus: Bus) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in await bus.tail(EVENTS.name, count=10_000)]


async def read_all(relay: Relay, subscription: Any) -> int:
    total = 0
    while entries := await subscription.read(block_ms=0):
        total += await relay.forward(entries)
    return total


async def test_events_come_out_in_order_and_bare_watermarks_do_not(bus: Bus) -> None:
    subscription = await bus.subscribe(STREAMS, group=GROUP, consumer="1")
    await bus.publish([
        entry(SIGNALS.name, signal(1)),
        Outgoing(SIGNALS.name, "watermark", watermark_ns=5),
        entry(SIGNALS.name, signal(2)),
        Outgoing(ORDERS.name, "watermark", watermark_ns=5),
    ])  # fmt: skip
    assert await read_all(Relay(bus, subscription), subscription) == 2
    events = await told(bus)
    assert [one["event_id"] for one in events] == ["signal-1", "signal-2"]
    assert events[0]["time_utc"] == "1970-01-01T00:00:00.000000Z"
    assert await subscription.lag() == dict.fromkeys(STREAMS, 0)


async def test_nothing_is_lost_when_the_gateway_dies_between_reading_and_telling(bus: Bus) -> None:
    dying = await bus.subscribe(STREAMS, group=GROUP, consumer="1")
    await bus.publish([entry(SIGNALS.name, signal(number)) for number in range(20)])
    await bus.publish([entry(SESSIONS.name, resumed(number)) for number in range(20)])
    first = await dying.read(block_ms=100, count=5)
    assert first
    await Relay(bus, dying).forward(first[:3])  # the others are read, and never told by this life
    again = await bus.subscribe(STREAMS, group=GROUP, consumer="1")
    await bus.publish([entry(SIGNALS.name, signal(20))])
    await read_all(Relay(bus, again), again)
    events = [one["event_id"] for one in await told(bus)]
    for kind, count in (("signal", 21), ("session", 20)):
        assert [one for one in events if one.startswith(kind)] == [f"{kind}-{number}" for number in range(count)]


async def test_an_unreadable_event_goes_to_the_dead_letters_and_holds_up_nobody(bus: Bus) -> None:
    subscription = await bus.subscribe(STREAMS, group=GROUP, consumer="1")
    await bus.publish([Outgoing(SIGNALS.name, "ENTRY_SIGNAL", b"{broken"), entry(SIGNALS.name, signal(1))])
    await read_all(Relay(bus, subscription), subscription)
    assert [one["event_id"] for one in await told(bus)] == ["signal-1"]
    assert len(await bus.tail(dead_letter_stream(SIGNALS.name), count=10)) == 1


async def test_listeners_hear_what_the_durable_stream_keeps(bus: Bus) -> None:
    subscription = await bus.subscribe(STREAMS, group=GROUP, consumer="1")
    listener = bus.listen(EVENT_CHANNEL)
    await listener.ready()
    await bus.publish([entry(SIGNALS.name, signal(1))])

    async def forwarded() -> int:
        return await read_all(Relay(bus, subscription), subscription)

    await eventually(forwarded)
    assert json.loads(await anext(listener)) == (await told(bus))[0]
    await listener.aclose()
