"""Days on which rules changed: the session table, what may be ordered when, and how many bars there are."""

from dataclasses import dataclass
from datetime import date, time, timedelta

import pytest

from tradebus.calendar import (
    Contract,
    Phase,
    ProposedOrder,
    order_legal,
    session_of,
)
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_time, ist_to_ns

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
EARLY, LATE = time(8, 59), time(20, 0)


def equity(market_class: str) -> Contract:
    return Contract(
        symbol="X", kind="EQUITY", market_class=market_class, underlying="X", lot_size=1, tick_size_paise=5
    )  # fmt: skip


def derivative(underlying: str, expiry: str, *, option: bool = True) -> Contract:
    return Contract(
        symbol=underlying, kind="OPTION" if option else "FUTURE", market_class="derivative", underlying=underlying,
        lot_size=65, tick_size_paise=5, expiry=date.fromisoformat(expiry),
        strike_paise=2_600_000 if option else None, right=Right.CALL if option else None,
    )  # fmt: skip


INDEX = Contract(
    symbol="NIFTY 50", kind="INDEX", market_class="index", underlying="NIFTY", lot_size=1, tick_size_paise=5
)
HISTORY = Contract(
    symbol="NIFTY", kind="INDEX", market_class="derivative", underlying="NIFTY", lot_size=65, tick_size_paise=5
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """`span` is continuous trading, `phases` the others by their begin, `bars` of one, five and fifteen minutes and an
    hour, `entries` and `exits` the spans in which a limit order of the role is taken (our own time guards apart)."""

    day: str
    contract: Contract
    span: str | None
    square_off: str | None
    phases: str
    bars: tuple[int, int, int, int]
    entries: str
    exits: str


NIFTY_8, NIFTY_15 = derivative("NIFTY", "2026-12-08"), derivative("NIFTY", "2026-12-15")
FUTURE_DEC, FUTURE_JAN = (
    derivative("NIFTY", "2026-12-29", option=False),
    derivative("NIFTY", "2027-01-25", option=False),
)
RELIANCE_29 = derivative("RELIANCE", "2026-12-29")
STOCK = equity("equity_fno")
AFTER = "15:50 post_close, 16:00 end"
AUGUST = f"15:15 auction_reference, 15:20 auction, 15:25 auction_limit, 15:28 auction_matching, 15:35 end | {AFTER}"
DECEMBER = f"15:30 auction_reference, 15:31 auction, 15:36 auction_limit, 15:38 auction_matching, 15:40 end | {AFTER}"
PRE_OPEN = "09:00 pre_open, 09:05 pre_open_limit, 09:08 pre_open_matching, 09:15 end"
GOLDEN = [
    Row("2026-07-31", equity("equity"), "09:15-15:30", "15:15", "", (375, 75, 25, 7), "09:15-15:30", "09:15-15:30"),
    Row("2026-07-31", equity("equity_fno"), "09:15-15:30", "15:15", "", (375, 75, 25, 7), "09:15-15:30", "09:15-15:30"),
    Row("2026-07-31", FUTURE_DEC, "09:15-15:30", "15:15", "", (375, 75, 25, 7), "09:15-15:30", "09:15-15:30"),
    Row("2026-08-03", equity("equity"), "09:15-15:30", "15:15", "", (375, 75, 25, 7), "09:15-15:30", "09:15-15:30"),
    Row("2026-08-03", equity("equity_fno"), "09:15-15:15", "15:00", AUGUST, (360, 72, 24, 6), "09:15-15:15",
        "09:15-15:15 15:20-15:28"),
    Row("2026-08-03", FUTURE_DEC, "09:15-15:40", "15:25", "", (385, 77, 26, 7), "09:15-15:40", "09:15-15:40"),
    Row("2026-08-03", INDEX, "09:15-15:15", "15:00", "", (360, 72, 24, 6), "", ""),
    # An expiring index contract closes with its segment until December.
    Row("2026-08-04", derivative("NIFTY", "2026-08-04"), "09:15-15:40", "15:25", "", (385, 77, 26, 7), "09:15-15:40",
        "09:15-15:40"),
    Row("2026-09-07", equity("equity"), "09:15-15:30", "15:15", PRE_OPEN, (375, 75, 25, 7), "09:15-15:30",
        "09:00-09:08 09:15-15:30"),
    Row("2026-09-07", equity("equity_fno"), "09:15-15:15", "15:00", f"{PRE_OPEN} | {AUGUST}", (360, 72, 24, 6),
        "09:15-15:15", "09:00-09:08 09:15-15:15 15:20-15:28"),
    Row("2026-09-07", derivative("NIFTY", "2026-09-29", option=False), "09:15-15:40", "15:25", PRE_OPEN,
        (385, 77, 26, 7), "09:15-15:40", "09:00-09:08 09:15-15:40"),
    Row("2026-09-07", derivative("NIFTY", "2026-09-29"), "09:15-15:40", "15:25", "", (385, 77, 26, 7), "09:15-15:40",
        "09:15-15:40"),
    Row("2026-09-07", FUTURE_DEC, "09:15-15:40", "15:25", "", (385, 77, 26, 7), "09:15-15:40", "09:15-15:40"),
    Row("2026-12-04", equity("equity_fno"), "09:15-15:15", "15:00", f"{PRE_OPEN} | {AUGUST}", (360, 72, 24, 6),
        "09:15-15:15", "09:00-09:08 09:15-15:15 15:20-15:28"),
    Row("2026-12-04", NIFTY_8, "09:15-15:40", "15:25", "", (385, 77, 26, 7), "09:15-15:40", "09:15-15:40"),
    Row("2026-12-04", equity("equity"), "09:15-15:30", "15:15", PRE_OPEN, (375, 75, 25, 7), "09:15-15:30",
        "09:00-09:08 09:15-15:30"),
    Row("2026-12-04", FUTURE_DEC, "09:15-15:40", "15:25", PRE_OPEN, (385, 77, 26, 7), "09:15-15:40",
        "09:00-09:08 09:15-15:40"),
    Row("2026-12-04", INDEX, "09:15-15:15", "15:00", "", (360, 72, 24, 6), "", ""),
    Row("2026-12-07", equity("equity"), "09:15-15:30", "15:15", PRE_OPEN, (375, 75, 25, 7), "09:15-15:30",
        "09:00-09:08 09:15-15:30"),
    Row("2026-12-07", equity("equity_fno"), "09:15-15:30", "15:15", f"{PRE_OPEN} | {DECEMBER}", (375, 75, 25, 7),
        "09:15-15:30", "09:00-09:08 09:15-15:30 15:31-15:38"),
    Row("2026-12-07", NIFTY_8, "09:15-15:45", "15:30", "", (390, 78, 26, 7), "09:15-15:45", "09:15-15:45"),
    Row("2026-12-07", FUTURE_DEC, "09:15-15:45", "15:30", PRE_OPEN, (390, 78, 26, 7), "09:15-15:45",
        "09:00-09:08 09:15-15:45"),
    Row("2026-12-07", FUTURE_JAN, "09:15-15:45", "15:30", "", (390, 78, 26, 7), "09:15-15:45", "09:15-15:45"),
    Row("2026-12-07", INDEX, "09:15-15:30", "15:15", "", (375, 75, 25, 7), "", ""),
    Row("2026-12-08", NIFTY_8, "09:15-15:30", "15:15", "", (375, 75, 25, 7), "09:15-15:30", "09:15-15:30"),
    Row("2026-12-08", NIFTY_15, "09:15-15:45", "15:30", "", (390, 78, 26, 7), "09:15-15:45", "09:15-15:45"),
    Row("2026-12-08", HISTORY, "09:15-15:45", "15:30", PRE_OPEN, (390, 78, 26, 7), "09:15-15:45",
        "09:00-09:08 09:15-15:45"),
    Row("2026-12-09", NIFTY_8, None, None, "", (0, 0, 0, 0), "", ""),  # expired
    # The month's last day: the index' future and its history end early, a stock's contracts do not.
    Row("2026-12-29", FUTURE_DEC, "09:15-15:30", "15:15", PRE_OPEN, (375, 75, 25, 7), "09:15-15:30",
        "09:00-09:08 09:15-15:30"),
    Row("2026-12-29", FUTURE_JAN, "09:15-15:45", "15:30", PRE_OPEN, (390, 78, 26, 7), "09:15-15:45",
        "09:00-09:08 09:15-15:45"),
    Row("2026-12-29", HISTORY, "09:15-15:30", "15:15", PRE_OPEN, (375, 75, 25, 7), "09:15-15:30",
        "09:00-09:08 09:15-15:30"),
    Row("2026-12-29", RELIANCE_29, "09:15-15:45", "15:30", "", (390, 78, 26, 7), "09:15-15:45", "09:15-15:45"),
    Row("2027-02-08", equity("equity_fno"), "09:15-15:30", "15:15", f"{PRE_OPEN} | {DECEMBER}", (375, 75, 25, 7),
        "09:15-15:30", "09:00-09:08 09:15-15:30 15:31-15:38"),
    Row("2027-02-08", equity("equity"), "09:15-15:30", "15:15", PRE_OPEN, (375, 75, 25, 7), "09:15-15:30",
        "09:00-09:08 09:15-15:30"),
    Row("2027-02-08", derivative("NIFTY", "2027-02-09"), "09:15-15:45", "15:30", "", (390, 78, 26, 7), "09:15-15:45",
        "09:15-15:45"),
    Row("2027-02-08", derivative("NIFTY", "2027-02-23", option=False), "09:15-15:45", "15:30", PRE_OPEN,
        (390, 78, 26, 7), "09:15-15:45", "09:00-09:08 09:15-15:45"),
    Row("2027-02-08", INDEX, "09:15-15:30", "15:15", "", (375, 75, 25, 7), "", ""),
    Row("2026-11-08", equity("equity_fno"), "18:15-19:15", "19:12", "", (60, 12, 4, 1), "18:15-19:15", "18:15-19:15"),
    Row("2026-11-08", FUTURE_DEC, "18:15-19:15", "19:12", "", (60, 12, 4, 1), "18:15-19:15", "18:15-19:15"),
    Row("2013-11-03", equity("equity_fno"), "18:15-19:30", "19:27", "", (75, 15, 5, 2), "18:15-19:30", "18:15-19:30"),
    Row("2026-11-24", equity("equity_fno"), None, None, "", (0, 0, 0, 0), "", ""),
    Row("2026-11-24", FUTURE_DEC, None, None, "", (0, 0, 0, 0), "", ""),
    Row("2026-11-24", INDEX, None, None, "", (0, 0, 0, 0), "", ""),
]  # fmt: skip
IDS = [f"{row.day}-{row.contract.symbol}-{row.contract.market_class}-{row.contract.expiry}" for row in GOLDEN]


def clock(ts_ns: int) -> str:
    return f"{ist_time(ts_ns):%H:%M}"


@pytest.mark.parametrize("row", GOLDEN, ids=IDS)
def test_the_session_table(row: Row) -> None:
    session = session_of(row.contract, date.fromisoformat(row.day))
    if session is None:
        assert row.span is None
        return
    assert f"{clock(session.open_ns)}-{clock(session.close_ns)}" == row.span
    assert clock(session.square_off_ns) == row.square_off
    parts = []
    for group in (
        [one for one in session.phases if one.end_ns <= session.open_ns],
        [one for one in session.phases if session.close_ns <= one.start_ns < session.end_ns],
        [one for one in session.phases if one.start_ns >= session.end_ns],
    ):
        if group:
            named = [f"{clock(one.start_ns)} {one.phase}" for one in group]
            parts.append(", ".join([*named, f"{clock(group[-1].end_ns)} end"]))
    assert " | ".join(parts) == row.phases


@pytest.mark.parametrize("row", GOLDEN, ids=IDS)
def test_the_bar_counts(row: Row) -> None:
    session = session_of(row.contract, date.fromisoformat(row.day))
    found = tuple(session.expected_bars(seconds) if session else 0 for seconds in (60, 300, 900, 3600))
    assert found == row.bars


@pytest.mark.parametrize("row", GOLDEN, ids=IDS)
@pytest.mark.parametrize("role", [OrderRole.ENTRY, OrderRole.EXIT])
def test_the_legal_orders_by_minute(row: Row, role: OrderRole) -> None:
    assert legal_spans(row.contract, row.day, role) == (row.entries if role is OrderRole.ENTRY else row.exits)


def legal_spans(contract: Contract, day: str, role: OrderRole, order_type: OrderType = OrderType.LIMIT) -> str:
    """The minutes in which the order is taken, joined to spans."""
    at = date.fromisoformat(day)
    order = ProposedOrder(
        role=role, transaction=Transaction.SELL, order_type=order_type, quantity=contract.lot_size, price_paise=10_000,
        trigger_paise=10_000, has_protection=True,
    )  # fmt: skip
    spans: list[list[int]] = []
    for minute in range(ist_to_ns(at, EARLY), ist_to_ns(at, LATE), MINUTE_NS):
        if order_legal(contract, order, ts_ns=minute).allowed:
            if spans and spans[-1][1] == minute:
                spans[-1][1] += MINUTE_NS
            else:
                spans.append([minute, minute + MINUTE_NS])
    return " ".join(f"{clock(start)}-{clock(end)}" for start, end in spans)


@pytest.mark.parametrize(
    ("day", "contract", "order_type", "spans"),
    [
        ("2026-08-03", STOCK, OrderType.MARKET, "09:15-15:15 15:20-15:25"),
        ("2026-08-03", STOCK, OrderType.SL, "09:15-15:15"),
        ("2026-09-07", STOCK, OrderType.MARKET, "09:00-09:05 09:15-15:15 15:20-15:25"),
        ("2026-12-07", STOCK, OrderType.MARKET, "09:00-09:05 09:15-15:30 15:31-15:36"),
        ("2026-12-07", STOCK, OrderType.SL_M, "09:15-15:30"),
        ("2026-12-08", STOCK, OrderType.MARKET, "09:00-09:05 09:15-15:30 15:31-15:36"),
        ("2026-12-08", STOCK, OrderType.SL, "09:15-15:30"),
        ("2026-12-08", NIFTY_8, OrderType.MARKET, "09:15-15:30"),
        ("2026-12-08", NIFTY_8, OrderType.SL, "09:15-15:30"),
        ("2026-12-08", NIFTY_8, OrderType.SL_M, ""),
        ("2026-12-08", NIFTY_15, OrderType.SL, "09:15-15:45"),
        ("2026-12-08", FUTURE_DEC, OrderType.SL_M, "09:15-15:45"),
        ("2027-02-08", STOCK, OrderType.MARKET, "09:00-09:05 09:15-15:30 15:31-15:36"),
        ("2027-02-08", STOCK, OrderType.SL, "09:15-15:30"),
        ("2027-02-08", STOCK, OrderType.SL_M, "09:15-15:30"),
        ("2026-11-08", STOCK, OrderType.MARKET, "18:15-19:15"),
        ("2026-11-08", STOCK, OrderType.SL, "18:15-19:15"),
        ("2026-11-08", NIFTY_8, OrderType.SL, "18:15-19:15"),
        ("2026-11-08", NIFTY_8, OrderType.SL_M, ""),
    ],
)
def test_stops_and_market_orders_by_minute(day: str, contract: Contract, order_type: OrderType, spans: str) -> None:
    assert legal_spans(contract, day, OrderRole.EXIT, order_type) == spans


@pytest.mark.parametrize("day", ["2026-08-03", "2026-12-04", "2026-12-07", "2027-02-08"])
@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.MARKET, OrderType.SL])
@pytest.mark.parametrize("role", list(OrderRole))
def test_nothing_is_entered_in_the_post_close_session(day: str, order_type: OrderType, role: OrderRole) -> None:
    order = ProposedOrder(
        role=role, transaction=Transaction.SELL, order_type=order_type, quantity=1, price_paise=10_000,
        trigger_paise=10_000, has_protection=True,
    )  # fmt: skip
    rules = []
    for at in (time(15, 49), time(15, 50), time(15, 59, 59), time(16)):
        found = order_legal(STOCK, order, ts_ns=ist_to_ns(date.fromisoformat(day), at))
        assert not found.allowed
        rules.append(found.rule)
    assert rules == ["outside_session", "post_close", "post_close", "outside_session"]


