"""Charges by date: rates as published, exact sums, per-order brokerage."""

import json
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar.review import RemarkKind, review
from tradebus.calendar.rules import SHIPPED, RuleBook, install, merged, parse_tables
from tradebus.contracts.orders import Tariff, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.charges import Charges, charges_paise, exercise_stt_paise

BUY, SELL = Transaction.BUY, Transaction.SELL
KINDS = ("FUTURE", "OPTION", "EQUITY", "INDEX")
days = st.dates(min_value=date(2009, 2, 24), max_value=date(2030, 12, 31))
quantities = st.integers(1, 5000)
prices = st.integers(1, 10_000_000)


def percent_of(value_paise: int, percent: str) -> int:
    """The naive oracle: decimal percent, to the paisa, halves up."""
    return int((Decimal(value_paise) * Decimal(percent) / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def test_a_future_sold_in_november_2024_costs_what_a_contract_note_says() -> None:
    charges = charges_paise(day=date(2024, 11, 5), kind="FUTURE", transaction=SELL, quantity=75, price_paise=2_400_000)
    assert charges == Charges(
        brokerage_paise=2000,  # ₹20, below 0.03 % of ₹18,00,000
        stt_paise=36_000,  # 0.02 %
        transaction_paise=3114,  # 0.00173 %
        ipft_paise=180,  # ₹10 per crore
        sebi_paise=180,  # ₹10 per crore
        stamp_paise=0,  # the buyer's
        gst_paise=985,  # 18 % of 5474
    )
    assert charges.total_paise == 42_459


def test_an_option_bought_pays_flat_brokerage_and_stamp_duty_on_the_premium() -> None:
    charges = charges_paise(day=date(2025, 6, 2), kind="OPTION", transaction=BUY, quantity=75, price_paise=10_000)
    assert charges.parts == {
        "brokerage_paise": 2000,
        "stt_paise": 0,
        "transaction_paise": 263,  # 0.03503 % of ₹7,500
        "ipft_paise": 4,  # ₹50 per crore
        "sebi_paise": 1,
        "stamp_paise": 23,  # 0.003 %, 22.5 rounded up
        "gst_paise": 408,
    }


@pytest.mark.parametrize(
    ("kind", "per_crore", "fund", "stt_pct", "delivery"),
    [
        ("FUTURE", "182.99", "0.01", "0.05", False),
        ("OPTION", "3552", "1", "0.15", False),
        ("EQUITY", "306.99", "0.01", "0.025", False),
        ("EQUITY", "306.99", "0.01", "0.1", True),
    ],
)
def test_the_charges_of_2026_are_those_of_the_circulars(
    kind: str, per_crore: str, fund: str, stt_pct: str, delivery: bool
) -> None:
    crore = 1_000_000_000
    sold = charges_paise(
        day=date(2026, 12, 8), kind=kind, transaction=SELL, quantity=100, price_paise=crore // 100, delivery=delivery
    )  # fmt: skip
    assert sold.transaction_paise == Decimal(per_crore) * 100
    assert sold.ipft_paise == Decimal(fund) * 100
    assert sold.stt_paise == percent_of(crore, stt_pct)
    before = charges_paise(
        day=date(2026, 2, 28), kind=kind, transaction=SELL, quantity=100, price_paise=crore // 100, delivery=delivery
    )  # fmt: skip
    # The fund's share was moved into the exchange's: both together stay.
    assert before.transaction_paise != sold.transaction_paise
    assert before.transaction_paise + before.ipft_paise == sold.transaction_paise + sold.ipft_paise


def test_a_small_intraday_equity_order_pays_brokerage_by_percent() -> None:
    charges = charges_paise(day=date(2025, 6, 2), kind="EQUITY", transaction=BUY, quantity=10, price_paise=10_000)
    assert charges.brokerage_paise == 30  # 0.03 % of ₹1,000


def test_delivery_pays_the_transaction_tax_on_both_sides_and_no_brokerage() -> None:
    for side in Transaction:
        charges = charges_paise(
            day=date(2025, 6, 2), kind="EQUITY", transaction=side, quantity=10, price_paise=100_000, delivery=True
        )
        assert charges.stt_paise == 1000
        assert charges.brokerage_paise == 0


@pytest.mark.parametrize(
    ("kind", "day", "percent"),
    [
        ("FUTURE", "2013-05-31", "0.017"),
        ("FUTURE", "2013-06-01", "0.01"),
        ("FUTURE", "2023-03-31", "0.01"),
        ("FUTURE", "2023-04-01", "0.0125"),
        ("FUTURE", "2024-09-30", "0.0125"),
        ("FUTURE", "2024-10-01", "0.02"),
        ("FUTURE", "2026-03-31", "0.02"),
        ("FUTURE", "2026-04-01", "0.05"),
        ("OPTION", "2016-05-31", "0.017"),
        ("OPTION", "2016-06-01", "0.05"),
        ("OPTION", "2023-04-01", "0.0625"),
        ("OPTION", "2024-10-01", "0.1"),
        ("OPTION", "2026-04-01", "0.15"),
        ("EQUITY", "2015-01-01", "0.025"),
        ("EQUITY", "2026-04-01", "0.025"),
    ],
)
def test_the_transaction_tax_changes_on_its_day(kind: str, day: str, percent: str) -> None:
    found = charges_paise(day=date.fromisoformat(day), kind=kind, transaction=SELL, quantity=100, price_paise=1_234_567)
    assert found.stt_paise == percent_of(123_456_700, percent)


@pytest.mark.parametrize(
    ("kind", "day", "percent"),
    [
        ("FUTURE", "2024-09-30", "0.00188"),
        ("FUTURE", "2024-10-01", "0.00173"),
        ("OPTION", "2021-06-01", "0.053"),
        ("OPTION", "2024-10-01", "0.03503"),
        ("EQUITY", "2024-09-30", "0.00322"),
        ("EQUITY", "2024-10-01", "0.00297"),
    ],
)
def test_the_exchange_charge_changes_on_its_day(kind: str, day: str, percent: str) -> None:
    found = charges_paise(day=date.fromisoformat(day), kind=kind, transaction=BUY, quantity=100, price_paise=1_234_567)
    assert found.transaction_paise == percent_of(123_456_700, percent)


def test_service_tax_came_before_goods_and_services_tax() -> None:
    def gst(day: date) -> int:
        return charges_paise(day=day, kind="OPTION", transaction=BUY, quantity=1, price_paise=1).gst_paise

    assert [gst(date(2017, 6, 30)), gst(date(2017, 7, 1))] == [300, 360]  # of ₹20


@given(day=days, kind=st.sampled_from(KINDS), side=st.sampled_from(Transaction), quantity=quantities, price=prices)
def test_no_part_is_negative_and_the_total_is_their_sum(
    day: date, kind: str, side: Transaction, quantity: int, price: int
) -> None:
    charges = charges_paise(day=day, kind=kind, transaction=side, quantity=quantity, price_paise=price)
    assert min(charges.parts.values()) >= 0
    assert charges.total_paise == sum(charges.parts.values())


@given(day=days, side=st.sampled_from(Transaction), quantity=quantities, price=prices)
def test_an_indexs_history_is_charged_as_its_future(day: date, side: Transaction, quantity: int, price: int) -> None:
    index, future = (
        charges_paise(day=day, kind=kind, transaction=side, quantity=quantity, price_paise=price)
        for kind in ("INDEX", "FUTURE")
    )
    assert index == future


@given(
    day=days,
    kind=st.sampled_from(KINDS),
    side=st.sampled_from(Transaction),
    fills=st.lists(st.tuples(quantities, prices), min_size=1, max_size=6),
)
def test_an_order_filled_in_pieces_pays_the_brokerage_of_one_fill(
    day: date, kind: str, side: Transaction, fills: list[tuple[int, int]]
) -> None:
    paid, value = 0, 0
    for quantity, price in fills:
        paid += charges_paise(
            day=day, kind=kind, transaction=side, quantity=quantity, price_paise=price, order_value_before_paise=value
        ).brokerage_paise
        value += quantity * price
    whole = charges_paise(day=day, kind=kind, transaction=side, quantity=1, price_paise=value)
    assert paid == whole.brokerage_paise


@given(day=days, kind=st.sampled_from(KINDS), side=st.sampled_from(Transaction), quantity=quantities, price=prices)
def test_costs_grow_with_value(day: date, kind: str, side: Transaction, quantity: int, price: int) -> None:
    less = charges_paise(day=day, kind=kind, transaction=side, quantity=quantity, price_paise=price)
    more = charges_paise(day=day, kind=kind, transaction=side, quantity=quantity + 1, price_paise=price)
    assert all(more.parts[name] >= less.parts[name] for name in less.parts)


def test_what_cannot_be_charged_is_named() -> None:
    def ask(**changed: object) -> Charges:
        asked = {
            "day": date(2024, 1, 1), "kind": "FUTURE", "transaction": BUY, "quantity": 1, "price_paise": 1, **changed,
        }  # fmt: skip
        return charges_paise(**asked)  # type: ignore[arg-type]

    with pytest.raises(InvalidInput, match=r"kind: 'FUTURES' .*did you mean 'FUTURE'"):
        ask(kind="FUTURES")
    with pytest.raises(InvalidInput, match="delivery: FUTURE is never delivered"):
        ask(delivery=True)
    with pytest.raises(InvalidInput, match="quantity 0"):
        ask(quantity=0)
    with pytest.raises(InvalidInput, match="securities transaction tax: no rule is known for 2001-01-01"):
        ask(day=date(2001, 1, 1))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ('{"from": "2020-01-01", "percent": "1"},\n {"from": "2019-01-01", "percent": "2"}', "runs backwards"),
        ('{"from": "2020-01-01", "percent": "0.00000001"}', "to a billionth at most"),
        ('{"from": "2020-01-01", "percent": 0.5}', "no percentage in quotes"),
        ('{"from": "2020-01-01", "percent": "NaN"}', "no percentage in quotes"),
        ('{"from": "2020-01-01", "percent": "1", "buy": "2"}', "percent stands for buy and sell"),
        ('{"from": "2020-01-01", "buy": "2"}', "sell: is missing"),
    ],
)
def test_charges_out_of_order_or_that_are_no_rates_are_refused(rows: str, problem: str) -> None:
    filled = rows.replace("{", '{"charge": "stt", "segment": "FUTURE", ')
    text = f'{{"source": "s", "last_checked": "2026-11-29", "charges": [{filled}]}}'
    with pytest.raises(InvalidInput, match=problem):
        parse_tables(text, name="rules.json")


