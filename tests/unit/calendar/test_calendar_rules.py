"""The shipped rules keep their shape and say where they are from; a bad file is refused with its line."""

import json
from datetime import date
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import MarketClass, session_for
from tradebus.calendar.located_json import parse_located
from tradebus.calendar.rules import SHIPPED, TABLES, RuleBook, Tables, current, install, merged, parse_tables
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_time

HEAD = '"source": "circular 1", "last_checked": "2026-11-30"'


def lines(*rows: str) -> str:
    return "{\n  " + HEAD + ",\n  " + ",\n  ".join(rows) + "\n}\n"


HOURS = '{"market_class": "derivative", "from": "2026-12-07", "open": "09:15", "close": "15:40"}'


def raw(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("tradebus.calendar").joinpath(name).read_text(encoding="utf-8"))
    return found


def tables_of(text: str) -> Tables:
    return parse_tables(text, name="rules.json")[0]


def test_the_shipped_holidays_have_the_documented_shape() -> None:
    rows = raw("holidays.json")["NSE"]
    assert all(list(row) == ["date", "label", "session"] for row in rows)
    assert [row["date"] for row in rows] == sorted(row["date"] for row in rows)
    assert {row["session"] for row in rows} == {"closed", "early_close"}
    assert all(date.fromisoformat(row["date"]).weekday() < 5 for row in rows)
    years, known = {int(row["date"][:4]) for row in rows}, current().holidays_complete
    assert years >= set(range(known.first_year, known.last_year + 1))


def test_every_special_session_is_on_a_day_that_has_no_ordinary_one_or_replaces_its_hours() -> None:
    for session in current().special_sessions.values():
        closed = session.date.weekday() >= 5 or session.date in current().holidays
        assert closed or session.windows, session.label


def test_every_shipped_rule_says_where_it_is_from_and_when_it_was_looked_at() -> None:
    for table in TABLES:
        rows = SHIPPED.tables.rows(table)
        assert rows, table
        for row in rows:
            assert len(row.source) > 10, (table, row)
            assert date(2026, 11, 1) <= row.last_checked


@pytest.mark.parametrize("table", ["hours", "expiring_hours", "closing_auction", "post_close"])
def test_the_rules_of_december_2026_are_marked_as_provisional(table: str) -> None:
    rows = SHIPPED.tables.rows(table)
    assert [row.provisional for row in rows if row.begins >= date(2026, 12, 7)] == [True] * sum(
        row.begins >= date(2026, 12, 7) for row in rows
    )
    assert not any(row.provisional for row in rows if row.begins < date(2026, 12, 7))


def test_rules_given_over_the_shipped_ones_hold_until_others_are_installed() -> None:
    day = date(2026, 12, 8)
    over = tables_of(lines(f'"hours": [{HOURS}]'))
    try:
        install(RuleBook.of(merged(SHIPPED.tables, over)))
        changed = session_for(day, MarketClass.DERIVATIVE)
        assert changed is not None
        assert f"{ist_time(changed.close_ns):%H:%M}" == "15:40"
    finally:
        install(SHIPPED)
    back = session_for(day, MarketClass.DERIVATIVE)
    assert back is not None
    assert f"{ist_time(back.close_ns):%H:%M}" == "15:45"