@pytest.mark.parametrize(
    ("day", "contract", "holds"),
    [
        ("2026-07-31", STOCK, False), ("2026-08-03", STOCK, True), ("2026-12-07", STOCK, True),
        ("2026-12-07", equity("equity"), False), ("2026-12-07", NIFTY_8, False), ("2026-12-07", FUTURE_DEC, False),
        ("2026-12-07", INDEX, False), ("2026-11-08", STOCK, False),
    ],
)  # fmt: skip
def test_the_post_close_session_is_of_auction_stocks_on_ordinary_days(
    day: str, contract: Contract, holds: bool
) -> None:
    session = session_of(contract, date.fromisoformat(day))
    assert session is not None
    phases = [one.phase for one in session.phases]
    assert (Phase.POST_CLOSE in phases) == holds
    if holds:
        assert clock(session.phases[-1].start_ns) == "15:50"
        assert session.end_ns <= session.phases[-1].start_ns


def test_from_february_2027_limit_orders_go_on_into_the_auction() -> None:
    days = [date(2026, 12, 7), date(2027, 2, 5), date(2027, 2, 8)]
    sessions = [session_of(equity("equity_fno"), day) for day in days]
    assert [session and session.carries_limit_orders for session in sessions] == [False, False, True]
    assert [session and session.auction_band_pct for session in sessions] == [3, 3, 3]