def test_a_charge_is_overridden_like_any_other_rule() -> None:
    text = """{"source": "Finance Act 2027", "last_checked": "2026-11-29", "charges": [
      {"charge": "stt", "segment": "FUTURE", "from": "2026-11-25", "buy": "0", "sell": "0.1"}]}"""
    sold = {"kind": "FUTURE", "transaction": Transaction.SELL, "quantity": 65, "price_paise": 2_600_000}
    before = charges_paise(day=date(2026, 11, 25), **sold).stt_paise
    try:
        install(RuleBook.of(merged(SHIPPED.tables, parse_tables(text, name="rules.json")[0])))
        assert charges_paise(day=date(2026, 11, 25), **sold).stt_paise == 2 * before > 0
        assert charges_paise(day=date(2026, 11, 24), **sold).stt_paise == before
    finally:
        install(SHIPPED)
    assert charges_paise(day=date(2026, 11, 25), **sold).stt_paise == before


def test_a_charge_of_a_segment_that_has_none_is_refused() -> None:
    text = """{"source": "s", "last_checked": "2026-11-29", "charges": [
      {"charge": "exercise", "segment": "FUTURE", "from": "2026-11-25", "percent": "0.1"}]}"""
    with pytest.raises(ValueError, match="exercise is said of"):
        RuleBook.of(merged(SHIPPED.tables, parse_tables(text, name="rules.json")[0]))


