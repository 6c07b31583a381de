"""Standing triggers of the sandbox: one leg cancels the other, and they outlive the day."""

import pytest
from testkit.exchange_hands import BUY, SELL, future, last, order_of, place, still
from testkit.sandbox_days import COARSE, go

from services.sandbox.ports import (
    BrokerName,
    Refusal,
    SandboxStatus,
    TriggerLeg,
    TriggerStatus,
    Why,
)


def leg(exchange, one, share, transaction=SELL, name=""):
    tick = one.tick_size_paise
    price = int(last(exchange, one) * (1 + share)) // tick * tick
    return TriggerLeg(price, order_of(one, transaction, 1, price_paise=price), name)


def test_the_first_leg_that_is_reached_cancels_the_other():
    exchange = still()
    one = future(exchange)
    place(exchange, "A", one, BUY, 1)
    legs = [leg(exchange, one, 0.01, name="TARGET"), leg(exchange, one, -0.01, name="STOPLOSS")]
    trigger = exchange.place_trigger("A", BrokerName.KITE, one.index, legs)
    exchange.shock(one.index, 0.004)
    assert exchange.triggers("A")[0].status is TriggerStatus.ACTIVE
    exchange.shock(one.index, 0.01)
    fired = exchange.triggers("A")[0]
    assert (fired.trigger_id, fired.status, fired.triggered_leg) == (trigger.trigger_id, TriggerStatus.TRIGGERED, 0)
    assert exchange.order("A", str(fired.order_id)).status is SandboxStatus.COMPLETE
    exchange.shock(one.index, -0.03)
    assert len(exchange.orders("A")) == 2
    assert exchange.triggers("A")[0] == fired


def test_a_standing_trigger_outlives_the_day_and_a_changed_one_fires_at_its_new_price():
    exchange = still("2026-11-25T15:00:00", **COARSE)
    one = future(exchange)
    trigger = exchange.place_trigger("A", BrokerName.DHAN, one.index, [leg(exchange, one, -0.05, BUY)])
    go(exchange, "2026-11-26T10:00:00")
    assert exchange.triggers("A")[0].status is TriggerStatus.ACTIVE
    exchange.modify_trigger("A", trigger.trigger_id, [leg(exchange, one, -0.004, BUY)])
    exchange.shock(one.index, -0.008)
    assert exchange.triggers("A")[0].status is TriggerStatus.TRIGGERED


def test_a_trigger_that_cannot_place_its_order_is_rejected():
    exchange = still()
    one = future(exchange)
    exchange.set_cash("A", 0)
    exchange.place_trigger("A", BrokerName.UPSTOX, one.index, [leg(exchange, one, 0.005, BUY)])
    exchange.shock(one.index, 0.01)
    assert exchange.triggers("A")[0].status is TriggerStatus.REJECTED


@pytest.mark.parametrize("shares", [(), (0.01, 0.02)])
def test_legs_that_cannot_be_are_refused(shares):
    exchange = still()
    one = future(exchange)
    with pytest.raises(Refusal):
        exchange.place_trigger("A", BrokerName.KITE, one.index, [leg(exchange, one, share) for share in shares])


def test_a_cancelled_trigger_never_fires():
    exchange = still()
    one = future(exchange)
    trigger = exchange.place_trigger("A", BrokerName.KITE, one.index, [leg(exchange, one, 0.005)])
    exchange.cancel_trigger("A", trigger.trigger_id)
    exchange.shock(one.index, 0.01)
    assert not exchange.orders("A")
    with pytest.raises(Refusal) as raised:
        exchange.cancel_trigger("A", trigger.trigger_id)
    assert raised.value.why is Why.ORDER_ENDED
