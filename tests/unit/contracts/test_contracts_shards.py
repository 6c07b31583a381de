"""Every stream has one key, and one alone: nothing is written where nobody reads."""

from tradebus.contracts.streams import INTENTS, MD_TICKS, ORDERS, SHARDED, STREAMS, key_of


def test_a_stream_has_one_key_which_names_its_shard_where_it_has_one():
    assert (key_of(MD_TICKS), key_of(INTENTS), key_of(ORDERS)) == ("md.ticks.v1.{0}", "intents.v1.{0}", "orders.v1")
    keys = {stream: key_of(stream) for stream in STREAMS}
    assert len(set(keys.values())) == len(STREAMS)
    assert all(key.startswith(stream.name) for stream, key in keys.items())
    assert {stream for stream, key in keys.items() if key.endswith(".{0}")} == set(SHARDED)
