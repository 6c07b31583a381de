"""The invariants of `tradebus.bus.port`, whatever is published, read, acknowledged, restarted and claimed when.

The model knows what was published, what was acknowledged, and which entries each consumer's present life has seen. It
predicts no page exactly; it says what a page may never hold and what the group must hold in the end.
"""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from testkit.bus import ORDERS, SIGNALS, Harness, MemoryHarness, RedisHarness, numbered

from tradebus.bus.port import Bus, Entry, Outgoing, Subscription

STREAMS = (ORDERS, SIGNALS)
CONSUMERS = ("1", "2")
consumers = st.sampled_from(CONSUMERS)
shares = st.sets(st.integers(0, 5))

Key = tuple[str, int]


class BusMachine(RuleBasedStateMachine):
    """One group with two consumers on two streams."""

    harness: Harness

    def __init__(self, runner: asyncio.Runner, harness: Harness) -> None:
        super().__init__()
        self.run, self.harness = runner.run, harness
        self.published: dict[str, int] = dict.fromkeys(STREAMS, 0)
        self.done: set[Key] = set()
        self.owner: dict[Key, str] = {}
        self.deliveries: dict[Key, int] = {}
        self.in_hand: dict[str, list[Entry]] = {name: [] for name in CONSUMERS}
        self.returned: dict[str, set[Key]] = {name: set() for name in CONSUMERS}
        self.left_over: dict[str, set[Key]] = {name: set() for name in CONSUMERS}
        self.bus: Bus = self.run(harness.bus())
        self.lives: dict[str, Subscription] = {name: self._new_life(name) for name in CONSUMERS}

    def _new_life(self, consumer: str) -> Subscription:
        return self.run(self.bus.subscribe(STREAMS, group="g", consumer=consumer))

    def _next_entries(self, stream: str, count: int) -> list[Outgoing]:
        start = self.published[stream]
        self.published[stream] += count
        return numbered(stream, range(start, start + count))

    @rule(stream=st.sampled_from(STREAMS), count=st.integers(1, 4))
    def publish(self, stream: str, count: int) -> None:
        self.run(self.bus.publish(self._next_entries(stream, count)))

    @rule(consumer=consumers, count=st.integers(1, 5))
    def read(self, consumer: str, count: int) -> None:
        page = self.run(self.lives[consumer].read(block_ms=0, count=count))
        keys = [key_of(entry) for entry in page]
        if self.left_over[consumer]:
            assert keys, "what an earlier life left is returned first"
            assert set(keys) <= self.left_over[consumer]
        else:
            assert not any(key in self.owner for key in keys), "a new entry went to nobody before"
            waiting = {stream: self.published[stream] - self._delivered(stream) for stream in STREAMS}
            for stream in STREAMS:
                assert len([key for key in keys if key[0] == stream]) == min(count, waiting[stream])
        for stream in STREAMS:
            numbers = [number for name, number in keys if name == stream]
            assert numbers == sorted(numbers)
            if self.left_over[consumer]:
                continue
            start = self._delivered(stream)
            assert numbers == list(range(start, start + len(numbers))), "no entry is passed over"
        self._take(consumer, page)

    def _delivered(self, stream: str) -> int:
        return sum(1 for name, _ in self.owner if name == stream)

    def _take(self, consumer: str, page: list[Entry]) -> None:
        for entry in page:
            key = key_of(entry)
            assert key not in self.done, "an acknowledged entry never comes again"
            assert key not in self.returned[consumer], "an entry is returned once per life"
            self.deliveries[key] = self.deliveries.get(key, 0) + 1
            assert entry.deliveries == self.deliveries[key]
            self.returned[consumer].add(key)
            self.left_over[consumer].discard(key)
            self.owner[key] = consumer
        self.in_hand[consumer] += page

    def _choose(self, consumer: str, share: set[int]) -> list[Entry]:
        hand = self.in_hand[consumer]
        chosen = [entry for at, entry in enumerate(hand) if at % 6 in share]
        self.in_hand[consumer] = [entry for at, entry in enumerate(hand) if at % 6 not in share]
        self._finish(chosen)
        return chosen

    def _finish(self, entries: list[Entry]) -> None:
        self.done |= {key_of(entry) for entry in entries}
        for left in self.left_over.values():
            left -= self.done

    @rule(consumer=consumers, share=shares)
    def ack(self, consumer: str, share: set[int]) -> None:
        self.run(self.lives[consumer].ack(self._choose(consumer, share)))

    @rule(consumer=consumers, share=shares, stream=st.sampled_from(STREAMS), count=st.integers(0, 2))
    def publish_and_ack(self, consumer: str, share: set[int], stream: str, count: int) -> None:
        chosen = self._choose(consumer, share)
        self.run(self.lives[consumer].publish_and_ack(self._next_entries(stream, count), chosen))

    @rule(consumer=consumers)
    def restart(self, consumer: str) -> None:
        self.lives[consumer] = self._new_life(consumer)
        self.in_hand[consumer], self.returned[consumer] = [], set()
        self.left_over[consumer] = {
            key for key, name in self.owner.items() if name == consumer and key not in self.done
        }

    @rule(consumer=consumers, count=st.integers(1, 6))
    def claim(self, consumer: str, count: int) -> None:
        claimed = self.run(self.lives[consumer].claim_idle(min_idle_ms=0, count=count))
        assert len(claimed) <= count
        for entry in claimed:
            for left in self.left_over.values():
                left.discard(key_of(entry))
        self._take(consumer, claimed)

    @precondition(lambda self: any(self.in_hand.values()))
    @rule(consumer=consumers)
    def dead_letter(self, consumer: str) -> None:
        if self.in_hand[consumer]:
            entry = self.in_hand[consumer].pop()
            self.run(self.lives[consumer].dead_letter(entry, reason="why"))
            self._finish([entry])

    @invariant()
    def lag_is_all_that_is_not_acknowledged(self) -> None:
        lag = self.run(self.lives["1"].lag())
        for stream in STREAMS:
            assert lag[stream] == self.published[stream] - len([key for key in self.done if key[0] == stream])

    def teardown(self) -> None:
        """However it went: a last life of each consumer finds everything that is not done, and nothing else."""
        found: set[Key] = set()
        for consumer in CONSUMERS:
            last = self._new_life(consumer)
            while page := self.run(last.read(block_ms=0, count=3)):
                assert not found & {key_of(entry) for entry in page}
                found |= {key_of(entry) for entry in page}
        everything = {(stream, number) for stream in STREAMS for number in range(self.published[stream])}
        assert found == everything - self.done
        self.run(self.harness.close())


def key_of(entry: Entry) -> Key:
    return entry.stream, int(entry.body)


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_nothing_is_lost_reordered_or_delivered_after_it_was_acknowledged(
    kind: str, request: pytest.FixtureRequest
) -> None:
    redis_url = request.getfixturevalue("redis_url") if kind == "redis" else ""
    with asyncio.Runner() as runner:

        def machine() -> BusMachine:
            return BusMachine(runner, MemoryHarness() if kind == "memory" else RedisHarness(redis_url))

        examples = settings.default.max_examples if kind == "memory" else settings.default.max_examples // 4
        run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=40))
