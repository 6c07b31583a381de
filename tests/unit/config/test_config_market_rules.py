"""A file of market rules over the shipped ones: taken as a whole, or refused naming file and line."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tradebus.calendar import MarketClass, is_trading_day, session_for
from tradebus.calendar.rules import SHIPPED, current, install
from tradebus.config.market_rules import install_market_rules, read_market_rules
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_time

TODAY = date(2026, 11, 28)
HEAD = '{\n  "source": "NSE/CMTR/77001", "last_checked": "2026-11-28",\n'


@pytest.fixture(autouse=True)
def shipped() -> Iterator[None]:
    yield
    install(SHIPPED)


def written(folder: Path, body: str) -> Path:
    path = folder / "rules.json"
    path.write_text(HEAD + body + "\n}\n", encoding="utf-8")
    return path


def test_without_a_file_the_shipped_rules_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("TRADEBUS_MARKET_RULES", raising=False)
        else:
            monkeypatch.setenv("TRADEBUS_MARKET_RULES", value)
        assert install_market_rules() is None
        assert current() is SHIPPED


def test_a_rule_that_comes_later_than_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """7 December's hours are put off by a week: the old ones go on, the new ones begin then."""
    path = written(
        tmp_path,
        '"hours": [\n'
        '{"market_class": "derivative", "from": "2026-12-07", "open": "09:15", "close": "15:40"},\n'
        '{"market_class": "derivative", "from": "2026-12-14", "open": "09:15", "close": "15:45"}],\n'
        '"holidays": [{"date": "2026-12-09", "label": "Day of mourning", "session": "closed"}]',
    )
    monkeypatch.setenv("TRADEBUS_MARKET_RULES", str(path))
    assert install_market_rules() == path
    closes = {}
    for day in (date(2026, 12, 4), date(2026, 12, 8), date(2026, 12, 14)):
        session = session_for(day, MarketClass.DERIVATIVE)
        assert session is not None
        closes[day.day] = f"{ist_time(session.close_ns):%H:%M}"
    assert closes == {4: "15:40", 8: "15:40", 14: "15:45"}
    assert not is_trading_day(date(2026, 12, 9))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('"hour": []', "rules.json, line 3: hour: nothing is called so here (did you mean 'hours'?)"),
        (
            '"special_sessions": [\n{"date": "2027-10-29", "label": "Muhurat", "windows": null,\n"lable": ""}]',
            "rules.json, line 5: special_sessions.0.lable: nothing is called so here (did you mean 'label'?)",
        ),
        (
            '"stock_ticks": [\n{"from": "2026-12-01", "bands": [\n{"below_pais": null, "tick_size_paise": 5}]}]',
            "line 5: stock_ticks.0.bands.0.below_pais: nothing is called so here (did you mean 'below_paise'?)",
        ),
        (
            '"freeze_quantity": [\n{"underlying": "NIFTY", "from": "2026-12-01", "quantity": 1800,\n'
            '"last_checked": "2099-01-01"}]',
            "rules.json, line 5: last_checked: 2099-01-01 is still to come",
        ),
        (
            '"freeze_quantity": [\n{"underlying": "NIFTY", "from": "2026-12-01", "quantity": 1800},\n'
            '{"underlying": "NIFTY", "from": "2026-12-01", "quantity": 1200}]',
            "rules.json, line 5: freeze_quantity of NIFTY: 2026-12-01 overlaps the rule of line 4",
        ),
        (
            '"freeze_quantity": [\n{"underlying": "NIFTY", "from": "2026-12-01", "quantity": 1800},\n'
            '{"underlying": "NIFTY", "from": "2026-11-01", "quantity": 1200}]',
            "rules.json, line 5: freeze_quantity of NIFTY: 2026-11-01 runs backwards: 2026-12-01 stands in line 4",
        ),
        (
            '"holidays": [\n\n{"date": "2027-10-29", "label": "Diwali", "session": "early_close"}]',
            "rules.json, line 5: 2027-10-29: a holiday is early_close if and only if it has a special session",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_line_and_changes_nothing(tmp_path: Path, body: str, says: str) -> None:
    path = written(tmp_path, body)
    with pytest.raises(InvalidInput) as caught:
        read_market_rules(path, today=TODAY)
    assert str(caught.value).startswith(f"TRADEBUS_MARKET_RULES: {path}")
    assert says in str(caught.value)
    assert current() is SHIPPED


def test_a_look_at_the_source_that_is_still_to_come_is_refused_in_the_files_own_line(tmp_path: Path) -> None:
    path = written(tmp_path, '"holidays": [\n{"date": "2027-03-01", "label": "Mourning", "session": "closed"}]')
    assert read_market_rules(path, today=TODAY).holidays
    with pytest.raises(InvalidInput, match=r"line 2: last_checked: 2026-11-28 is still to come"):
        read_market_rules(path, today=date(2026, 11, 27))


HOURS = {"market_class": "derivative", "from": "2026-12-07", "open": "09:15", "close": "15:40"}
FREEZE = {"underlying": "NIFTY", "from": "2026-12-01", "quantity": 1800}
TIME = 'must be a time of Indian clocks such as "09:15"'
DATE = 'must be a date such as "2026-12-07"'


@pytest.mark.parametrize(
    ("table", "row", "says"),
    [
        *(("hours", {**HOURS, "close": value}, f"hours.0.close: {TIME}")
          for value in (1540, 33300, 9.25, True, None, "15:40+05:30", "15:40Z", "15:40:30", "9:15", "24:00", "1540")),
        *(("special_sessions", {"date": "2026-12-09", "label": "x", "windows": [["18:00", value]]},
           f"special_sessions.0.windows.0.1: {TIME}") for value in (1900, "19:00+05:30")),
        *(("freeze_quantity", {**FREEZE, "quantity": value}, "freeze_quantity.0.quantity: must be a whole number")
          for value in (True, "1800", 1800.0, None)),
        *(("freeze_quantity", {**FREEZE, "from": value}, f"freeze_quantity.0.from: {DATE}")
          for value in (1704153600, "1704153600", "2026-12-01T00:00", "20261201", True)),
        ("holidays", {"date": 1704153600, "label": "x", "session": "closed"}, f"holidays.0.date: {DATE}"),
        ("hours", {**HOURS, "last_checked": 20261204}, f"hours.0.last_checked: {DATE}"),
        ("hours", {**HOURS, "provisional": "yes"}, "hours.0.provisional: must be true or false"),
        ("hours", {**HOURS, "source": 77001}, "hours.0.source: must be text in quotes"),
        ("lot_size", {"underlying": "NIFTY", "first_contract": 2026, "lot_size": 75},
         'lot_size.0.first_contract: must be a month such as "2026-12"'),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_in_one_line_with_its_own(
    tmp_path: Path, table: str, row: dict[str, object], says: str
) -> None:
    fields = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in row.items())
    path = written(tmp_path, f'"{table}": [{{\n{fields}}}]')
    with pytest.raises(InvalidInput) as caught:
        read_market_rules(path, today=TODAY)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    text = path.read_text().splitlines()
    place = next(part for part in reversed(says.split(":")[0].split(".")) if part in row)
    assert f"line {1 + next(n for n, line in enumerate(text) if line.startswith(json.dumps(place)))}: " in str(
        caught.value
    )


def test_what_stands_in_the_file_once_for_its_rows_is_refused_once_in_its_own_line(tmp_path: Path) -> None:
    path = written(tmp_path, f'"hours": [{json.dumps(HOURS)}],\n"freeze_quantity": [{json.dumps(FREEZE)}]')
    path.write_text(path.read_text().replace('"2026-11-28"', "20261128"))
    with pytest.raises(InvalidInput) as caught:
        read_market_rules(path, today=TODAY)
    assert str(caught.value).endswith(f"rules.json, line 2: last_checked: {DATE}")


def test_every_problem_is_in_the_one_line_and_the_unknown_field_stands_first(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '"hours": [{"market_class": "derivativ", "from": "2026-12-07", "open": 915,\n"closes": "15:40"}],\n'
        '"closing_auction": [{"market_class": "equity_fno", "from": "2026-12-07", "band_pct": 3.0, "phases": [\n'
        '{"phase": "auction", "start_minute": 0, "end_minutes": 5, "order_types": ["LIMIT"]}]}]',
    )
    with pytest.raises(InvalidInput) as caught:
        read_market_rules(path, today=TODAY)
    said = str(caught.value).partition("rules.json, ")[2].split("; line ")
    assert said[:2] == [
        "line 4: hours.0.closes: nothing is called so here (did you mean 'close'?)",
        "6: closing_auction.0.phases.0.end_minutes: nothing is called so here (did you mean 'end_minute'?)",
    ]
    assert any(one.startswith("3: hours.0.market_class: ") for one in said[2:])
    assert f"3: hours.0.open: {TIME}" in said
    assert "3: hours.0.close: is missing" in said
    assert "6: closing_auction.0.phases.0.end_minute: is missing" in said
    assert len(said) == 6


def test_a_row_that_calls_off_what_there_is_not_is_refused_with_why(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '"holidays": [\n{"date": "2026-12-09", "label": "none", "session": "open"}],\n'
        '"special_sessions": [{"date": "2026-12-10", "label": "none", "windows": []}]',
    )
    with pytest.raises(InvalidInput) as caught:
        read_market_rules(path, today=TODAY)
    assert "rules.json, line 4: 2026-12-09: open changes nothing: it calls a holiday off, and none is" in str(
        caught.value
    )
    assert "; line 5: 2026-12-10: no windows change nothing: they call a special session off" in str(caught.value)
    known = min(day for day, row in SHIPPED.holidays.items() if row.session == "closed" and day.weekday() < 5)
    path = written(tmp_path, f'"holidays": [{{"date": "{known}", "label": "called off", "session": "open"}}]')
    assert known not in read_market_rules(path, today=TODAY).holidays


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no file"):
        read_market_rules(tmp_path / "missing.json", today=TODAY)
    with pytest.raises(InvalidInput, match="is no file"):
        read_market_rules(tmp_path, today=TODAY)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_market_rules(tmp_path / "binary.json", today=TODAY)


def test_the_file_that_the_documentation_shows_is_taken(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    text = (root / "docs/operations.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```\n(\{\n  \"source\".*?\n\})\n```", text, re.DOTALL)
    path = tmp_path / "rules.json"
    path.write_text(shown, encoding="utf-8")
    book = read_market_rules(path, today=TODAY)
    assert book.holidays[date(2026, 12, 9)].label == "Day of mourning"
    assert [row.close.minute for row in book.hours[MarketClass.DERIVATIVE]][-2:] == [40, 45]
    empty = read_market_rules(root / "deploy/market_rules.json", today=TODAY)
    assert empty.holidays == SHIPPED.holidays
