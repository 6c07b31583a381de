"""Two-leg triggers of our adapter at the sandbox's Kite face, beside the official SDK."""

from dataclasses import replace

import pytest
from testkit.kite_desk import FUTURE, OPTION, SHARE, KiteDesk

from tradebus.brokers.common.orders.standing import StandingOrders
from tradebus.brokers.kite import KiteTriggers
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.money import round_to_tick
from tradebus.trading.orders import BrokerOrder, BrokerStatus, OrderModification, OrderRequest, Result

SELL = Transaction.SELL


class Standing:
    """Our gateway with its triggers, at the desk's account."""

    def __init__(self, desk: KiteDesk, *, shows_all: bool = False) -> None:
        self.desk, adapter = desk, desk.adapter
        for what in (SHARE, FUTURE, OPTION):
            desk.listing(what)
        triggers = KiteTriggers(
            adapter.client, listing_of=adapter.listing_of, instrument_of=adapter.instrument_of
        )  # fmt: skip
        self.gateway = StandingOrders(
            adapter.orders, triggers, timers=adapter.client.timers, shows_all=shows_all, settle_seconds=0.0
        )

    def asks(self, what: str, *, stop: float = 2, target: float = 2, side: Transaction = SELL) -> OrderRequest:
        """Legs so many per cent below and above the market."""
        instrument, last = self.desk.instrument(what), int(self.desk.quote(what)["price_paise"])
        sign, tick = (1 if side is SELL else -1), instrument.tick_size_paise
        trigger = round_to_tick(round(last * (1 - sign * stop / 100)), tick)
        return OrderRequest(
            account="s", tag=self.desk.tag(), instrument=self.desk.adapter.know(self.desk.listing(what)),
            symbol=instrument.symbol, transaction=side, order_type=OrderType.GTT, quantity=instrument.lot_size,
            lot_size=instrument.lot_size, tick_size_paise=tick, at_ns=self.desk.box.exchange.now_ns,
            price_paise=round_to_tick(round(trigger * (1 - sign * 0.03)), tick), trigger_paise=trigger,
            target_paise=round_to_tick(round(last * (1 + sign * target / 100)), tick), market_paise=last,
        )  # fmt: skip

    def placed(self, request: OrderRequest) -> int:
        outcome = self.desk.loop(self.gateway.place(request))
        assert outcome.result is Result.ACCEPTED, outcome.reason
        return int(outcome.broker_order_id or 0)

    def line(self, tag: str) -> BrokerOrder:
        """By the tag, and in the book: they say the same."""
        found = self.desk.loop(self.gateway.find_by_tag("s", tag)).order
        [line] = [one for one in self.desk.loop(self.gateway.order_book("s")) if one.tag == tag]
        assert found == line
        return line

    def until(self, tag: str, status: BrokerStatus) -> BrokerOrder:
        for _ in range(60):
            line = self.line(tag)
            if line.status is status:
                return line
            self.desk.advance(1.0)
        raise AssertionError(f"{line} is not {status}")


@pytest.mark.parametrize(("share", "leg"), [(-0.03, 0), (0.03, 1)], ids=["stop", "target"])
@pytest.mark.parametrize("what", [SHARE, FUTURE])
def test_the_first_leg_sells_and_the_trigger_is_the_order(desk: KiteDesk, what: str, share: float, leg: int) -> None:
    standing = Standing(desk)
    asked = standing.asks(what)
    number = standing.placed(asked)
    row = desk.sdk.kite.get_gtt(number)
    assert (row["status"], row["type"], row["orders"][0]["product"]) == ("active", "two-leg", "MIS")
    assert [round(value * 100) for value in row["condition"]["trigger_values"]] == [
        asked.trigger_paise, asked.target_paise
    ]  # fmt: skip
    waiting = standing.line(asked.tag)
    assert (waiting.status, waiting.trigger_paise) == (BrokerStatus.TRIGGER_PENDING, asked.trigger_paise)
    assert (waiting.broker_order_id, waiting.quantity) == (str(number), asked.quantity)
    desk.shock(what, share)
    filled = standing.until(asked.tag, BrokerStatus.FILLED)
    fired = desk.sdk.kite.get_gtt(number)["orders"]
    assert [order["result"] is not None for order in fired] == [leg == 0, leg == 1]
    assert (filled.broker_order_id, sum(fill.quantity for fill in filled.fills)) == (str(number), asked.quantity)
    sold = [row for row in desk.sdk.kite.orders() if row["transaction_type"] == "SELL"]
    assert len(sold) == 1


def test_a_short_has_its_stop_above(desk: KiteDesk) -> None:
    standing = Standing(desk)
    asked = standing.asks(FUTURE, side=Transaction.BUY)
    standing.placed(asked)
    assert standing.line(asked.tag).trigger_paise == asked.trigger_paise


def test_it_is_changed_as_a_whole_and_deleted(desk: KiteDesk) -> None:
    standing = Standing(desk)
    asked = standing.asks(FUTURE)
    number = standing.placed(asked)
    tick = asked.tick_size_paise
    nearer = replace(
        asked, quantity=2 * asked.quantity, trigger_paise=asked.trigger_paise + 50 * tick,
        price_paise=asked.price_paise + 50 * tick,
    )  # fmt: skip
    change = OrderModification(nearer.quantity, nearer.price_paise, nearer.trigger_paise, nearer.at_ns, nearer)
    assert desk.loop(standing.gateway.modify("s", str(number), change)).result is Result.ACCEPTED
    line = standing.line(asked.tag)
    assert (line.quantity, line.trigger_paise) == (nearer.quantity, nearer.trigger_paise)
    assert desk.loop(standing.gateway.cancel("s", str(number), at_ns=0)).result is Result.ACCEPTED
    assert desk.sdk.kite.get_gtt(number)["status"] == "deleted"
    assert standing.line(asked.tag).status is BrokerStatus.CANCELLED
    assert desk.loop(standing.gateway.modify("s", str(number), change)).result is Result.REFUSED


def test_legs_that_do_not_enclose_the_market_are_refused_and_nothing_is_sent(desk: KiteDesk) -> None:
    standing = Standing(desk)
    asked = standing.asks(FUTURE)
    for market in (asked.trigger_paise, asked.target_paise, None):
        outcome = desk.loop(standing.gateway.place(replace(asked, market_paise=market)))
        assert outcome.result is Result.REFUSED
        assert "last price" in outcome.reason
    assert desk.sdk.kite.get_gtts() == []


def test_another_life_finds_it_by_what_it_was_to_be_and_by_its_id(desk: KiteDesk) -> None:
    asked = Standing(desk).asks(FUTURE)
    number = Standing(desk).placed(asked)
    by_likeness, by_id, of_all = Standing(desk), Standing(desk), Standing(desk, shows_all=True)
    by_likeness.gateway.expect(asked, None)
    by_id.gateway.expect(asked, str(number))
    assert by_likeness.line(asked.tag) == by_id.line(asked.tag)
    [stranger] = desk.loop(of_all.gateway.order_book("s"))
    assert (stranger.broker_order_id, stranger.tag, stranger.instrument) == (str(number), "", asked.instrument)
    assert desk.loop(of_all.gateway.cancel("s", str(number), at_ns=0)).result is Result.ACCEPTED
    assert by_id.line(asked.tag).status is BrokerStatus.CANCELLED
