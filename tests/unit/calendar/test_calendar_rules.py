"""The shipped rule files keep their shape, and a broken one is refused."""

import json
from collections.abc import Callable
from datetime import date
from importlib.resources import files
from typing import Any

import pytest

from tradebus.calendar.rules import CONTRACTS, HOLIDAYS, HOURS, Contracts, Hours, OrderRules, check, parse_holidays


def raw(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("tradebus.calendar").joinpath(name).read_text(encoding="utf-8"))
    return found


def test_the_shipped_holidays_have_the_documented_shape() -> None:
    rows = raw("holidays.json")["NSE"]
    assert all(list(row) == ["date", "label", "session"] for row in rows)
    assert [row["date"] for row in rows] == sorted(row["date"] for row in rows)
    assert {row["session"] for row in rows} == {"closed", "early_close"}
    assert all(date.fromisoformat(row["date"]).weekday() < 5 for row in rows)
    years = {int(row["date"][:4]) for row in rows}
    assert years >= set(range(HOURS.holidays_complete.first_year, HOURS.holidays_complete.last_year + 1))


def test_every_special_session_is_on_a_day_that_has_no_ordinary_one_or_replaces_its_hours() -> None:
    for session in HOURS.special_sessions:
        closed = session.date.weekday() >= 5 or session.date in HOLIDAYS
        assert closed or session.windows, session.label


@pytest.mark.parametrize(
    ("name", "model", "spoil"),
    [
        ("contracts.json", Contracts, lambda rules: rules.update(surprise=1)),
        ("contracts.json", Contracts, lambda rules: rules["monthly_expiry"]["*"][0].update(weekday="SOMEDAY")),
        ("contracts.json", Contracts, lambda rules: rules["lot_size"]["NIFTY"][0].update(lot_size=0)),
        ("contracts.json", Contracts, lambda rules: rules["lot_size"]["NIFTY"][0].update(first_contract="2015")),
        ("contracts.json", Contracts, lambda rules: rules["weekly_expiry"]["NIFTY"][0].update({"from": "2019-02-14"})),
        ("hours.json", Hours, lambda rules: rules["hours"][0].update(market_class="bonds")),
        ("hours.json", Hours, lambda rules: rules["special_sessions"][0].update(windows=[["17:00", "15:45"]])),
        (
            "hours.json",
            Hours,
            lambda rules: rules["special_sessions"][0].update(windows=[["09:15", "10:00"], ["09:45", "11:00"]]),
        ),
        ("order_rules.json", OrderRules, lambda rules: rules["market_protection"].update(order_types=["SLM"])),
    ],
)
def test_a_broken_file_is_refused(
    name: str, model: type[Contracts | Hours | OrderRules], spoil: Callable[[dict[str, Any]], None]
) -> None:
    rules = raw(name)
    model.model_validate(rules)
    spoil(rules)
    with pytest.raises(ValueError, match="validation error"):
        model.model_validate(rules)


def test_rules_out_of_order_are_refused() -> None:
    shipped = raw("contracts.json")
    shipped["lot_size"]["NIFTY"].reverse()
    with pytest.raises(ValueError, match="NIFTY: rules must be listed by ascending date"):
        check(HOLIDAYS, HOURS, Contracts.model_validate(shipped))


def test_a_class_without_hours_is_refused() -> None:
    shipped = raw("hours.json")
    shipped["hours"] = [rule for rule in shipped["hours"] if rule["market_class"] != "index"]
    with pytest.raises(ValueError, match="index: rules must be listed"):
        check(HOLIDAYS, Hours.model_validate(shipped), CONTRACTS)


def test_a_shortened_day_without_hours_is_refused() -> None:
    early = '{"NSE": [{"date": "2027-10-29", "label": "Diwali Laxmi Pujan", "session": "early_close"}]}'
    with pytest.raises(ValueError, match="2027-10-29: a holiday is early_close if and only if"):
        check(parse_holidays(early), HOURS, CONTRACTS)
