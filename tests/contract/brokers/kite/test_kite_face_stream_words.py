"""Which changes of an order the ticker's text stream tells of."""

from dataclasses import replace

import pytest

from services.sandbox.faces.kite.streaming import StreamedOrders
from services.sandbox.ports import NewOrder, SandboxOrder, SandboxStatus
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import Product

S = SandboxStatus
REQUEST = NewOrder(
    instrument=0, transaction=Transaction.BUY, order_type=OrderType.LIMIT, product=Product.INTRADAY, quantity=10,
    price_paise=100,
)  # fmt: skip
PLACED = SandboxOrder(
    order_id="1", exchange_order_id="11", account="AB1234", request=REQUEST, asked=REQUEST,
    status=S.VALIDATION_PENDING, filled_quantity=0, average_price_paise=0, placed_ns=1, updated_ns=1, number=1,
    modifications=0, reason="", trades=(), history=(),
)  # fmt: skip


def words(*orders: SandboxOrder, known: tuple[SandboxOrder, ...] = ()) -> list[str | None]:
    streamed = StreamedOrders(known)
    return [streamed.word(order) for order in orders]


def test_plain_placement_says_nothing() -> None:
    assert words(PLACED, replace(PLACED, status=S.OPEN)) == [None, None]


def test_an_after_market_order_says_nothing() -> None:
    assert words(PLACED, replace(PLACED, status=S.AFTER_MARKET)) == [None, None]


@pytest.mark.parametrize("status", [S.COMPLETE, S.CANCELLED, S.REJECTED])
def test_the_end_is_told_by_its_own_word(status: SandboxStatus) -> None:
    assert words(PLACED, replace(PLACED, status=status)) == [None, status.value]


def test_a_partial_fill_is_an_update() -> None:
    partly = replace(PLACED, status=S.OPEN, filled_quantity=4)
    assert words(PLACED, partly, replace(partly, filled_quantity=7)) == [None, "UPDATE", "UPDATE"]


def test_a_modification_is_an_update_also_of_an_order_older_than_the_connection() -> None:
    open_order = replace(PLACED, status=S.OPEN)
    assert words(replace(open_order, modifications=1), known=(open_order,)) == ["UPDATE"]


def test_a_triggered_stop_is_open() -> None:
    waiting = replace(PLACED, status=S.TRIGGER_PENDING)
    assert words(PLACED, waiting, replace(waiting, status=S.OPEN)) == [None, None, "OPEN"]


def test_the_same_state_again_says_nothing_new() -> None:
    partly = replace(PLACED, status=S.OPEN, filled_quantity=4)
    assert words(partly, replace(partly, number=3)) == ["UPDATE", None]


def test_an_end_is_told_once() -> None:
    complete = replace(PLACED, status=S.COMPLETE, filled_quantity=10)
    assert words(PLACED, complete, complete) == [None, "COMPLETE", None]
