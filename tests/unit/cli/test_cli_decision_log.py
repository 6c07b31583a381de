"""The decision log's hash: of what was decided, not of how it was read or which run it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.reports.decision_log import decision_log_hash, log_line

Row = tuple[int, str, int | None]
rows = st.lists(st.tuples(st.integers(0, 3), st.text(max_size=3), st.none() | st.integers()), max_size=8)
logs = st.fixed_dictionaries({"decision": rows, "fill": rows})


def test_a_line_is_canonical_json() -> None:
    assert log_line("fill", (5, "orb", "NIFTY", None, 100)) == (5, '[5,"fill","orb","NIFTY",null,100]')


def test_no_rows_have_a_hash_too() -> None:
    assert decision_log_hash({}) == decision_log_hash({"decision": []})
    assert len(decision_log_hash({})) == 64


@given(logs, st.randoms(use_true_random=False))
def test_the_order_of_reading_does_not_matter(log: dict[str, list[Row]], shuffler: object) -> None:
    shuffled = {kind: found[:] for kind, found in reversed(log.items())}
    for found in shuffled.values():
        shuffler.shuffle(found)  # type: ignore[attr-defined]
    assert decision_log_hash(shuffled) == decision_log_hash(log)


@given(logs, st.sampled_from(["decision", "fill"]), st.integers(0, 7), st.integers(0, 2))
def test_any_change_of_a_row_changes_it(log: dict[str, list[Row]], kind: str, index: int, column: int) -> None:
    if index >= len(log[kind]):
        return
    ts_ns, text, number = log[kind][index]
    changed = [(ts_ns + 1, text, number), (ts_ns, text + "x", number), (ts_ns, text, (number or 0) + 1)][column]
    other = {**log, kind: [*log[kind][:index], changed, *log[kind][index + 1 :]]}
    assert decision_log_hash(other) != decision_log_hash(log)


@given(logs)
def test_a_row_more_or_of_another_kind_changes_it(log: dict[str, list[Row]]) -> None:
    row: Row = (1, "x", None)
    more = {**log, "fill": [*log["fill"], row]}
    other = {**log, "decision": [*log["decision"], row]}
    assert len({decision_log_hash(log), decision_log_hash(more), decision_log_hash(other)}) == 3


@given(logs)
def test_rows_that_come_in_order_need_not_be_kept(log: dict[str, list[Row]]) -> None:
    in_order = {**log, "decision": sorted(log["decision"], key=lambda row: row[0])}
    assert decision_log_hash(in_order, ascending=("decision",)) == decision_log_hash(log)


def test_rows_that_are_said_to_come_in_order_and_do_not_are_refused() -> None:
    with pytest.raises(ValueError, match="not ascending: 1 after 2"):
        decision_log_hash({"decision": [(2, "a"), (1, "b")]}, ascending=("decision",))
