"""The chain: whatever is done to a row, or to their order, is found and the first row that does not fit is named."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.audit.chain import AuditRow, ChainCheck, ChainHead, genesis, linked
from tradebus.audit.exchange import BrokerExchange, ist_text

ACCOUNT = "kite:mine"
FIELDS = [one.name for one in fields(BrokerExchange)]


def exchange(number: int, **changes) -> BrokerExchange:
    return replace(
        BrokerExchange(
            ACCOUNT, f"e{number}", "execution-1", "POST", "http://broker/orders", f"quantity={number}",
            ist_text(number * 1_000_000_000), "s1", "p1", 200, '{"status":"success"}', 20, "ab", "",
            ist_text(number * 1_000_000_000 + 5_000),
        ),
        **changes,
    )  # fmt: skip


def chain(count: int) -> list[AuditRow]:
    return linked(genesis(ACCOUNT), [exchange(number) for number in range(1, count + 1)])


def checked(rows, *published: ChainHead) -> ChainCheck:
    check = ChainCheck(ACCOUNT, published)
    for row in rows:
        check.feed(row)
    check.ended()
    return check


def head_of(row: AuditRow) -> ChainHead:
    return ChainHead(ACCOUNT, row.seq, row.hash)


def test_a_chain_that_nobody_touched_fits_and_goes_on() -> None:
    rows = chain(5)
    check = checked(rows, head_of(rows[2]), head_of(rows[4]))
    assert (check.fault, check.head) == (None, head_of(rows[4]))
    more = linked(check.head, [exchange(6)])
    assert checked([*rows, *more]).head.seq == 6
    assert checked([]).fault is None


@given(number=st.integers(1, 6), name=st.sampled_from(FIELDS), data=st.data())
def test_any_field_of_any_row_that_changes_is_named(number: int, name: str, data: st.DataObject) -> None:
    rows = chain(6)
    before = getattr(rows[number - 1].exchange, name)
    others = st.integers(0, 999) if isinstance(before, int) else st.text(max_size=30)
    after = data.draw(others.filter(lambda value: value != before))
    rows[number - 1] = replace(rows[number - 1], exchange=replace(rows[number - 1].exchange, **{name: after}))
    fault = checked(rows).fault
    assert fault is not None
    assert fault.seq == number


@given(number=st.integers(1, 6), place=st.integers(0, 63), name=st.sampled_from(["hash", "previous_hash"]))
def test_a_digit_of_a_hash_that_changes_is_named(number: int, place: int, name: str) -> None:
    rows = chain(6)
    before = getattr(rows[number - 1], name)
    flipped = "0" if before[place] != "0" else "1"
    rows[number - 1] = replace(rows[number - 1], **{name: before[:place] + flipped + before[place + 1 :]})
    fault = checked(rows).fault
    assert fault is not None
    assert fault.seq == number


@given(gone=st.integers(1, 5))
def test_a_row_that_is_gone_is_named(gone: int) -> None:
    fault = checked([row for row in chain(6) if row.seq != gone]).fault
    assert fault is not None
    assert (fault.seq, fault.what) == (gone, "is gone")


@given(number=st.integers(1, 6))
def test_a_row_replaced_together_with_its_hash_is_given_away_by_the_next_one_or_by_a_head(number: int) -> None:
    rows = chain(6)
    before = ChainHead(ACCOUNT, number - 1, rows[number - 1].previous_hash)
    [forged] = linked(before, [exchange(number, body="forged")])
    forged_rows = [*rows[: number - 1], forged, *rows[number:]]
    fault = checked(forged_rows, head_of(rows[5])).fault
    assert fault is not None
    assert fault.seq == min(number + 1, 6)


def test_a_chain_written_anew_does_not_fit_a_published_head() -> None:
    rows = chain(6)
    anew = linked(genesis(ACCOUNT), [exchange(number, body="other") for number in range(1, 7)])
    assert checked(anew).fault is None
    fault = checked(anew, head_of(rows[3])).fault
    assert fault is not None
    assert fault.seq == 4


@pytest.mark.parametrize("left", [0, 3, 5])
def test_rows_cut_off_at_the_end_are_missed_by_a_published_head(left: int) -> None:
    rows = chain(6)
    assert checked(rows[:left]).fault is None
    fault = checked(rows[:left], head_of(rows[5])).fault
    assert fault is not None
    assert (fault.seq, "row 6 was there" in fault.what) == (left + 1, True)


def test_rows_put_between_or_moved_are_found() -> None:
    rows = chain(4)
    assert checked([rows[0], rows[0], *rows[1:]]).fault is not None
    assert checked([rows[1], rows[0], *rows[2:]]).fault is not None
    stranger = replace(rows[1], exchange=replace(rows[1].exchange, account="kite:other"))
    fault = checked([rows[0], stranger, *rows[2:]]).fault
    assert fault is not None
    assert "another account" in str(fault)