def test_a_holiday_can_be_added_and_called_off_and_a_special_session_taken_back() -> None:
    over = tables_of(
        lines(
            '"holidays": [{"date": "2026-12-09", "label": "Mourning", "session": "closed"},'
            ' {"date": "2026-12-25", "label": "Christmas", "session": "open"}]',
            '"special_sessions": [{"date": "2026-11-08", "label": "Muhurat trading", "windows": []}]',
        )
    )
    book = RuleBook.of(merged(SHIPPED.tables, over))
    assert book.holidays[date(2026, 12, 9)].label == "Mourning"
    assert date(2026, 12, 25) not in book.holidays
    assert date(2026, 11, 8) not in book.special_sessions


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "rules.json, line 1: not JSON"),
        ('{\n"hours": [\n,]}', "rules.json, line 3: not JSON"),
        ("[]", "rules.json, line 1: not an object of rules"),
        (lines('"hour": []'), "rules.json, line 3: hour: nothing is called so here (did you mean 'hours'?)"),
        (lines('"hours": []', '"hours": []'), "rules.json, line 4: 'hours' is there twice, first in line 3"),
        (
            lines(f'"hours": [\n{HOURS.replace("open", "opens")}]'),
            "line 4: hours.0.opens: nothing is called so here (did you mean 'open'?); line 4: hours.0.open: is missing",
        ),
        (
            lines(f'"hours": [\n{HOURS[:-1]},\n"until": "15:40"}}]'),
            "line 5: hours.0.until: nothing is called so here; known are close, from,",
        ),
        (
            lines(f'"hours": [\n{HOURS},\n{HOURS}]'),
            "line 5: hours of derivative: 2026-12-07 overlaps the rule of line",
        ),
        (
            lines(f'"hours": [\n{HOURS},\n{HOURS.replace("2026", "2025")}]'),
            "line 5: hours of derivative: 2025-12-07 runs backwards: 2026-12-07 stands in line 4",
        ),
        (lines(f'"hours": [\n{HOURS.replace("15:40", "09:00")}]'), "line 4: hours.0: closes at 09:00"),
        (lines(f'"hours": [\n{HOURS.replace("derivative", "bonds")}]'), "line 4: hours.0.market_class"),
        (
            lines(
                '"special_sessions": [\n{"date": "2027-10-29", "label": "Muhurat",\n"windows": [["19:00", "18:00"]]}]'
            ),
            "line 4: special_sessions.0: 2027-10-29: windows overlap or run backwards",
        ),
        (
            lines(
                '"closing_auction": [{"market_class": "equity_fno", "from": "2027-03-01", "band_pct": 3, "phases": [\n'
                '{"phase": "auction", "start_minute": 1, "end_minute": 6, "order_types": ["LIMIT"]},\n'
                '{"phase": "auction_limit", "start_minute": 5, "end_minute": 8, "order_types": ["LIMIT"]}]}]'
            ),
            "line 3: closing_auction.0: auction_limit overlaps auction",
        ),
        (
            lines('"lot_size": [\n{"underlying": "N", "first_contract": "2027", "lot_size": 75}]'),
            "line 4: lot_size.0",
        ),
        (
            lines('"lot_size": [\n{"underlying": "N", "first_contract": "2027-01", "lot_size": 0}]'),
            "line 4: lot_size.0",
        ),
        (
            lines('"weekly_expiry": [\n{"underlying": "NIFTY", "from": "2026-12-08", "weekday": "TUESDAY"}]'),
            "a weekly expiry rule begins on a Monday",
        ),
        (f'{{"hours": [\n{HOURS}]}}', "line 2: hours.0.source: is missing; line 2: hours.0.last_checked: is missing"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        tables_of(text)
    assert says in str(caught.value)
    assert str(caught.value).startswith("rules.json")
    assert "\n" not in str(caught.value)


def test_rules_that_together_break_an_invariant_are_refused() -> None:
    early = tables_of(lines('"NSE": [{"date": "2027-10-29", "label": "Diwali Laxmi Pujan", "session": "early_close"}]'))
    with pytest.raises(ValueError, match="2027-10-29: a holiday is early_close if and only if"):
        RuleBook.of(merged(SHIPPED.tables, early))
    with pytest.raises(ValueError, match="hours: equity has no hours"):
        RuleBook.of(Tables())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.sampled_from([None, 1, 4]))
def test_every_value_of_a_text_has_the_line_it_begins_on(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    found, where = parse_located(text, name="f")
    assert found == value
    for path, line in where.items():
        held = value
        for step in path:
            held = held[step]
        begins = text.splitlines()[line - 1]
        shown = "{" if isinstance(held, dict) else "[" if isinstance(held, list) else json.dumps(held)
        assert shown in begins