@pytest.mark.parametrize(
    ("day", "quantity", "strike", "settlement", "owed_paise"),
    [
        ("2008-05-31", 75, 11_000, 11_100, 0),  # no rate is known
        (
            "2019-08-31",
            75,
            11_000,
            11_100,
            104_063,
        ),  # 0.125 % of the settlement price: ₹1,040.62 in Asthatrade's example
        ("2019-08-31", 75, 11_000, 11_050, 103_594),  # "around ₹1,000", Zerodha, 5 September 2019
        ("2019-09-01", 75, 11_000, 11_050, 469),  # "around ₹5", the same
        ("2022-01-06", 7_500, 16_000, 16_100, 93_750),  # ₹937.50: a hundred lots in Zerodha's TradingQ&A
        ("2026-03-31", 65, 24_000, 24_100, 813),  # 812.5
        ("2026-04-01", 65, 24_000, 24_100, 975),  # 0.15 % of ₹6,500
        ("2019-08-31", 75, 11_000, 11_000, 0),  # at the money: never exercised, whatever the basis
    ],
)
def test_an_exercised_option_owes_the_tax_of_its_year(
    day: str, quantity: int, strike: int, settlement: int, owed_paise: int
) -> None:
    worth_paise, settlement_paise = (settlement - strike) * 100, settlement * 100
    owed = exercise_stt_paise(
        day=date.fromisoformat(day), quantity=quantity, worth_paise=worth_paise, settlement_paise=settlement_paise
    )
    assert owed == owed_paise


