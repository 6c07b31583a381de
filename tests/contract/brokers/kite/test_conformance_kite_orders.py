"""Orders through the official SDK and through our adapter: what one places, both see alike."""

from dataclasses import dataclass

import pytest
from kiteconnect import exceptions as kite_errors
from testkit.kite_desk import BUY, FUTURE, HANDS, OPTION, SELL, SHARE, KiteDesk

from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Product, Result

MARKET, LIMIT, SL, SL_M = OrderType.MARKET, OrderType.LIMIT, OrderType.SL, OrderType.SL_M
MIS, NRML, CNC = Product.INTRADAY, Product.CARRY, Product.DELIVERY
FILLED, OPEN, WAITING = BrokerStatus.FILLED, BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING


@dataclass(frozen=True)
class Case:
    """`price` and `trigger` are percents: see KiteDesk.price and .trigger."""

    what: str
    order_type: OrderType
    product: Product
    expected: BrokerStatus
    side: Transaction = BUY
    price: float | None = None
    trigger: float | None = None

    @property
    def name(self) -> str:
        words = (self.what.split(":")[-1], self.product, self.order_type, self.side, self.expected)
        return "-".join(word.lower() for word in words)


def cases(what: str, *products: Product) -> list[Case]:
    """Every type in every product, at a price that trades and at one that rests."""
    found = []
    for product in products:
        found += [
            Case(what, MARKET, product, FILLED),
            Case(what, LIMIT, product, FILLED, price=0.5),
            Case(what, LIMIT, product, OPEN, price=-4),
            Case(what, SL, product, WAITING, price=3, trigger=2),
        ]
        if what != OPTION:
            found.append(Case(what, SL_M, product, WAITING, trigger=2))
    return found


CASES = [
    *cases(SHARE, MIS, CNC),
    *cases(FUTURE, MIS, NRML),
    *cases(OPTION, MIS, NRML),
    Case(SHARE, MARKET, MIS, FILLED, side=SELL),
    Case(SHARE, LIMIT, MIS, OPEN, side=SELL, price=-4),
    Case(FUTURE, LIMIT, NRML, FILLED, side=SELL, price=0.5),
    Case(FUTURE, SL_M, MIS, WAITING, side=SELL, trigger=2),
    Case(OPTION, SL, NRML, WAITING, side=SELL, price=3, trigger=2),
]


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_agree_on_a_placed_order(desk: KiteDesk, case: Case, by: str) -> None:
    ask = desk.ask(
        case.what, case.order_type, side=case.side, product=case.product, price=case.price, trigger=case.trigger
    )
    quote = desk.quote(case.what)
    facts = desk.placed(by, ask)
    assert facts.status is case.expected
    assert facts.quantity == ask.quantity
    assert facts.filled_quantity == (ask.quantity if case.expected is FILLED else 0)
    assert facts.trigger_paise == ask.trigger_paise
    if case.expected is FILLED:
        best = int(quote["ask_paise"][0] if case.side is BUY else quote["bid_paise"][0])
        assert facts.average_paise >= best if case.side is BUY else facts.average_paise <= best
    assert desk.adapter.find(ask.tag) == facts


@pytest.mark.parametrize("by", HANDS)
def test_a_protected_market_order_is_a_limit_order_in_the_book(desk: KiteDesk, by: str) -> None:
    facts = desk.placed(by, desk.ask(SHARE, MARKET))
    row = desk.sdk.row(facts.order_id)
    assert (row["order_type"], row["status"]) == ("LIMIT", "COMPLETE")
    assert row["price"] > 0


@pytest.mark.parametrize("by", HANDS)
def test_an_order_larger_than_the_book_fills_partly_and_keeps_its_fill_when_cancelled(desk: KiteDesk, by: str) -> None:
    standing = int(desk.quote(SHARE)["ask_quantity"][0])
    ask = desk.ask(SHARE, LIMIT, lots=standing + 2, price=0.0)
    partly = desk.placed(by, ask)
    assert partly.status is OPEN
    assert partly.filled_quantity == standing
    assert partly.average_paise == ask.price_paise
    assert desk.hand(by).cancel(partly.order_id).result is Result.ACCEPTED
    ended = desk.agreed(partly.order_id)
    assert (ended.status, ended.filled_quantity) == (BrokerStatus.CANCELLED, standing)
    assert desk.sdk.row(partly.order_id)["cancelled_quantity"] == ask.quantity - standing


@pytest.mark.parametrize("by", HANDS)
def test_a_new_price_that_crosses_fills_the_order(desk: KiteDesk, by: str) -> None:
    resting = desk.placed(by, desk.ask(SHARE, LIMIT, price=-3))
    changed = desk.hand(by).modify(resting.order_id, quantity=1, price_paise=desk.price(SHARE, BUY, 0.5))
    assert (changed.result, changed.broker_order_id) == (Result.ACCEPTED, resting.order_id)
    assert desk.agreed(resting.order_id).status is FILLED


