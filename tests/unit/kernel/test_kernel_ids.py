"""Ids: derived from their cause, in the layout of UUIDv7, sorted by time."""

import hashlib
import re
import uuid
from enum import StrEnum

from hypothesis import assume, given
from hypothesis import strategies as st

from tradebus.kernel.ids import RandomIds, SequenceIds, derive_id, derive_tag, joined, lock_key

MILLISECOND = 1_000_000
instants = st.integers(0, 2**63 - 1)
parts = st.lists(st.text() | st.integers(), min_size=1, max_size=4)


class Colour(StrEnum):
    RED = "red"


@given(instants, parts)
def test_a_derived_id_is_a_uuid7_with_the_time_of_the_event(ts_ns: int, cause: list[str | int]) -> None:
    text = derive_id(ts_ns, *cause)
    found = uuid.UUID(text)
    assert str(found) == text
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == ts_ns // MILLISECOND


@given(instants, parts)
def test_an_id_is_a_function_of_its_cause_alone(ts_ns: int, cause: list[str | int]) -> None:
    assert derive_id(ts_ns, *cause) == derive_id(ts_ns, *cause) == derive_id(ts_ns, *map(str, cause))
    assert derive_tag(*cause) == derive_tag(*map(str, cause))


@given(instants, parts, parts)
def test_different_causes_have_different_ids_and_tags(
    ts_ns: int, first: list[str | int], second: list[str | int]
) -> None:
    assume(list(map(str, first)) != list(map(str, second)))
    assert joined(*first) != joined(*second)
    assert derive_id(ts_ns, *first) != derive_id(ts_ns, *second)
    assert derive_tag(*first) != derive_tag(*second)


@given(st.lists(st.text(alphabet="\x1e\x1f01a", max_size=4), min_size=1, max_size=3), st.data())
def test_parts_that_hold_the_separator_cannot_imitate_others(first: list[str], data: st.DataObject) -> None:
    second = data.draw(st.lists(st.text(alphabet="\x1e\x1f01a", max_size=4), min_size=1, max_size=3))
    assert (joined(*first) == joined(*second)) is (first == second)


def test_an_enum_and_its_text_name_the_same_cause() -> None:
    assert derive_id(0, Colour.RED) == derive_id(0, "red")


@given(instants, instants, parts, parts)
def test_ids_sort_by_time(earlier: int, later: int, first: list[str | int], second: list[str | int]) -> None:
    assume(earlier // MILLISECOND < later // MILLISECOND)
    assert derive_id(earlier, *first) < derive_id(later, *second)


def test_known_ids_never_change() -> None:
    """They stand in ledgers; a different value would make a replay place its orders again."""
    assert derive_id(1_704_081_300_000_000_000, "order", "pos", "ENTRY", 0) == "018cc329-1a20-7925-bd9f-670e703fec98"
    assert derive_tag("order", "pos", "ENTRY", 0) == "tb3760ps70xakin61muf"
    assert lock_key("018cc329-1a20-7925-bd9f-670e703fec98") == 3180882366438405681


@given(parts)
def test_a_tag_is_twenty_letters_and_digits(cause: list[str | int]) -> None:
    assert re.fullmatch(r"tb[0-9a-z]{18}", derive_tag(*cause))


@given(st.text())
def test_a_lock_key_is_the_start_of_the_md5_as_a_bigint(pos_id: str) -> None:
    key = lock_key(pos_id)
    assert -(2**63) <= key < 2**63
    assert key % 2**64 == int(hashlib.md5(pos_id.encode()).hexdigest()[:16], 16)


def test_fresh_ids_are_uuid7_and_never_repeat() -> None:
    for source in (RandomIds(), SequenceIds(), SequenceIds(start=41)):
        made = [source.new_id() for _ in range(1000)]
        assert len(set(made)) == 1000
        assert {uuid.UUID(one).version for one in made} == {7}
    made = [SequenceIds().new_id() for _ in range(2)]
    assert made[0] == made[1], "two sequences are the same"
    counted = SequenceIds()
    assert sorted(made := [counted.new_id() for _ in range(300)]) == made
