"""Everything the services say reaches the outside: in order, once told at least, over restarts."""

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from testkit.consuming import drained
from testkit.waiting import WALL_TIMERS

from services.gateway.relay import DEAD, GROUP, TOLD, Relay, open_relay
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus, Outgoing, dead_letter_stream
from tradebus.contracts.base import Message
from tradebus.contracts.sessions import SessionResumed
from tradebus.contracts.signals import EntrySignal, Side
from tradebus.contracts.streams import COMMAND_INBOX, COMMANDS, EVENT_CHANNEL, EVENTS, ORDERS, SESSIONS, SIGNALS
from tradebus.runtime.consumer import BusPublisher, Consumer, ConsumerMetrics


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


@pytest.fixture
def bus() -> Bus:
    return MemoryBus(timers=WALL_TIMERS)


def relay(bus: Bus) -> Consumer:
    """A new life of the gateway's relay."""
    timers = WALL_TIMERS
    return Consumer(
        "relay", open_input=lambda: open_relay(bus, consumer="1", timers=timers), handler=Relay(bus, clock=timers),
        publisher=BusPublisher(bus), timers=timers, metrics=ConsumerMetrics(CollectorRegistry()), coalesce=True,
    )  # fmt: skip


async def left(bus: Bus) -> int:
    return sum([
        group.unacknowledged
        for stream in (*TOLD, *DEAD)
        for group in await bus.groups(stream) if group.name == GROUP
    ])  # fmt: skip


async def test_events_come_out_in_order_and_bare_watermarks_do_not(bus: Bus) -> None:
    await bus.publish([
        entry(SIGNALS.name, signal(1)),
        Outgoing(SIGNALS.name, "watermark", watermark_ns=5),
        entry(SIGNALS.name, signal(2)),
        Outgoing(ORDERS.name, "watermark", watermark_ns=5),
    ])  # fmt: skip
    await drained(relay(bus))
    events = await told(bus)
    assert [one["event_id"] for one in events] == ["signal-1", "signal-2"]
    assert events[0]["time_utc"] == "1970-01-01T00:00:00.000000Z"
    assert await left(bus) == 0


async def test_nothing_is_lost_when_the_gateway_dies_between_reading_and_telling(bus: Bus) -> None:
    dying = await bus.subscribe((*TOLD, *DEAD), group=GROUP, consumer="1")
    await bus.publish([entry(SIGNALS.name, signal(number)) for number in range(20)])
    await bus.publish([entry(SESSIONS.name, resumed(number)) for number in range(20)])
    assert len(await dying.read(block_ms=100, count=5)) == 10, "read, and never told by this life"
    await bus.publish([entry(SIGNALS.name, signal(20))])
    await drained(relay(bus))
    events = [one["event_id"] for one in await told(bus)]
    for kind, count in (("signal", 21), ("session", 20)):
        assert [one for one in events if one.startswith(kind)] == [f"{kind}-{number}" for number in range(count)]


async def test_an_unreadable_event_goes_to_the_dead_letters_holds_up_nobody_and_people_hear_of_it(bus: Bus) -> None:
    await bus.publish([Outgoing(SIGNALS.name, "ENTRY_SIGNAL", b"{broken"), entry(SIGNALS.name, signal(1))])
    await drained(relay(bus))
    first, aside = await told(bus)
    assert first["event_id"] == "signal-1"
    assert (aside["type"], aside["stream"], aside["kind"], aside["service"]) == (
        "ENTRY_PUT_ASIDE", SIGNALS.name, "ENTRY_SIGNAL", "gateway",
    )  # fmt: skip
    assert len(await bus.tail(dead_letter_stream(SIGNALS.name), count=10)) == 1


async def test_what_another_service_put_aside_is_told_with_its_reason_and_whose_it_is(bus: Bus) -> None:
    risk = await bus.subscribe([ORDERS.name], group="risk", consumer="risk")
    body = json.dumps({"session_id": "s1", "user_id": "123", "token": "x"}).encode()
    await bus.publish([Outgoing(ORDERS.name, "ORDER_FILLED", body)])
    (poison,) = await risk.read(block_ms=100)
    await risk.dead_letter(poison, reason="ZeroDivisionError: price / 0")
    for _ in range(2):  # also where the gateway dies in between
        await drained(relay(bus))
    (event,) = [one for one in await told(bus) if one.get("service") == "risk"]
    assert (event["service"], event["reason"]) == ("risk", "ZeroDivisionError: price / 0")
    assert (event["session_id"], event["user_id"], event["entry_id"]) == ("s1", "123", poison.entry_id)
    assert "token" not in event


def test_every_stream_but_the_inbox_and_the_outside_has_its_dead_letters_told() -> None:
    assert dead_letter_stream(COMMANDS.name) in DEAD
    assert not {dead_letter_stream(COMMAND_INBOX.name), dead_letter_stream(EVENTS.name)} & set(DEAD)


async def test_listeners_hear_what_the_durable_stream_keeps(bus: Bus) -> None:
    listener = bus.listen(EVENT_CHANNEL)
    await listener.ready()
    await bus.publish([entry(SIGNALS.name, signal(1))])
    await drained(relay(bus))
    assert json.loads(await anext(listener)) == (await told(bus))[0]
    await listener.aclose()
