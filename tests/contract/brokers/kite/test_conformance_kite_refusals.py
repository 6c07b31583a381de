"""What Kite refuses, and what it rejects later: the SDK's user and our adapter's get the same answer, and say why."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from kiteconnect import exceptions as kite_errors
from testkit.kite_desk import BUY, FUTURE, HANDS, OPTION, SELL, SHARE, KiteDesk
from testkit.kite_hands import Ask

from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import BrokerStatus, Product

MARKET, LIMIT, SL, SL_M = OrderType.MARKET, OrderType.LIMIT, OrderType.SL, OrderType.SL_M
CNC, NRML = Product.DELIVERY, Product.CARRY


@dataclass(frozen=True)
class Refused:
    """An order that does not come about, and a word that its refusal says."""

    name: str
    ask: Callable[[KiteDesk], Ask]
    word: str


def _off_tick(desk: KiteDesk) -> Ask:
    ask = desk.ask(FUTURE, LIMIT, price=-1)
    return replace(ask, price_paise=(ask.price_paise or 0) + 1)


def _crossed_stop(desk: KiteDesk) -> Ask:
    ask = desk.ask(SHARE, SL, price=3, trigger=2)
    return replace(ask, price_paise=(ask.trigger_paise or 0) - 100)


REFUSED = [
    Refused("not whole lots", lambda desk: replace(desk.ask(FUTURE, LIMIT, price=-1), quantity=66), "lot"),
    Refused("off the tick", _off_tick, "tick"),
    Refused("stop's price behind its trigger", _crossed_stop, "trigger"),
    Refused("stop-market on an option", lambda desk: desk.ask(OPTION, SL_M, trigger=2), "option"),
    Refused("delivery of a future", lambda desk: desk.ask(FUTURE, LIMIT, price=-1, product=CNC), "product"),
    Refused("carry of a share", lambda desk: desk.ask(SHARE, LIMIT, price=-1, product=NRML), "product"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_both_are_refused_with_the_reason(desk: KiteDesk, case: Refused) -> None:
    for outcome in desk.refused_by_both(lambda: case.ask(desk)):
        assert case.word in outcome.reason.lower()


@dataclass(frozen=True)
class Rejected:
    """An order that gets a number and ends REJECTED."""

    name: str
    ask: Callable[[KiteDesk], Ask]
    word: str


REJECTED = [
    Rejected("above the freeze quantity", lambda desk: desk.ask(FUTURE, LIMIT, price=-1, lots=60), "freeze"),
    Rejected("outside the band", lambda desk: desk.ask(FUTURE, LIMIT, price=-15), "band"),
    Rejected("trigger already passed", lambda desk: desk.ask(SHARE, SL_M, trigger=-1), "trigger"),
    Rejected("more than is held", lambda desk: replace(
        desk.ask(SHARE, LIMIT, side=SELL, product=CNC, price=-1), quantity=100_000), "held"),
    Rejected("more than the money", lambda desk: replace(
        desk.ask(SHARE, LIMIT, product=CNC, price=-1), quantity=100_000), "funds"),
]  # fmt: skip


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.name)
def test_both_see_the_rejection_and_its_reason(desk: KiteDesk, case: Rejected, by: str) -> None:
    facts = desk.placed(by, case.ask(desk))
    assert (facts.status, facts.filled_quantity) == (BrokerStatus.REJECTED, 0)
    assert case.word in facts.reason.lower()
    assert desk.sdk.kite.order_history(facts.order_id)[-1]["status"] == "REJECTED"


GOOD: dict[str, Any] = {
    "variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1,
    "product": "MIS", "order_type": "LIMIT", "price": 1500,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_type": "MARKET", "price": None}, "protection"),
        ({"order_type": "MARKET", "price": None, "market_protection": 0}, "protection"),
        ({"order_type": "SL-M", "price": None, "trigger_price": 1600, "market_protection": 0}, "protection"),
        ({"order_type": "MARKET", "price": None, "market_protection": 101}, "market_protection"),
        ({"price": None}, "price"),
        ({"order_type": "SL"}, "trigger_price"),
        ({"tradingsymbol": "NOSUCHSHARE"}, "tradingsymbol"),
        ({"tradingsymbol": ""}, "tradingsymbol"),
        ({"tradingsymbol": "NIFTY 50"}, "tradingsymbol"),
        ({"exchange": "MOON"}, "tradingsymbol"),
        ({"transaction_type": "HOLD"}, "transaction_type"),
        ({"product": "XYZ"}, "product"),
        ({"order_type": "STOP"}, "order_type"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -5}, "quantity"),
        ({"quantity": "many"}, "quantity"),
        ({"price": "cheap"}, "price"),
        ({"price": -1}, "price"),
        ({"validity": "EVER"}, "validity"),
        ({"validity": "TTL"}, "validity_ttl"),
        ({"disclosed_quantity": 5}, "disclosed"),
        ({"tag": "a" * 21}, "tag"),
        ({"tag": "no spaces"}, "tag"),
        ({"variety": "bo"}, "variety"),
        ({"variety": "auction"}, "auction_number"),
        ({"variety": "iceberg"}, "iceberg_legs"),
        ({"variety": "iceberg", "iceberg_legs": 3, "iceberg_quantity": 5}, "iceberg_quantity"),
        ({"variety": "co"}, "trigger_price"),
    ],
    ids=str,
)
def test_the_sdks_user_is_told_which_field_is_wrong(desk: KiteDesk, change: dict[str, Any], field: str) -> None:
    before = len(desk.sdk.kite.orders())
    with pytest.raises(kite_errors.InputException) as caught:
        desk.sdk.kite.place_order(**{**GOOD, **change})
    assert caught.value.code == 400
    assert field in str(caught.value).lower()
    assert len(desk.sdk.kite.orders()) == before


def test_an_order_for_an_index_is_not_sent_by_the_adapter(desk: KiteDesk) -> None:
    for_index = replace(desk.ask(SHARE, LIMIT, price=-1), instrument=desk.listing("NSE:NIFTY 50"))
    outcome = desk.adapter.place(for_index)
    assert "cannot be traded" in outcome.reason


def test_after_market_orders_are_refused_while_the_market_is_open(desk: KiteDesk) -> None:
    with pytest.raises(kite_errors.OrderException, match="closed"):
        desk.sdk.kite.place_order(**{**GOOD, "variety": "amo", "price": desk.price(SHARE, BUY, -1) / 100})


def test_an_option_is_not_covered(desk: KiteDesk) -> None:
    option = desk.instrument(OPTION)
    with pytest.raises(kite_errors.InputException, match="option"):
        desk.sdk.kite.place_order(
            "co", "NFO", option.symbol, "BUY", option.lot_size, "MIS", "MARKET", trigger_price=1, market_protection=-1
        )
