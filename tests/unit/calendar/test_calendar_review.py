"""What is said of the rules before they are relied on."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar.review import RemarkKind, review
from tradebus.calendar.rules import SHIPPED, RuleBook, merged, parse_tables

EVE = date(2026, 11, 30)


def kinds(day: date) -> set[RemarkKind]:
    return {remark.kind for remark in review(day)}


def test_on_the_eve_of_december_the_provisional_rules_are_named_with_their_source() -> None:
    provisional = [remark for remark in review(EVE) if remark.kind is RemarkKind.PROVISIONAL]
    hours = next(remark for remark in provisional if remark.table == "hours")
    assert hours.about == "hours of derivative, equity_fno, index from 2026-12-07"
    assert "NSE/CMTR/76963" in hours.text
    assert "last looked at on 2026-11-29" in hours.text
    assert {remark.table for remark in provisional} >= {"hours", "expiring_hours", "closing_auction", "post_close"}
    assert RemarkKind.STALE not in kinds(EVE)


def test_what_nobody_looks_at_becomes_stale() -> None:
    assert "freeze_quantity" not in {one.table for one in review(date(2027, 1, 4)) if one.kind is RemarkKind.STALE}
    assert "freeze_quantity" in {one.table for one in review(date(2027, 1, 5)) if one.kind is RemarkKind.STALE}
    provisional = [one for one in review(date(2026, 12, 30)) if one.kind is RemarkKind.STALE]
    assert "hours" in {one.table for one in provisional}
    assert "31 days, 30 at most" in next(one for one in provisional if one.table == "hours").text


def test_a_year_without_a_holiday_list_is_said_in_time() -> None:
    missing = [one.about for one in review(EVE) if one.kind is RemarkKind.MISSING]
    assert missing == ["holidays of 2027"]
    assert RemarkKind.MISSING not in kinds(date(2026, 6, 1))


def test_rules_given_by_a_file_are_reviewed_like_shipped_ones() -> None:
    text = (
        '{"source": "NSE/CMTR/77001", "last_checked": "2026-11-30", "holidays_complete": {"first_year": 2012,'
        ' "last_year": 2027}, "hours": [{"market_class": "derivative", "from": "2026-12-07", "open": "09:15",'
        ' "close": "15:45"}]}'
    )
    book = RuleBook.of(merged(SHIPPED.tables, parse_tables(text, name="f")[0]))
    abouts = {one.about for one in review(EVE, book)}
    assert "hours of equity_fno, index from 2026-12-07" in abouts
    assert "holidays of 2027" not in abouts


@given(st.dates(date(2012, 1, 1), date(2028, 1, 1)))
def test_what_is_superseded_or_over_is_never_remarked_on(day: date) -> None:
    for remark in review(day):
        if remark.kind is RemarkKind.PROVISIONAL and remark.table == "special_sessions":
            assert any(str(day + timedelta(days=ahead)) in remark.about for ahead in range(61))
        if remark.kind is RemarkKind.PROVISIONAL and remark.table == "hours":
            assert day >= date(2026, 12, 7) - timedelta(days=60)
