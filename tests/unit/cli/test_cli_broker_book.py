"""The ledger held against the exchange's book: equal views differ in nothing, and everything else is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.reports.broker_book import compare


def order(tag="t1", **changed: Any) -> dict[str, Any]:
    return {
        "tag": tag, "state": "FILLED", "transaction_type": "BUY", "quantity": 100, "filled_quantity": 100,
        "broker_order_id": "B1", **changed,
    }  # fmt: skip


def booked(tag="t1", **changed: Any) -> dict[str, Any]:
    return {
        "tag": tag, "status": "COMPLETE", "transaction": "BUY", "quantity": 100, "filled_quantity": 100,
        "symbol": "X", "trades": [{"quantity": 60, "price_paise": 100}, {"quantity": 40, "price_paise": 105}],
        **changed,
    }  # fmt: skip


FILLS = [
    {"tag": "t1", "quantity": 40, "price_paise": 105},
    {"tag": "t1", "quantity": 60, "price_paise": 100},
]


def theirs(*orders: dict[str, Any], positions: Any = (), pnl=0) -> dict[str, Any]:
    return {"orders": list(orders), "positions": list(positions), "pnl_paise": pnl}


def test_equal_books_differ_in_nothing() -> None:
    position = {"key": "NSE:X", "quantity": 100}
    assert compare([order()], FILLS, {"NSE:X": 100}, 0, theirs(booked(), positions=[position])) == []
    assert compare([order()], FILLS, {}, -500, theirs(booked(), pnl=-500)) == []


def test_an_order_that_never_left_is_no_difference() -> None:
    assert compare([order(state="CANCELLED", broker_order_id=None)], [], {}, 0, theirs()) == []


DIFFERENT: list[tuple[Any, Any, Any, str]] = [
    ([order()], FILLS, theirs(), "order t1: in the ledger (FILLED), not at the broker"),
    ([], [], theirs(booked()), "order t1: at the broker (BUY 100/100 X COMPLETE), not in the ledger"),
    ([], [], theirs(booked("")), "order (no tag): at the broker"),
    ([order(state="OPEN")], FILLS, theirs(booked()), "state is OPEN in the ledger and FILLED at the broker"),
    ([order(filled_quantity=60)], FILLS, theirs(booked()), "filled is 60 in the ledger and 100 at the broker"),
    ([order()], FILLS[:1], theirs(booked()), "fills are 40 @ 1.05 in the ledger and 40 @ 1.05, 60"),
    ([order(transaction_type="SELL")], FILLS, theirs(booked()), "side is SELL in the ledger"),
    ([order()], FILLS, theirs(booked(), pnl=100), "gross P&L: ₹0.00 in the ledger and ₹1.00 at the broker"),
    ([], [], theirs(positions=[{"key": "NSE:X", "quantity": -5}]), "position NSE:X: 0 in the ledger and -5"),
]  # fmt: skip


@pytest.mark.parametrize(("orders", "fills", "book", "words"), DIFFERENT)
def test_each_difference_is_named(orders, fills, book, words) -> None:
    found = compare(orders, fills, {}, 0, book)
    assert [one for one in found if words in one], found


quantities = st.integers(1, 50)


@given(st.lists(st.tuples(quantities, st.integers(1, 9)), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_fills_are_told_does_not_matter(fills, shuffler) -> None:
    total = sum(quantity for quantity, _ in fills)
    rows = [{"tag": "t1", "quantity": quantity, "price_paise": price} for quantity, price in fills]
    trades = [{"quantity": quantity, "price_paise": price} for quantity, price in fills]
    shuffler.shuffle(trades)
    mine = order(quantity=total, filled_quantity=total)
    book = booked(quantity=total, filled_quantity=total, trades=trades)
    assert compare([mine], rows, {}, 0, theirs(book)) == []
    rows[0] = {**rows[0], "price_paise": rows[0]["price_paise"] + 1}
    assert compare([mine], rows, {}, 0, theirs(book)) != []
