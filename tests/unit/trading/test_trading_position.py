"""The fill accumulator against a naive ledger."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.position import TradePosition, entry_transaction, exit_transaction

Fill = tuple[OrderRole, int, int]
sides = st.sampled_from(Side)
fills = st.lists(
    st.tuples(st.sampled_from(OrderRole), st.integers(1, 2000), st.integers(1, 10_000_000)), max_size=12
)  # fmt: skip


def position_of(side: Side, filled: list[Fill]) -> TradePosition:
    position = TradePosition(side)
    for role, quantity, price in filled:
        position = position.with_fill(role=role, quantity=quantity, price_paise=price)
    return position


def cash_flow(side: Side, filled: list[Fill]) -> int:
    """The oracle: money in less money out, fill by fill."""
    total = 0
    for role, quantity, price in filled:
        transaction = entry_transaction(side) if role is OrderRole.ENTRY else exit_transaction(side)
        total += quantity * price * (1 if transaction is Transaction.SELL else -1)
    return total


@given(sides, fills, st.randoms(use_true_random=False))
def test_the_order_of_fills_does_not_matter(side: Side, filled: list[Fill], shuffler: object) -> None:
    mixed = list(filled)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    assert position_of(side, mixed) == position_of(side, filled)


@given(sides, fills, st.integers(1, 10_000_000))
def test_when_flat_the_realised_profit_is_sells_less_buys(side: Side, filled: list[Fill], price: int) -> None:
    position = position_of(side, filled)
    left = position.open_quantity
    if left:
        closing = OrderRole.EXIT if left > 0 else OrderRole.ENTRY
        filled = [*filled, (closing, abs(left), price)]
    closed = position_of(side, filled)
    assert closed.open_quantity == 0
    assert closed.is_flat == bool(filled)
    assert closed.realised_gross_paise == cash_flow(side, filled)
    assert closed.unrealised_gross_paise(price) == 0


@given(sides, fills, st.integers(1, 10_000_000))
def test_profit_at_a_mark_is_what_closing_there_would_give(side: Side, filled: list[Fill], mark: int) -> None:
    position = position_of(side, filled)
    worth = side.sign * position.open_quantity * mark
    assert position.gross_paise(mark) == cash_flow(side, filled) + worth
    assert position.realised_gross_paise + position.unrealised_gross_paise(mark) == position.gross_paise(mark)


@given(sides, fills)
def test_a_partly_closed_position_realises_by_average_prices(side: Side, filled: list[Fill]) -> None:
    position = position_of(side, filled)
    if min(position.entry_quantity, position.exit_quantity) == 0:
        assert position.realised_gross_paise == 0
        return
    per_unit = Fraction(position.exit_value_paise, position.exit_quantity) - Fraction(
        position.entry_value_paise, position.entry_quantity
    )
    exact = side.sign * min(position.entry_quantity, position.exit_quantity) * per_unit
    assert abs(position.realised_gross_paise - exact) <= Fraction(1, 2)


def test_a_short_bought_back_lower_earns() -> None:
    position = position_of(Side.SHORT, [(OrderRole.ENTRY, 50, 20_000), (OrderRole.STOP, 20, 19_000)])
    assert position.open_quantity == 30
    assert position.realised_gross_paise == 20_000
    assert position.unrealised_gross_paise(21_000) == -30_000
    assert (position.entry_price_paise, position.exit_price_paise) == (20_000, 19_000)


def test_exit_and_stop_both_filled_show_as_negative_quantity() -> None:
    position = position_of(
        Side.LONG, [(OrderRole.ENTRY, 50, 100), (OrderRole.EXIT, 50, 110), (OrderRole.STOP, 50, 90)]
    )  # fmt: skip
    assert position.open_quantity == -50
    assert not position.is_flat
    assert position.gross_paise(100) == 0


def test_nothing_filled_has_no_average() -> None:
    assert TradePosition(Side.LONG).entry_price_paise is None
    assert not TradePosition(Side.LONG).is_flat


@pytest.mark.parametrize(("quantity", "price"), [(0, 100), (-1, 100), (1, 0)])
def test_an_impossible_fill_is_refused(quantity: int, price: int) -> None:
    with pytest.raises(InvalidInput, match="fill"):
        TradePosition(Side.LONG).with_fill(role=OrderRole.ENTRY, quantity=quantity, price_paise=price)