def test_the_rates_of_2026_say_that_they_are_provisional() -> None:
    (said,) = [one for one in review(date(2026, 11, 30)) if one.table == "charges"]
    assert said.kind is RemarkKind.PROVISIONAL
    assert said.about == "charges of exercise OPTION, stt FUTURE, stt OPTION from 2026-04-01"
    assert "Finance Act 2026 (press)" in said.text


def test_a_negative_exercise_is_refused() -> None:
    with pytest.raises(InvalidInput, match="must not be negative"):
        exercise_stt_paise(day=date(2026, 12, 8), quantity=65, worth_paise=-1, settlement_paise=2_400_000)


def test_a_future_sold_at_zerodha_costs_what_kites_margin_api_answers() -> None:
    """One future of ₹14,84,190.50 sold after 1 April 2026: STT 742.09525, exchange 27.16068615, SEBI 1.4841905,
    brokerage 20, GST 8.756077797, together 799.496."""
    found = charges_paise(
        day=date(2026, 8, 10), kind="FUTURE", transaction=SELL, quantity=65, price_paise=2_283_370,
        tariff=Tariff.ZERODHA,
    )  # fmt: skip
    assert found.parts == {
        "brokerage_paise": 2000, "stt_paise": 74_210, "transaction_paise": 2716, "ipft_paise": 0, "sebi_paise": 148,
        "stamp_paise": 0, "gst_paise": 876,
    }  # fmt: skip


def test_a_share_bought_for_delivery_costs_what_kites_margin_api_answers() -> None:
    """One INFY at ₹1,500 after 1 March 2026: STT 1.5, exchange with the fund 0.04605, SEBI 0.0015, GST 0.008559."""
    found = charges_paise(
        day=date(2026, 8, 10), kind="EQUITY", transaction=SELL, quantity=1, price_paise=150_000, delivery=True
    )
    assert (found.stt_paise, found.transaction_paise, found.brokerage_paise, found.gst_paise) == (150, 5, 0, 1)