def test_the_pre_open_of_the_next_months_future_begins_in_the_last_five_days() -> None:
    held = []
    for days in range(12):
        day = date(2026, 12, 18) + timedelta(days=days)
        session = session_of(FUTURE_JAN, day)
        if session is not None:
            held.append((day.day, session.phase_at(session.open_ns - 10 * MINUTE_NS) is Phase.PRE_OPEN_LIMIT))
    # Christmas is a holiday: the 22nd, 23rd, 24th, 28th and 29th are the last five days.
    assert held == [(18, False), (21, False), (22, True), (23, True), (24, True), (28, True), (29, True)]


def test_an_expiring_contract_says_that_its_last_day_is_over() -> None:
    order = ProposedOrder(
        role=OrderRole.EXIT, transaction=Transaction.SELL, order_type=OrderType.LIMIT, quantity=65, price_paise=10_000
    )  # fmt: skip
    found = order_legal(NIFTY_8, order, ts_ns=ist_to_ns(date(2026, 12, 8), time(15, 31)))
    assert (found.rule, found.detail) == ("contract_expired", "NIFTY stopped trading at 15:30, on its last day")
    found = order_legal(NIFTY_8, order, ts_ns=ist_to_ns(date(2026, 12, 9), time(10)))
    assert (found.rule, found.detail) == ("contract_expired", "NIFTY has expired on 2026-12-08")
