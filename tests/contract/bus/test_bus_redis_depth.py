"""How deep a stream is: measured on Redis against a count made by hand."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from testkit.bus import ORDERS, RedisHarness, numbered
from testkit.waiting import WALL_TIMERS

from tradebus.bus.port import Entry, id_order
from tradebus.bus.redis.dial import Dialler
from tradebus.bus.redis.link import pack
from tradebus.bus.redis.measure import Measure
from tradebus.bus.redis.wire import Wire
from tradebus.runtime.embedded import ServerUrls

# What happens: publish, read by a group, acknowledge a share of what is in hand, delete an entry, measure.
actions = st.lists(
    st.tuples(st.sampled_from(["publish", "read", "read", "ack", "delete", "measure"]), st.integers(0, 5)), max_size=40
)


@given(actions)
def test_the_depth_is_never_measured_too_small(servers: ServerUrls, actions: list[tuple[str, int]]) -> None:
    asyncio.run(play(servers.redis_url, actions))


async def play(redis_url: str, actions: list[tuple[str, int]]) -> None:
    harness = RedisHarness(redis_url)
    bus = await harness.bus()
    key = f"{harness.namespace}:{ORDERS}"
    wire = Wire(Dialler(redis_url, timers=WALL_TIMERS, retry_seconds=5))
    measure, groups = (
        Measure(wire, timers=WALL_TIMERS),
        [await bus.subscribe([ORDERS], group=name, consumer="c") for name in "ab"],
    )
    in_hand: list[list[Entry]] = [[], []]
    try:
        for what, number in actions:
            which = number % 2
            if what == "publish":
                await bus.publish(numbered(ORDERS, range(number)))
            elif what == "read":
                in_hand[which] += await groups[which].read(block_ms=0, count=number + 1)
            elif what == "ack":
                chosen = in_hand[which][number // 2 :: 2]
                await groups[which].ack(chosen)
                in_hand[which] = [entry for entry in in_hand[which] if entry not in chosen]
            elif what == "delete" and number == 5 and in_hand[which]:
                await wire.call(pack("XDEL", key, in_hand[which][0].entry_id), replies=1)
            else:
                await compare(measure, wire, key)
        await compare(measure, wire, key)
    finally:
        await wire.close()
        await harness.close()


async def compare(measure: Measure, wire: Wire, key: str) -> None:
    """The measured depth is at least the true one, and exact where nothing is pending."""
    entries, groups = await wire.call(pack("XRANGE", key, "-", "+") + pack("XINFO", "GROUPS", key), replies=2)
    ids = [id_order(entry_id.decode()) for entry_id, _ in entries]
    true, pending_anywhere = 0, False
    for group in groups:
        facts = dict(zip(group[::2], group[1::2], strict=True))
        first = id_order(facts[b"last-delivered-id"].decode())
        unfinished = len([one for one in ids if one > first])
        if facts[b"pending"]:
            pending_anywhere = True
            (summary,) = await wire.call(pack("XPENDING", key, facts[b"name"]), replies=1)
            oldest = id_order(summary[1].decode())
            unfinished = len([one for one in ids if one >= oldest])
        true = max(true, unfinished)
    depth = await measure.depth(key)
    assert true <= depth.entries <= len(ids)
    if not pending_anywhere:
        assert depth.entries == true
