"""Closing an account out from its own books: the invariants of the module, at drawn books of a broker."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import Contract, protection_band
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.execution.closing.plan import AccountView, CancelReason, plan_closing
from tradebus.execution.closing.terms import closing_tag, exit_terms
from tradebus.execution.leaving.pricing import Touch
from tradebus.execution.reconciliation import looks_ours, net_of
from tradebus.kernel.ids import derive_tag
from tradebus.kernel.money import slices
from tradebus.trading.orders import BrokerOrder, BrokerStatus

DAY = date(2026, 11, 25)
OURS, THEIRS = derive_tag("ours"), ""
FUTURE = Contract("NIFTY26DECFUT", "FUTURE", "derivative", "NIFTY", 65, 10, 1800, date(2026, 12, 29))
OPTION = replace(FUTURE, symbol="NIFTY26DEC26000CE", kind="OPTION", tick_size_paise=5, strike_paise=1, right=Right.CALL)
LIVE = (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING, BrokerStatus.PENDING, BrokerStatus.UNKNOWN)


def line(
    number: int, *, tag=OURS, instrument=0, side=Transaction.BUY, status=BrokerStatus.FILLED, quantity=65, filled=65
):
    return BrokerOrder(str(number), tag, "a", instrument, side, status, quantity, filled, None, (), 0)


def plan(orders, intraday, *, everything=False, listed=(0, 1), unresolved=None, young=()):
    return plan_closing(
        AccountView(orders, intraday), is_ours=looks_ours, everything=everything, listed=listed,
        unresolved=unresolved or {}, young=young,
    )  # fmt: skip


@st.composite
def books(draw) -> AccountView:
    orders = []
    for number in range(draw(st.integers(0, 8))):
        quantity = draw(st.integers(1, 4))
        status = draw(st.sampled_from((*LIVE, BrokerStatus.FILLED, BrokerStatus.CANCELLED, BrokerStatus.REJECTED)))
        orders.append(
            line(
                number, tag=draw(st.sampled_from((OURS, THEIRS, "mine"))), instrument=draw(st.integers(0, 1)),
                side=draw(st.sampled_from(Transaction)), status=status, quantity=quantity,
                filled=draw(st.integers(0, quantity)),
            )
        )  # fmt: skip
    return AccountView(orders, draw(st.dictionaries(st.integers(0, 1), st.integers(-9, 9))))


@given(view=books(), everything=st.booleans(), listed=st.sets(st.integers(0, 1)), open_tag=st.booleans())
def test_what_is_closed_is_ours_held_and_free_of_other_exits(view, everything, listed, open_tag) -> None:
    unresolved = {"t": 0} if open_tag else {}
    found = plan(view.orders, view.intraday, everything=everything, listed=listed, unresolved=unresolved)
    ours = net_of(order for order in view.orders if order.tag == OURS)
    cancelled = {one.order.broker_order_id for one in found.cancel}
    for instrument, quantity in {**found.close, **found.waiting, **found.unlisted}.items():
        net = view.intraday[instrument]
        assert quantity * net > 0
        assert abs(quantity) <= abs(net)
        if not everything:
            assert quantity * ours[instrument] > 0
            assert abs(quantity) <= abs(ours[instrument])
    for instrument, quantity in found.close.items():
        assert instrument in listed
        assert instrument not in unresolved.values()
        away = Transaction.SELL if quantity > 0 else Transaction.BUY
        for order in view.orders:
            if order.instrument == instrument and order.transaction is away and not order.status.final:
                assert order.tag != OURS
                assert order.broker_order_id not in cancelled
    for one in found.cancel:
        assert not one.order.status.final
        assert one.order.tag == OURS or everything or one.reason is CancelReason.RESTS_ON_CLOSED
    assert found.flat == (not (found.cancel or found.close or found.waiting or found.unlisted or unresolved))


@given(view=books())
def test_what_is_left_alone_and_what_is_closed_are_all_there_is(view) -> None:
    found = plan(view.orders, view.intraday)
    left = {one.instrument: one.quantity for one in found.left}
    ours = {**found.close, **found.waiting}
    for instrument, net in view.intraday.items():
        assert left.get(instrument, 0) + ours.get(instrument, 0) == net


def test_positions_that_lag_behind_the_orders_close_nothing() -> None:
    assert plan([line(1)], {}).close == {}
    assert plan([line(1)], {0: -65}).close == {}
    assert plan([line(1)], {0: 30}).close == {0: 30}


def test_an_exit_of_a_moment_ago_is_given_its_time_and_a_stop_is_not() -> None:
    exit_line = line(2, tag=derive_tag("exit"), side=Transaction.SELL, status=BrokerStatus.OPEN, filled=0)
    found = plan([line(1), exit_line], {0: 65}, young={exit_line.tag})
    assert (found.cancel, found.close, found.waiting) == ((), {}, {0: 65})
    found = plan([line(1), exit_line], {0: 65})
    assert [one.order for one in found.cancel] == [exit_line]
    found = plan([line(1), exit_line], {}, young={exit_line.tag})  # somebody closed it meanwhile: it would open one
    assert [one.order for one in found.cancel] == [exit_line]


def test_a_stop_stays_where_no_exit_can_be_sent() -> None:
    stop = line(2, tag=derive_tag("stop"), side=Transaction.SELL, status=BrokerStatus.TRIGGER_PENDING, filled=0)
    found = plan([line(1), stop], {0: 65}, listed=())
    assert (found.cancel, found.unlisted) == ((), {0: 65})


def test_an_order_of_others_goes_only_where_nothing_of_theirs_is_left() -> None:
    theirs = line(2, tag=THEIRS, side=Transaction.SELL, status=BrokerStatus.TRIGGER_PENDING, filled=0)
    assert [one.reason for one in plan([line(1), theirs], {0: 65}).cancel] == [CancelReason.RESTS_ON_CLOSED]
    found = plan([line(1), theirs], {0: 130})
    assert (found.cancel, found.close) == ((), {0: 65})
    assert [(one.quantity, one.orders) for one in found.left] == [(65, ("2",))]
    assert [one.reason for one in plan([theirs], {0: 130}, everything=True).cancel] == [CancelReason.EVERYTHING]


@given(st.integers(1, 50_000), st.integers(1, 100), st.none() | st.integers(1, 2_000))
def test_slices_add_up_and_none_is_above_the_freeze(quantity: int, lot: int, freeze: int | None) -> None:
    parts = slices(quantity, lot_size=lot, freeze_quantity=freeze)
    assert sum(parts) == quantity
    if freeze is not None:
        assert max(parts) <= max(freeze, 1)
    if quantity % lot == 0 and (freeze is None or freeze >= lot):
        assert all(part % lot == 0 for part in parts)


@given(
    st.sampled_from((FUTURE, OPTION)), st.sampled_from(Transaction), st.integers(0, 20), st.integers(5, 10**7),
    st.integers(0, 100),
)  # fmt: skip
def test_a_limit_reaches_the_other_side_on_a_tick_and_inside_the_band(
    contract: Contract, transaction: Transaction, attempt: int, bid: int, spread: int
) -> None:
    touch = Touch(bid, bid + spread, bid)
    terms = exit_terms(contract, transaction=transaction, attempt=attempt, touch=touch, day=DAY)
    if terms.order_type is OrderType.MARKET:
        assert attempt == 0
        assert not contract.is_option
        return
    price = terms.price_paise
    assert price is not None
    assert price > 0
    assert price % contract.tick_size_paise == 0
    reference = touch.bid_paise if transaction is Transaction.SELL else touch.ask_paise
    beyond = price - reference if transaction is Transaction.BUY else reference - price
    assert beyond > -contract.tick_size_paise
    band = protection_band(contract, reference, DAY)
    if band is not None and price != contract.tick_size_paise:
        assert band[0] <= price <= band[1]


def test_without_a_price_it_is_the_protected_market_order() -> None:
    for contract in (FUTURE, OPTION):
        for touch in (None, Touch(0, 0, 0)):
            terms = exit_terms(contract, transaction=Transaction.SELL, attempt=3, touch=touch, day=DAY)
            assert terms.order_type is OrderType.MARKET


def test_tags_of_exits_differ_by_everything_they_name() -> None:
    given_tags = {
        closing_tag(account, segment="NFO", token=token, day=day, number=number)
        for account in ("kite:a", "kite:b") for token in ("1", "2") for day in (DAY, date(2026, 11, 26))
        for number in range(3)
    }  # fmt: skip
    assert len(given_tags) == 24
    assert all(map(looks_ours, given_tags))