@pytest.mark.parametrize("by", HANDS)
def test_a_new_price_and_quantity_are_in_the_book(desk: KiteDesk, by: str) -> None:
    resting = desk.placed(by, desk.ask(SHARE, LIMIT, price=-3))
    price = desk.price(SHARE, BUY, -2)
    assert desk.hand(by).modify(resting.order_id, quantity=7, price_paise=price).result is Result.ACCEPTED
    assert desk.agreed(resting.order_id).quantity == 7
    row = desk.sdk.row(resting.order_id)
    assert (row["price"], row["modified"]) == (price / 100, True)


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize("order_type", [SL, SL_M])
def test_a_stop_moves_to_its_new_trigger(desk: KiteDesk, order_type: OrderType, by: str) -> None:
    ask = desk.ask(SHARE, order_type, trigger=2, price=3 if order_type is SL else None)
    stop = desk.placed(by, ask)
    trigger = desk.trigger(SHARE, BUY, 1)
    price = desk.price(SHARE, BUY, 3) if order_type is SL else None
    changed = desk.hand(by).modify(stop.order_id, quantity=1, price_paise=price, trigger_paise=trigger)
    assert changed.result is Result.ACCEPTED, changed.reason
    facts = desk.agreed(stop.order_id)
    assert (facts.status, facts.trigger_paise) == (WAITING, trigger)


def test_an_order_changed_to_market_is_protected_as_asked(desk: KiteDesk) -> None:
    resting = desk.placed("adapter", desk.ask(SHARE, LIMIT, price=-3))
    kite = desk.sdk.kite
    with pytest.raises(kite_errors.InputException, match="market_protection"):
        kite.modify_order("regular", resting.order_id, order_type="MARKET", market_protection=0)
    best = int(desk.quote(SHARE)["ask_paise"][0])
    kite.modify_order("regular", resting.order_id, order_type="MARKET", market_protection=2)
    assert desk.agreed(resting.order_id).status is FILLED
    row = desk.sdk.row(resting.order_id)
    assert (row["order_type"], row["market_protection"]) == ("LIMIT", 2)
    assert row["price"] * 100 == pytest.approx(best * 1.02, abs=desk.instrument(SHARE).tick_size_paise)


@pytest.mark.parametrize("by", HANDS)
def test_an_order_that_has_ended_is_not_modified(desk: KiteDesk, by: str) -> None:
    filled = desk.placed(by, desk.ask(SHARE, MARKET))
    outcome = desk.hand(by).modify(filled.order_id, quantity=2, price_paise=desk.price(SHARE, BUY, 0))
    assert outcome.result is Result.REFUSED
    assert desk.agreed(filled.order_id) == filled


@pytest.mark.parametrize("by", HANDS)
def test_an_order_nobody_knows_is_neither_modified_nor_cancelled(desk: KiteDesk, by: str) -> None:
    hand = desk.hand(by)
    assert hand.modify("261125999999999", quantity=2, price_paise=100_00).result is Result.REFUSED
    assert hand.cancel("261125999999999").result is Result.REFUSED


@pytest.mark.parametrize("by", HANDS)
def test_the_twenty_sixth_change_of_an_order_is_refused(desk: KiteDesk, by: str) -> None:
    resting = desk.placed(by, desk.ask(SHARE, LIMIT, price=-3))
    price = desk.price(SHARE, BUY, -3)
    for quantity in range(2, 27):
        outcome = desk.sdk.modify(resting.order_id, quantity=quantity, price_paise=price)
        assert outcome.result is Result.ACCEPTED, outcome.reason
    assert desk.hand(by).modify(resting.order_id, quantity=27, price_paise=price).result is Result.REFUSED
    assert desk.agreed(resting.order_id).quantity == 26


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize("order_type", [LIMIT, SL, SL_M])
def test_a_waiting_order_is_cancelled(desk: KiteDesk, order_type: OrderType, by: str) -> None:
    price = {LIMIT: -4.0, SL: 3.0, SL_M: None}[order_type]
    trigger = None if order_type is LIMIT else 2.0
    waiting = desk.placed(by, desk.ask(SHARE, order_type, price=price, trigger=trigger))
    outcome = desk.hand(by).cancel(waiting.order_id)
    assert (outcome.result, outcome.broker_order_id) == (Result.ACCEPTED, waiting.order_id)
    ended = desk.agreed(waiting.order_id)
    assert (ended.status, ended.filled_quantity) == (BrokerStatus.CANCELLED, 0)
    assert desk.hand(by).cancel(waiting.order_id).result is Result.REFUSED


@pytest.mark.parametrize("by", HANDS)
def test_a_filled_order_is_not_cancelled(desk: KiteDesk, by: str) -> None:
    filled = desk.placed(by, desk.ask(OPTION, MARKET))
    assert desk.hand(by).cancel(filled.order_id).result is Result.REFUSED
    assert desk.agreed(filled.order_id).status is FILLED


@pytest.mark.parametrize("by", HANDS)
def test_a_resting_order_fills_at_its_price_when_the_market_comes_to_it(desk: KiteDesk, by: str) -> None:
    ask = desk.ask(SHARE, LIMIT, side=SELL, price=-1)
    resting = desk.placed(by, ask)
    assert resting.status is OPEN
    desk.shock(SHARE, 0.02)
    filled = desk.until(resting.order_id, FILLED)
    assert filled.average_paise >= (ask.price_paise or 0)
