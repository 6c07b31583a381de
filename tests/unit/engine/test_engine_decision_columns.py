"""Decisions come out of the columns as they went in, packed or not, by one or by many."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebus.engine.recording.decision_columns import DecisionColumns
from tradebus.engine.recording.packed_rows import PackedRows
from tradebus.strategies.lane.decisions import Source
from tradebus.strategies.lane.positions import PositionKey

MINUTE_NS = 60_000_000_000


def columns_of(sources: int) -> DecisionColumns:
    columns = DecisionColumns()
    for number in range(sources):
        columns.add_source(Source(PositionKey(f"s{number % 2}", "orb", f"X{number}"), f"u{number}", number))
    return columns


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 26_000), min_size=1, max_size=4), st.integers(0, 9_000), st.integers(0, 2**31))
def test_what_went_in_comes_out_by_instant(days, singles, seed):
    drawing, columns, expected = np.random.default_rng(seed), columns_of(2), []
    for day, count in enumerate(days):
        columns.begin_day()
        ts_ns = (day * 10**6 + np.arange(count)) * MINUTE_NS
        prices = drawing.integers(1, 10**9, count)
        texts = [f"reason {number}" for number in drawing.integers(0, 10**6, count).tolist()]
        for start in range(0, count, 700):
            part = slice(start, start + 700)
            reasons = np.array([columns.text(text) for text in texts[part]], np.int32)
            columns.extend(0, ts_ns[part], "HOLD", reasons, prices[part])
        expected += [
            (ts, "u0", "orb", "X0", "HOLD", text, price)
            for ts, text, price in zip(ts_ns.tolist(), texts, prices.tolist(), strict=True)
        ]
        for number in range(min(singles, count)):
            row = (int(ts_ns[number]) + 1, "u1", "orb", "X1", "EXIT", "left \x00 \ud800", 5)
            assert columns.add(1, row[0], row[4], row[5], row[6])
            assert not columns.add(1, row[0], "HOLD", "the same instant again", 6)
            expected.append((*row[:5], "left  ?", row[6]))
    assert list(columns.rows()) == sorted(expected, key=lambda row: row[0])
    assert len(columns) == len(expected)
    assert columns.of_session("s1") == sum(min(singles, count) for count in days)


@given(
    st.lists(st.tuples(st.integers(), st.text(max_size=3), st.none() | st.integers()), max_size=5), st.integers(0, 3)
)
def test_packed_rows_are_the_rows(drawn, thousands):
    rows = [*((number, "x", None) for number in range(thousands * 1000)), *drawn]
    packed: PackedRows[tuple[object, ...]] = PackedRows()
    for row in rows:
        packed.append(row)
    assert list(packed) == rows
    assert len(packed) == len(rows)
