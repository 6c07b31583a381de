"""The portfolio stream: the SDK's own streamer and our order updates hear the same of every order."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import upstox_client
from testkit.broker_hands import facts_of
from testkit.sandbox import Box
from testkit.upstox_desk import BUY, LIMIT, MARKET, SELL, SL_M, Desk
from testkit.upstox_streams import portfolio_stream, sdk_sockets_at

from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.sockets import SocketTiming
from tradebus.brokers.upstox import UpstoxOrderUpdates
from tradebus.trading.orders import BrokerOrder, BrokerStatus


@pytest.fixture(autouse=True)
def _sdk_goes_to_the_sandbox(box: Box) -> Iterator[None]:
    with sdk_sockets_at(box.upstox_url):
        yield


Enough = Callable[[list[BrokerOrder]], bool]


def our_updates(desk: Desk, act: Callable[[], None], *, enough: Enough) -> list[BrokerOrder]:
    """What our stream tells of what `act` does, up to the update that is `enough`."""
    by_key = {item.upstox_key: item.index for item in desk.instruments}

    async def follow() -> list[BrokerOrder]:
        stream = UpstoxOrderUpdates(
            desk.ours.client, account=desk.account,
            instrument_of=lambda _segment, key: by_key.get(key), timing=SocketTiming(first_delay_seconds=0.05),
        )  # fmt: skip
        heard: list[BrokerOrder] = []
        acting: asyncio.Future[None] | None = None
        async with asyncio.timeout(30):
            async for update in stream.updates():
                if isinstance(update, FeedEvent):
                    assert update.kind is FeedEventKind.CONNECTED, update
                    acting = asyncio.ensure_future(asyncio.to_thread(act))
                    continue
                heard.append(update)
                if enough(heard):
                    await stream.close()
        assert acting is not None
        await acting
        return heard

    return desk.loop(follow())


def ends_with(status: BrokerStatus) -> Enough:
    return lambda heard: heard[-1].status is status


def test_an_order_is_followed_from_placing_to_cancelling(desk: Desk) -> None:
    item = desk.stock()
    price = desk.near(item, -0.02)
    ask = desk.ask(item, BUY, LIMIT, price=price)

    def act() -> None:
        order_id = desk.sdk.place(ask).broker_order_id
        assert order_id is not None
        desk.sdk.modify(order_id, quantity=3, price_paise=price)
        desk.sdk.cancel(order_id)

    heard = our_updates(desk, act, enough=ends_with(BrokerStatus.CANCELLED))
    assert heard[-1].tag == ask.tag
    assert [order.quantity for order in heard][-2:] == [3, 3]
    assert {order.status for order in heard[:-1]} <= {BrokerStatus.PENDING, BrokerStatus.OPEN}
    assert facts_of(heard[-1]) == desk.agreed(heard[-1].broker_order_id)


def test_an_order_that_is_filled_is_to_be_looked_up(desk: Desk) -> None:
    ask = desk.ask(desk.future(), SELL, MARKET)
    heard = our_updates(desk, lambda: assert_placed(desk, ask), enough=ends_with(BrokerStatus.UNKNOWN))
    assert (heard[-1].tag, heard[-1].filled_quantity, heard[-1].fills) == (ask.tag, ask.quantity, ())
    assert desk.agreed(heard[-1].broker_order_id).status is BrokerStatus.FILLED


def assert_placed(desk: Desk, ask) -> None:
    assert desk.sdk.place(ask).broker_order_id


def test_a_stop_that_wakes_is_told(desk: Desk) -> None:
    item = desk.future("FINNIFTY")
    ask = desk.ask(item, SELL, SL_M, trigger=desk.near(item, -0.01))

    def act() -> None:
        assert_placed(desk, ask)
        desk.drive(item, -0.015)
        desk.pass_time(3)

    heard = our_updates(desk, act, enough=ends_with(BrokerStatus.UNKNOWN))
    assert BrokerStatus.TRIGGER_PENDING in [order.status for order in heard]
    desk.drive(item, 0.015)


def test_a_rejection_says_why(desk: Desk) -> None:
    desk.fund(1)
    ask = desk.ask(desk.future(), BUY, MARKET)
    heard = our_updates(desk, lambda: assert_placed(desk, ask), enough=ends_with(BrokerStatus.REJECTED))
    assert "insufficient funds" in heard[-1].reason


def test_the_streamer_of_the_sdk_hears_what_the_book_says(desk: Desk) -> None:
    stream = portfolio_stream(desk.sdk.client)
    stream.opened()
    desk.pass_time(0.1)
    item = desk.stock()
    facts = desk.placed(desk.ours, desk.ask(item, BUY, MARKET, lots=2))
    stream.wait(lambda: stream.last.get("status") == "complete", "no fill")
    stream.close()
    said, row = stream.last, desk.sdk.row(facts.order_id).to_dict()
    assert (said["update_type"], said["user_id"], said["instrument_key"]) == ("order", desk.account, item.upstox_key)
    assert said["tradingsymbol"] == said["trading_symbol"] == f"{item.symbol}-EQ"
    assert {name: said[name] for name in row} == row


def test_positions_and_standing_orders_come_where_asked_for(desk: Desk) -> None:
    stream = portfolio_stream(desk.sdk.client, position_update=True, gtt_update=True)
    stream.opened()
    item = desk.stock()
    rule = upstox_client.GttRule(strategy="ENTRY", trigger_type="BELOW", trigger_price=desk.near(item, -0.02) / 100)
    request = upstox_client.GttPlaceOrderRequest(
        type="SINGLE", quantity=1, product="I", rules=[rule], instrument_token=item.upstox_key, transaction_type="BUY"
    )
    gtt_id = desk.sdk.v3.place_gtt_order(request).data.gtt_order_ids[0]
    desk.placed(desk.ours, desk.ask(item, BUY, MARKET, lots=4))

    def said(kind: str) -> list[dict[str, object]]:
        return [message for message in stream.messages() if message["update_type"] == kind]

    stream.wait(lambda: bool(said("position")), "no position")
    stream.close()
    assert said("gtt_order")[0]["gtt_order_id"] == gtt_id
    assert said("position")[-1]["quantity"] == 4
    assert said("position")[-1]["instrument_token"] == item.upstox_key


def test_nobody_hears_of_another_account(desk: Desk, open_desk: Callable[[], Desk]) -> None:
    stream = portfolio_stream(desk.sdk.client)
    stream.opened()
    other = open_desk()
    other.placed(other.sdk, other.ask(other.stock(), BUY, MARKET))
    facts = desk.placed(desk.sdk, desk.ask(desk.stock(), BUY, MARKET))
    stream.wait(lambda: stream.last.get("status") == "complete", "no fill")
    stream.close()
    assert {message["order_id"] for message in stream.messages()} == {facts.order_id}


def test_a_token_nobody_gave_out_opens_no_stream(desk: Desk) -> None:
    desk.sdk.client.configuration.access_token = "nobody's"
    stream = portfolio_stream(desk.sdk.client)
    stream.wait(lambda: bool(stream.errors), "no error")
    assert "401 Unauthorized" in stream.errors[0]
