"""What is not acknowledged comes again: after a restart, by a claim, or as a dead letter. On both buses."""

from testkit.bus import ORDERS, SIGNALS, TICKS, Harness, bodies, numbered

from tradebus.bus.port import Bus, Entry, Outgoing, dead_letter_stream


async def test_unacknowledged_entries_come_again_after_a_restart_before_new_ones(any_bus: Bus) -> None:
    before = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(5)))
    entries = await before.read(block_ms=5000)
    await before.ack([entries[1], entries[3]])
    await any_bus.publish(numbered(ORDERS, range(5, 7)))

    after = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    again = await after.read(block_ms=5000)
    assert bodies(again) == [0, 2, 4]
    assert [entry.deliveries for entry in again] == [2, 2, 2]
    assert bodies(await after.read(block_ms=5000)) == [5, 6]
    assert await after.read(block_ms=0) == []


async def test_each_restart_counts_a_delivery(any_bus: Bus) -> None:
    await any_bus.publish(numbered(ORDERS, range(1)))
    for life in range(1, 5):
        subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
        (entry,) = await subscription.read(block_ms=5000)
        assert entry.deliveries == life


async def test_leftovers_of_many_pages_and_streams_come_in_order(any_bus: Bus) -> None:
    before = await any_bus.subscribe([ORDERS, TICKS], group="g", consumer="c")
    for number in range(0, 300, 2):
        await any_bus.publish(
            [*numbered(ORDERS, range(number, number + 1)), *numbered(TICKS, range(number, number + 2))]
        )
    while await before.read(block_ms=0):
        pass

    after = await any_bus.subscribe([ORDERS, TICKS], group="g", consumer="c")
    again: list[Entry] = []
    while page := await after.read(block_ms=0, count=7):
        again += page
    assert bodies([entry for entry in again if entry.stream == ORDERS]) == list(range(0, 300, 2))
    assert bodies([entry for entry in again if entry.stream == TICKS]) == list(range(300))


async def test_acknowledging_leftovers_while_reading_them_skips_none(any_bus: Bus) -> None:
    before = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(20)))
    await before.read(block_ms=5000)

    after = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    again: list[Entry] = []
    while page := await after.read(block_ms=0, count=3):
        await after.ack(page)
        again += page
    assert bodies(again) == list(range(20))
    assert await after.lag() == {ORDERS: 0}


async def test_acknowledged_entries_never_come_again(any_bus: Bus) -> None:
    before = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(3)))
    await before.publish_and_ack(numbered(SIGNALS, range(1)), await before.read(block_ms=5000))
    after = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    assert await after.read(block_ms=0) == []
    assert await after.claim_idle(min_idle_ms=0) == []


async def test_idle_entries_of_a_dead_consumer_can_be_claimed(harness: Harness) -> None:
    bus = await harness.bus()
    dead = await bus.subscribe([ORDERS], group="g", consumer="dead")
    living = await bus.subscribe([ORDERS], group="g", consumer="living")
    await bus.publish(numbered(ORDERS, range(3)))
    entries = await dead.read(block_ms=5000)
    await dead.ack(entries[:1])
    assert await living.claim_idle(min_idle_ms=600_000) == []
    await harness.let_idle(30)
    claimed = await living.claim_idle(min_idle_ms=20)
    assert bodies(claimed) == [1, 2]
    assert [entry.deliveries for entry in claimed] == [2, 2]
    await living.ack(claimed)
    assert await living.lag() == {ORDERS: 0}
    back = await bus.subscribe([ORDERS], group="g", consumer="dead")
    assert await back.read(block_ms=0) == []


async def test_a_claim_restarts_the_idle_time(harness: Harness) -> None:
    bus = await harness.bus()
    first, second, third = [await bus.subscribe([ORDERS], group="g", consumer=name) for name in ("1", "2", "3")]
    await bus.publish(numbered(ORDERS, range(1)))
    await first.read(block_ms=5000)
    await harness.let_idle(30)
    assert len(await second.claim_idle(min_idle_ms=20)) == 1
    assert await third.claim_idle(min_idle_ms=600_000) == []
    assert await second.claim_idle(min_idle_ms=0) == [], "it was returned in this life already"


