"""The one shard map: where an instrument's prices and a user's intents lie."""

from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.streams import (
    INTENTS,
    MD_TICKS,
    SHARDED,
    SHARDS,
    STREAMS,
    key_of,
    keys_of,
    shard_of_instrument,
    shard_of_user,
)


@given(st.integers(0, 2**31), st.text(max_size=40), st.integers(1, 64))
def test_everything_has_one_shard_that_exists(instrument, user_id, shards):
    assert 0 <= shard_of_instrument(instrument, shards=shards) < shards
    assert 0 <= shard_of_user(user_id, shards=shards) < shards
    assert key_of(MD_TICKS, shard_of_instrument(instrument, shards=shards)) in keys_of(MD_TICKS, shards=shards)
    assert key_of(INTENTS, shard_of_user(user_id, shards=shards)) in keys_of(INTENTS, shards=shards)


def test_a_user_stays_where_it_was_in_every_process():
    assert [shard_of_user(user_id, shards=8) for user_id in ("123", "asha", "ravi")] == [2, 2, 0]


def test_a_stream_has_a_key_per_shard_and_one_where_it_is_not_sharded():
    assert keys_of(MD_TICKS, shards=2) == ("md.ticks.v1.{0}", "md.ticks.v1.{1}")
    for stream in STREAMS:
        assert len(keys_of(stream, shards=3)) == (3 if stream in SHARDED else 1)
        assert len(keys_of(stream)) == (SHARDS if stream in SHARDED else 1)
