"""Entries to fields and back."""

from hypothesis import given
from hypothesis import strategies as st

from tradebus.bus.port import Entry, Outgoing
from tradebus.bus.redis import codec

instants = st.none() | st.integers(-(2**63), 2**63 - 1)
outgoings = st.builds(Outgoing, st.just("orders.v1"), st.text(), st.binary(max_size=200), instants, instants)


@given(outgoings)
def test_what_is_written_is_read(outgoing: Outgoing) -> None:
    fields = [codec.as_bytes(part) for part in codec.fields_of(outgoing)]
    entry = codec.read_entry("orders.v1", b"5-1", fields, deliveries=3)
    assert codec.as_outgoing(entry) == outgoing
    assert (entry.entry_id, entry.deliveries) == ("5-1", 3)


@given(st.lists(st.binary(max_size=20), max_size=9))
def test_no_foreign_entry_can_make_a_reader_fail(fields: list[bytes]) -> None:
    assert isinstance(codec.read_entry("orders.v1", b"5-1", fields), Entry)


def test_a_transaction_wraps_its_commands() -> None:
    assert codec.transaction([b"A", b"B"]) == b"*1\r\n$5\r\nMULTI\r\nAB*1\r\n$4\r\nEXEC\r\n"