async def test_a_claim_takes_no_more_than_asked(harness: Harness) -> None:
    bus = await harness.bus()
    dead = await bus.subscribe([ORDERS, SIGNALS], group="g", consumer="dead")
    living = await bus.subscribe([ORDERS, SIGNALS], group="g", consumer="living")
    await bus.publish([*numbered(ORDERS, range(5)), *numbered(SIGNALS, range(5, 10))])
    await dead.read(block_ms=5000)
    taken = [bodies(await living.claim_idle(min_idle_ms=0, count=4)) for _ in range(4)]
    assert [len(some) for some in taken] == [4, 4, 2, 0]
    assert sorted(number for some in taken for number in some) == list(range(10))


async def test_a_claimed_entry_comes_again_to_its_new_owner_only(any_bus: Bus) -> None:
    old = await any_bus.subscribe([ORDERS], group="g", consumer="old")
    new = await any_bus.subscribe([ORDERS], group="g", consumer="new")
    await any_bus.publish(numbered(ORDERS, range(1)))
    await old.read(block_ms=5000)
    await new.claim_idle(min_idle_ms=0)
    old = await any_bus.subscribe([ORDERS], group="g", consumer="old")
    assert await old.read(block_ms=0) == []
    new = await any_bus.subscribe([ORDERS], group="g", consumer="new")
    (again,) = await new.read(block_ms=5000)
    assert again.deliveries == 3


async def test_a_dead_letter_keeps_the_entry_and_the_reason(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([TICKS], group="g", consumer="c")
    await any_bus.publish([Outgoing(TICKS, "ticks", b"\x00odd\xff", 77, 66), *numbered(TICKS, range(1))])
    odd, even = await subscription.read(block_ms=5000)
    await subscription.dead_letter(odd, reason="10 bytes are not a whole number of 64-byte records")
    (letter,) = await any_bus.dead_letters(TICKS, count=10)
    assert (letter.reason, letter.origin_stream) == ("10 bytes are not a whole number of 64-byte records", TICKS)
    assert (letter.origin_id, letter.origin_group) == (odd.entry_id, "g")
    kept = letter.entry
    assert (kept.stream, kept.kind, kept.body) == (dead_letter_stream(TICKS), "ticks", b"\x00odd\xff")
    assert (kept.watermark_ns, kept.slice_start_ns) == (77, 66)
    await subscription.ack([even])
    again = await any_bus.subscribe([TICKS], group="g", consumer="c")
    assert await again.read(block_ms=0) == []
    assert await subscription.lag() == {TICKS: 0}


async def test_an_entry_is_buried_once(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(1)))
    (entry,) = await subscription.read(block_ms=5000)
    await subscription.dead_letter(entry, reason="first")
    await subscription.dead_letter(entry, reason="second")
    assert [letter.reason for letter in await any_bus.dead_letters(ORDERS, count=10)] == ["first"]
    assert await any_bus.dead_letters(SIGNALS, count=10) == []


async def test_the_newest_dead_letters_come_oldest_first(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(4)))
    for entry in await subscription.read(block_ms=5000):
        await subscription.dead_letter(entry, reason="why")
    assert bodies([letter.entry for letter in await any_bus.dead_letters(ORDERS, count=3)]) == [1, 2, 3]


async def test_a_dead_letter_is_read_like_any_entry_and_says_where_it_comes_from(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(1)))
    (entry,) = await subscription.read(block_ms=5000)
    assert entry.origin is None
    await subscription.dead_letter(entry, reason="no such session")
    reader = await any_bus.subscribe([dead_letter_stream(ORDERS)], group="looks", consumer="c")
    (dead,) = await reader.read(block_ms=5000)
    assert (dead.kind, bodies([dead])) == ("NUMBER", [0])
    assert dead.origin is not None
    assert (dead.origin.reason, dead.origin.entry_id, dead.origin.group) == ("no such session", entry.entry_id, "g")