@pytest.mark.parametrize(
    ("tariff", "kind", "day", "rupees", "delivery", "brokerage_paise"),
    [
        # zerodha.com/charges: 0.03 % or ₹20, flat ₹20 for options, delivery free
        (Tariff.ZERODHA, "EQUITY", "2026-08-10", 50_000, False, 1500),
        (Tariff.ZERODHA, "OPTION", "2026-08-10", 10, False, 2000),
        (Tariff.ZERODHA, "EQUITY", "2026-08-10", 500_000, True, 0),
        # dhan.co/pricing: ₹15 of a ₹50,000 intraday trade is its calculator's example
        (Tariff.DHAN, "EQUITY", "2026-08-10", 50_000, False, 1500),
        (Tariff.DHAN, "FUTURE", "2026-08-10", 1_500_000, False, 2000),
        (Tariff.DHAN, "OPTION", "2026-08-10", 10, False, 2000),
        (Tariff.DHAN, "EQUITY", "2026-08-10", 500_000, True, 0),
        # upstox.com/brokerage-charges: 0.05 % of futures, 0.1 % of intraday (0.05 % before), 2.5 % of delivery, to ₹20
        (Tariff.UPSTOX, "FUTURE", "2026-08-10", 20_000, False, 1000),
        (Tariff.UPSTOX, "EQUITY", "2026-08-10", 10_000, False, 1000),
        (Tariff.UPSTOX, "EQUITY", "2024-09-30", 10_000, False, 500),
        (Tariff.UPSTOX, "EQUITY", "2026-08-10", 400, True, 1000),
        (Tariff.UPSTOX, "EQUITY", "2026-08-10", 500_000, True, 2000),
        (Tariff.UPSTOX, "EQUITY", "2022-05-31", 500_000, True, 0),
        (Tariff.UPSTOX, "OPTION", "2026-08-10", 10, False, 2000),
    ],
)
def test_brokerage_is_that_of_the_broker(
    tariff: Tariff, kind: str, day: str, rupees: int, delivery: bool, brokerage_paise: int
) -> None:
    found = charges_paise(
        day=date.fromisoformat(day), kind=kind, transaction=BUY, quantity=1, price_paise=rupees * 100,
        delivery=delivery, tariff=tariff,
    )  # fmt: skip
    assert found.brokerage_paise == brokerage_paise


@given(day=days, kind=st.sampled_from(KINDS), side=st.sampled_from(Transaction), quantity=quantities, price=prices)
def test_brokers_differ_in_brokerage_and_its_gst_alone(
    day: date, kind: str, side: Transaction, quantity: int, price: int
) -> None:
    found = {
        tariff: charges_paise(
            day=day, kind=kind, transaction=side, quantity=quantity, price_paise=price, tariff=tariff
        ) for tariff in Tariff
    }  # fmt: skip
    assert found[Tariff.NONE] == Charges()
    same = [
        {name: paise for name, paise in found[tariff].parts.items() if name not in ("brokerage_paise", "gst_paise")}
        for tariff in Tariff if tariff is not Tariff.NONE
    ]  # fmt: skip
    assert same[0] == same[1] == same[2]


def test_a_broker_without_brokerage_of_a_segment_is_refused_and_none_has_no_row() -> None:
    rows = parse_tables((files("tradebus.calendar") / "charges.json").read_text(), name="charges.json")[0].brokerage
    left = tuple(row for row in rows if row.key != "dhan OPTION")
    with pytest.raises(ValueError, match="at dhan"):
        RuleBook.of(SHIPPED.tables.model_copy(update={"brokerage": left}))
    text = json.dumps({"source": "x", "last_checked": "2026-12-01", "brokerage": [
        {"broker": "none", "segment": "FUTURE", "from": "2026-12-01", "percent": "0", "cap_paise": 0}]})  # fmt: skip
    with pytest.raises(InvalidInput, match="none has no brokerage"):
        parse_tables(text, name="rules.json")
