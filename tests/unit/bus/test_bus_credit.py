"""Back-pressure: with up to four publishers, an unfinished entry is never trimmed, and nobody waits for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.bus.port import Outgoing, dead_letter_stream
from tradebus.bus.pressure import DEFAULT_MAX_ENTRIES, Credit, limit_of, portions
from tradebus.contracts.streams import MD_TICKS, STREAMS, Stream

steps = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 40)), max_size=300)


@given(st.integers(16, 500), steps)
def test_the_unfinished_part_of_a_stream_never_outgrows_its_bound(
    max_entries: int, steps: list[tuple[int, int]]
) -> None:
    """Publisher 0 to 3 publishes some entries, or (4) the slowest group acknowledges some."""
    publishers = [Credit(max_entries) for _ in range(4)]
    depth = 0
    for who, count in steps:
        if who == 4:
            depth = max(0, depth - count)
        elif count <= publishers[who].full_at and (
            publishers[who].take(count) or publishers[who].measured(depth=depth, count=count)
        ):
            depth += count
        assert depth <= max_entries


@given(st.integers(16, 500), st.integers(1, 500))
def test_an_empty_stream_takes_whatever_can_ever_fit(max_entries: int, count: int) -> None:
    credit = Credit(max_entries)
    if count > credit.full_at:
        with pytest.raises(ValueError, match="does not fit"):
            credit.measured(depth=0, count=count)
    else:
        assert credit.measured(depth=0, count=count)


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 9))
def test_parts_are_what_there_was_in_its_order_and_none_has_too_much_of_a_stream(
    streams: list[str], at_most: int
) -> None:
    whole = [Outgoing(stream, str(number)) for number, stream in enumerate(streams)]
    parts = list(portions(whole, lambda stream: at_most + (stream == "b")))
    assert [one for part in parts for one in part] == whole
    for part in parts:
        assert part
        for stream in "abc":
            assert sum(one.stream == stream for one in part) <= at_most + (stream == "b")


def test_a_whole_credit_is_used_without_measuring() -> None:
    credit = Credit(1600)
    assert not credit.take(1)
    assert credit.measured(depth=0, count=1)
    assert [credit.take(1) for _ in range(101)] == [True] * 100 + [False]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_stream_and_its_shards_have_the_bound_of_the_table(stream: Stream) -> None:
    assert limit_of(stream.shard(7), {}) == limit_of(stream.name, {}) == stream.max_entries


def test_a_bound_can_be_overridden_and_an_unknown_stream_has_the_default() -> None:
    assert limit_of(MD_TICKS.shard(7), {MD_TICKS.name: 10}) == 10
    assert limit_of(MD_TICKS.shard(7), {MD_TICKS.name: 10, MD_TICKS.shard(7): 5}) == 5
    assert limit_of("unheard.of", {}) == DEFAULT_MAX_ENTRIES
    assert limit_of(dead_letter_stream(MD_TICKS.name), {}) == 10_000
