"""Slices, statuses, catalogue and rows of Dhan's face: pure, without an exchange."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.faces.dhan.catalogue import Catalogue
from services.sandbox.faces.dhan.fields import Fields
from services.sandbox.faces.dhan.masters import COMPACT, DETAILED, compact_row, detailed_row
from services.sandbox.faces.dhan.order_requests import changed_order, new_order, slices
from services.sandbox.faces.dhan.order_rows import order_alert, order_row
from services.sandbox.faces.dhan.portfolio import position_row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.words import status_word
from services.sandbox.ports import (
    NewOrder,
    SandboxInstrument,
    SandboxOrder,
    SandboxPosition,
    SandboxStatus,
)
from tradebus.contracts.instrument_key import InstrumentKey, Right
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import Product

SHARE = SandboxInstrument(0, InstrumentKey.parse("NSE:INFY"), "INFY", "INFY", 1594, 0, "", "INE0", 1, 5, 100, "equity")
INDEX = replace(SHARE, index=1, key=InstrumentKey.parse("INDEX:NIFTY"), dhan_symbol="NIFTY", exchange_token=13)
CALL = replace(
    SHARE, index=2, key=InstrumentKey.parse("NFO:NIFTY:2026-12-01:26000:CE"), dhan_symbol="NIFTY-Dec2026-26000-CE",
    exchange_token=35_100, lot_size=65, freeze_quantity=1_800,
)  # fmt: skip
PUT = replace(CALL, index=3, key=InstrumentKey.parse("NFO:NIFTY:2026-12-29:26000.50:PE"), exchange_token=35_101)
STOCK_FUTURE = replace(CALL, index=4, key=InstrumentKey.parse("NFO:INFY:2026-12-29:FUT"), exchange_token=35_002)
CATALOGUE = Catalogue((SHARE, INDEX, CALL, PUT, STOCK_FUTURE))
ASKED = NewOrder(2, Transaction.BUY, OrderType.LIMIT, Product.CARRY, 130, price_paise=10_005, tag="mine")
ORDER = SandboxOrder("1", "2", "1000000001", ASKED, ASKED, SandboxStatus.OPEN, 0, 0, 10**18, 10**18, 1, 0, "", (), ())


@given(st.integers(1, 500), st.integers(1, 100), st.integers(0, 5_000))
def test_slices_add_up_and_none_is_above_the_freeze_quantity(lots: int, lot: int, freeze: int) -> None:
    instrument = replace(CALL, lot_size=lot, freeze_quantity=freeze)
    parts = slices(replace(ASKED, quantity=lots * lot), instrument)
    assert sum(part.quantity for part in parts) == lots * lot
    assert all(part.quantity % lot == 0 for part in parts)
    assert freeze < lot or all(part.quantity <= freeze for part in parts)
    assert len({replace(part, quantity=1) for part in parts}) == 1


@pytest.mark.parametrize(
    ("status", "filled", "reason", "word"),
    [
        (SandboxStatus.VALIDATION_PENDING, 0, "", "TRANSIT"), (SandboxStatus.OPEN, 0, "", "PENDING"),
        (SandboxStatus.OPEN, 65, "", "PART_TRADED"), (SandboxStatus.TRIGGER_PENDING, 0, "", "PENDING"),
        (SandboxStatus.COMPLETE, 130, "", "TRADED"), (SandboxStatus.CANCELLED, 65, "", "CANCELLED"),
        (SandboxStatus.CANCELLED, 0, "the day's session has ended", "EXPIRED"),
        (SandboxStatus.REJECTED, 0, "no money", "REJECTED"), (SandboxStatus.AFTER_MARKET, 0, "", "PENDING"),
    ],
)  # fmt: skip
def test_each_status_has_dhans_word_in_the_book_and_on_the_stream(
    status: SandboxStatus, filled: int, reason: str, word: str
) -> None:
    order = replace(ORDER, status=status, filled_quantity=filled, reason=reason)
    assert status_word(order) == word
    assert order_row(order, CALL)["orderStatus"] == word
    data = order_alert(order, CALL, CATALOGUE, 10_000)["Data"]
    assert isinstance(data, dict)
    assert data["status"].upper() == word


def test_an_order_row_names_its_contract() -> None:
    row = order_row(ORDER, CALL)
    assert (row["drvExpiryDate"], row["drvOptionType"], row["drvStrikePrice"]) == ("2026-12-01", "CALL", 26_000.0)
    assert (row["exchangeSegment"], row["securityId"], row["price"]) == ("NSE_FNO", "35100", 100.05)
    assert (row["remainingQuantity"], row["correlationId"], row["productType"]) == (130, "mine", "MARGIN")


def test_options_are_found_by_underlying_expiry_strike_and_right() -> None:
    assert CATALOGUE.expiries(INDEX.key) == (date(2026, 12, 1), date(2026, 12, 29))
    assert CATALOGUE.strikes(INDEX.key, date(2026, 12, 1)) == {2_600_000: {Right.CALL: CALL}}
    assert CATALOGUE.strikes(INDEX.key, date(2026, 12, 8)) == {}
    assert CATALOGUE.expiries(SHARE.key) == ()
    assert CATALOGUE.underlying_of(CALL.key) == INDEX
    assert CATALOGUE.underlying_of(STOCK_FUTURE.key) == SHARE
    assert CATALOGUE.underlying_of(SHARE.key) is None


def test_master_rows_have_every_column_and_ticks_in_paise() -> None:
    for instrument in CATALOGUE.instruments:
        assert len(compact_row(instrument, CATALOGUE)) == len(COMPACT)
        assert len(detailed_row(instrument, CATALOGUE)) == len(DETAILED)
    row = dict(zip(DETAILED, detailed_row(STOCK_FUTURE, CATALOGUE), strict=True))
    assert (row["INSTRUMENT"], row["OPTION_TYPE"], row["STRIKE_PRICE"]) == ("FUTSTK", "XX", "-0.01000")
    assert (row["UNDERLYING_SECURITY_ID"], row["TICK_SIZE"], row["LOT_SIZE"]) == (1594, "5.0000", "65.0")
    weekly, monthly = (
        dict(zip(DETAILED, detailed_row(each, CATALOGUE), strict=True))["EXPIRY_FLAG"] for each in (CALL, PUT)
    )
    assert (weekly, monthly) == ("W", "M")


def test_a_market_order_asks_for_the_servers_protection_and_a_limit_order_for_none() -> None:
    body = {
        "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "securityId": "1594",
        "quantity": "3", "price": 0,
    }  # fmt: skip
    assert new_order(Fields(body | {"orderType": "MARKET"}), SHARE).market_protection_pct == -1
    limit = new_order(Fields(body | {"orderType": "LIMIT", "price": "15.05"}), SHARE)
    assert (limit.market_protection_pct, limit.price_paise, limit.quantity) == (0, 1_505, 3)
    with pytest.raises(DhanProblem, match="price"):
        new_order(Fields(body | {"orderType": "LIMIT"}), SHARE)
    with pytest.raises(DhanProblem, match="not traded"):
        new_order(Fields(body | {"orderType": "MARKET"}), INDEX)


def test_a_change_leaves_what_it_says_nothing_of() -> None:
    change = changed_order(Fields({"orderType": "LIMIT", "quantity": 0, "price": 10, "triggerPrice": 0}))
    assert (change.quantity, change.price_paise, change.trigger_paise) == (None, 1_000, None)


@given(st.integers(-50, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_positions_quantities_add_up(carried: int, bought: int, sold: int) -> None:
    position = SandboxPosition(
        2, Product.CARRY, carried, carried * 100, bought, bought * 110, sold, sold * 120, 100, 100, 0, 0
    )
    row = position_row("1", position, CALL)
    assert isinstance(row["buyQty"], int)
    assert isinstance(row["sellQty"], int)
    assert row["buyQty"] - row["sellQty"] == row["netQty"] == position.quantity
    word = {1: "LONG", -1: "SHORT", 0: "CLOSED"}[(position.quantity > 0) - (position.quantity < 0)]
    assert row["positionType"] == word
    assert row["dayBuyQty"] == bought
