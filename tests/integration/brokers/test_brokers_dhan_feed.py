"""Dhan's sockets: subscriptions and their limits, reconnects, refusals, order updates in both spellings."""

import asyncio
import json
import logging
import struct
from contextlib import asynccontextmanager

import numpy as np
import pytest
from testkit.dhan_desk import CLIENT_ID, INFY, LISTED, NIFTY, TOKEN, fake_sockets, instrument_of
from testkit.fuzz_dhan import header, listed, packet
from testkit.simulated import passes
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.dhan import DhanEndpoints, DhanFeed, DhanOrderUpdates, DhanSettings
from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import SocketTiming
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import SimulatedTimers
from tradebus.trading.orders import BrokerOrder, BrokerStatus

FAST = SocketTiming(first_delay_seconds=0.01, last_delay_seconds=0.02, connect_seconds=2)


class Following:
    """Reads an iterator in a task and keeps what came."""

    def __init__(self, items) -> None:
        self.seen: list[object] = []
        self.changed = asyncio.Event()
        self.task = asyncio.create_task(self._read(items))

    async def _read(self, items) -> None:
        async for item in items:
            self.seen.append(item)
            self.changed.set()
        self.changed.set()

    @property
    def kinds(self):
        return [item.kind for item in self.seen if isinstance(item, FeedEvent)]

    @property
    def instruments(self):
        return [int(each) for item in self.seen if isinstance(item, np.ndarray) for each in item["instrument"]]

    async def until(self, condition) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def ended(self) -> None:
        async with asyncio.timeout(5):
            await self.task


def settings_of(sockets, **more):
    return DhanSettings(CLIENT_ID, TOKEN, endpoints=DhanEndpoints.at(sockets.url), **more)


@asynccontextmanager
async def followed(sockets, instruments=None, mode=FeedMode.FULL, *, more=None, **limits):
    feed = DhanFeed(DhanClient(settings_of(sockets, **(more or {})), timers=WALL_TIMERS), timing=FAST, **limits)
    await feed.subscribe({0: INFY, 1: NIFTY} if instruments is None else instruments, mode)
    following = Following(feed.batches())
    try:
        yield feed, following
    finally:
        await feed.close()
        await following.ended()


def named(message):
    return [(each["ExchangeSegment"], each["SecurityId"]) for each in message["InstrumentList"]]


def draw():
    return np.random.default_rng(1)


@pytest.mark.parametrize(("mode", "code"), [(FeedMode.PRICE, 15), (FeedMode.QUOTE, 17), (FeedMode.FULL, 21)])
async def test_a_mode_is_subscribed_by_its_code_and_security_ids_are_texts(mode, code):
    async with fake_sockets() as sockets, followed(sockets, mode=mode) as (feed, _):
        await sockets.until(lambda: sockets.received and sockets.received[0])
        (message,) = sockets.received[0]
        assert message["RequestCode"] == code
        assert message["InstrumentCount"] == 2
        assert named(message) == [("NSE_EQ", "1594"), ("IDX_I", "13")]
        await feed.unsubscribe([0, 99])
        await sockets.until(lambda: len(sockets.received[0]) == 2)
        assert sockets.received[0][1]["RequestCode"] == code + 1
        assert named(sockets.received[0][1]) == [("NSE_EQ", "1594")]


async def test_the_address_carries_the_login_as_dhan_wants_it():
    async with fake_sockets() as sockets, followed(sockets):
        await sockets.until(lambda: bool(sockets.paths))
        assert sockets.paths[0] == f"/?version=2&token={TOKEN}&clientId={CLIENT_ID}&authType=2"


async def test_data_comes_as_batches_by_small_integers():
    async with fake_sockets() as sockets, followed(sockets) as (feed, following):
        await sockets.until(lambda: sockets.received and sockets.received[0])
        await sockets.open[0].send(packet(8, 1, 1594, draw()) + packet(2, 0, 13, draw()) + packet(2, 1, 7, draw()))
        await following.until(lambda: len(following.instruments) == 2)
        assert following.instruments == [0, 1]
        assert feed.skipped == 1
        assert following.kinds == [FeedEventKind.CONNECTED]


async def test_after_a_lost_connection_everything_still_wanted_is_subscribed_again():
    async with fake_sockets() as sockets, followed(sockets) as (feed, following):
        await sockets.until(lambda: sockets.received and sockets.received[0])
        await feed.unsubscribe([1])
        await sockets.open[0].close()
        await sockets.until(lambda: len(sockets.received) == 2 and bool(sockets.received[1]))
        assert named(sockets.received[1][0]) == [("NSE_EQ", "1594")]
        await following.until(lambda: len(following.kinds) == 3)
        assert following.kinds == [FeedEventKind.CONNECTED, FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]


async def test_a_feed_that_is_dropped_comes_back():
    async with fake_sockets() as sockets, followed(sockets) as (feed, following):
        await sockets.until(lambda: sockets.received and bool(sockets.received[0]))
        await feed.drop()
        await sockets.until(lambda: len(sockets.received) == 2 and bool(sockets.received[1]))
        await following.until(lambda: following.kinds.count(FeedEventKind.CONNECTED) == 2)


async def test_a_message_holds_a_hundred_and_connections_share_the_rest():
    many = {number: listed(number + 1) for number in range(450)}
    async with fake_sockets() as sockets, followed(sockets, many, connection_instruments=300) as (_, following):
        await sockets.until(lambda: sum(map(len, sockets.received)) == 5)
        sizes = sorted(sorted(message["InstrumentCount"] for message in each) for each in sockets.received)
        assert sizes == [[50, 100], [100, 100, 100]]
        everything = {key for each in sockets.received for message in each for key in named(message)}
        assert len(everything) == 450
        await following.until(lambda: len(following.kinds) == 2)


async def test_a_subscription_while_running_opens_another_connection_when_the_first_is_full():
    async with fake_sockets() as sockets, followed(sockets, {0: INFY}, connection_instruments=1) as (feed, following):
        await sockets.until(lambda: sockets.received and sockets.received[0])
        await feed.subscribe({1: NIFTY}, FeedMode.PRICE)
        await sockets.until(lambda: len(sockets.received) == 2 and bool(sockets.received[1]))
        assert sockets.received[1][0]["RequestCode"] == 15
        await sockets.open[1].send(packet(2, 0, 13, draw()))
        await following.until(lambda: following.instruments == [1])


async def test_another_mode_replaces_the_first():
    async with fake_sockets() as sockets, followed(sockets, {0: INFY}) as (feed, _):
        await sockets.until(lambda: sockets.received and sockets.received[0])
        await feed.subscribe({0: INFY}, FeedMode.FULL)  # as it is: nothing to say
        await feed.subscribe({0: INFY}, FeedMode.PRICE)
        await sockets.until(lambda: len(sockets.received[0]) == 3)
        assert [message["RequestCode"] for message in sockets.received[0]] == [21, 22, 15]


async def test_beyond_dhans_limits_nothing_is_subscribed_and_the_limit_is_named():
    feed = DhanFeed(DhanClient(DhanSettings(CLIENT_ID, TOKEN), timers=WALL_TIMERS))
    many = {number: listed(number + 1) for number in range(25_001)}
    with pytest.raises(InvalidInput, match="5,000"):
        await feed.subscribe(many, FeedMode.PRICE)
    with pytest.raises(InvalidInput, match="MCX_COMM"):
        await feed.subscribe({1: ListedInstrument(INFY.key, "1", "MCX_COMM", "GOLD", 1, 5)}, FeedMode.PRICE)
    await feed.close()


def goodbye(reason):
    return header(50, 0, 0) + struct.pack("<H", reason)


async def test_an_expired_token_ends_the_feed_with_a_refusal():
    async with fake_sockets() as sockets, followed(sockets) as (_, following):
        await sockets.until(lambda: bool(sockets.open))
        await sockets.open[0].send(packet(2, 1, 1594, draw()) + goodbye(807))
        await following.ended()
        assert following.instruments == [0]
        assert FeedEventKind.REFUSED in following.kinds
        assert len(sockets.paths) == 1


async def test_an_expired_token_that_can_be_renewed_brings_the_feed_back_with_the_new_one():
    async def refresh() -> str:
        return "another-token"

    async with fake_sockets() as sockets, followed(sockets, more={"refresh": refresh}) as (_, following):
        await sockets.until(lambda: bool(sockets.open))
        await sockets.open[0].send(goodbye(807))
        await following.until(lambda: FeedEventKind.REFUSED in following.kinds)
        await sockets.open[0].close()
        await sockets.until(lambda: len(sockets.paths) == 2)
        assert "token=another-token&" in sockets.paths[1]


async def test_too_many_connections_is_a_disconnection_and_not_the_end():
    async with fake_sockets() as sockets, followed(sockets) as (_, following):
        await sockets.until(lambda: bool(sockets.open))
        await sockets.open[0].send(goodbye(805))
        await sockets.open[0].close()
        await sockets.until(lambda: len(sockets.paths) == 2)
        assert FeedEventKind.REFUSED not in following.kinds


class BrokenClient(DhanClient):
    """A defect of ours, met where a connection is made."""

    @property
    def token(self) -> str:
        raise ZeroDivisionError("a defect")

    @token.setter
    def token(self, _: str) -> None: ...


async def test_a_defect_in_reading_ends_the_feed_with_it_and_not_in_silence():
    feed = DhanFeed(BrokenClient(DhanSettings(CLIENT_ID, TOKEN), timers=WALL_TIMERS))
    await feed.subscribe({0: INFY}, FeedMode.FULL)
    with pytest.raises(ZeroDivisionError):
        async for _ in feed.batches():
            pass


async def test_a_handshake_that_is_refused_ends_the_feed():
    async with fake_sockets() as sockets:
        sockets.refuse = True
        async with followed(sockets) as (_, following):
            await following.ended()
            assert following.kinds == [FeedEventKind.REFUSED]


async def test_no_token_is_in_any_event_or_log(caplog):
    caplog.set_level(logging.DEBUG)
    feed = DhanFeed(
        DhanClient(
            DhanSettings(CLIENT_ID, TOKEN, endpoints=DhanEndpoints.at("http://127.0.0.1:1")), timers=WALL_TIMERS
        ),
        timing=FAST,
    )
    following = Following(feed.batches())
    await following.until(lambda: len(following.seen) >= 2)
    await feed.close()
    await following.ended()
    assert TOKEN not in repr(following.seen)
    assert TOKEN not in caplog.text


async def test_a_text_on_the_market_socket_is_a_notice_without_the_token():
    async with fake_sockets() as sockets, followed(sockets) as (_, following):
        await sockets.until(lambda: bool(sockets.open))
        await sockets.open[0].send(f"hello {TOKEN}")
        await following.until(lambda: FeedEventKind.NOTICE in following.kinds)
        assert TOKEN not in repr(following.seen)


# Order updates

ALERT = {
    "exchange": "NSE", "segment": "E", "securityId": "1594", "clientId": CLIENT_ID, "orderNo": "112", "product": "I",
    "txnType": "B", "orderType": "LMT", "quantity": 10, "tradedQty": 0, "price": 1500.5, "triggerPrice": 0,
    "status": "Pending", "lastUpdatedTime": "2026-11-25 10:00:05", "reasonDescription": "CONFIRMED",
    "correlationId": "tb0001",
}  # fmt: skip


def pascal(data):
    return {name[0].upper() + name[1:]: value for name, value in data.items()}


@asynccontextmanager
async def order_stream(sockets, *, client=None, **more):
    updates = DhanOrderUpdates(
        client or DhanClient(settings_of(sockets, **more), timers=WALL_TIMERS),
        instrument_of=instrument_of,
        account="A",
        timing=FAST,
    )
    following = Following(updates.updates())
    try:
        yield following
    finally:
        await updates.close()
        await following.ended()


async def test_the_order_stream_logs_in_anew_with_a_new_token():
    async with fake_sockets() as sockets:
        client = DhanClient(settings_of(sockets), timers=WALL_TIMERS)
        async with order_stream(sockets, client=client) as following:
            await sockets.until(lambda: sockets.received and sockets.received[0])
            client.use_token(TOKEN)  # the same again changes nothing
            client.use_token("another-token")
            await sockets.until(lambda: len(sockets.received) == 2 and bool(sockets.received[1]))
            assert sockets.received[1][0]["LoginReq"]["Token"] == "another-token"
            await following.until(lambda: len(following.kinds) == 3)
            assert following.kinds == [FeedEventKind.CONNECTED, FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]


async def test_an_order_stream_that_says_nothing_for_two_minutes_is_made_anew():
    timers = SimulatedTimers()
    async with fake_sockets() as sockets:
        updates = DhanOrderUpdates(DhanClient(settings_of(sockets), timers=timers), instrument_of=instrument_of)
        following = Following(updates.updates())
        await following.until(lambda: following.kinds == [FeedEventKind.CONNECTED])
        await passes(timers, 119)
        assert following.kinds == [FeedEventKind.CONNECTED]
        await passes(timers, 1)
        await following.until(lambda: len(following.kinds) == 2)
        assert following.kinds[-1] is FeedEventKind.DISCONNECTED
        await updates.close()
        await following.ended()


async def test_the_order_stream_logs_in_after_every_connection():
    async with fake_sockets() as sockets, order_stream(sockets) as following:
        await sockets.until(lambda: sockets.received and sockets.received[0])
        login = {"LoginReq": {"MsgCode": 42, "ClientId": CLIENT_ID, "Token": TOKEN}, "UserType": "SELF"}
        assert sockets.received[0] == [login]
        assert sockets.paths == ["/orders"]
        await sockets.open[0].close()
        await sockets.until(lambda: len(sockets.received) == 2 and bool(sockets.received[1]))
        assert sockets.received[1] == [login]
        await following.until(lambda: following.kinds.count(FeedEventKind.CONNECTED) == 2)


@pytest.mark.parametrize("spelling", [dict, pascal])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, BrokerStatus.OPEN),
        ({"status": "TRANSIT"}, BrokerStatus.PENDING),
        ({"status": "PENDING", "orderType": "SLM", "triggerPrice": 1490.0}, BrokerStatus.TRIGGER_PENDING),
        ({"status": "Part_traded", "tradedQty": 4}, BrokerStatus.OPEN),
        ({"status": "cancelled"}, BrokerStatus.CANCELLED),
        ({"status": "Rejected"}, BrokerStatus.REJECTED),
        ({"status": "Cancelled", "tradedQty": 4}, BrokerStatus.UNKNOWN),
        ({"status": "Traded", "tradedQty": 10}, BrokerStatus.UNKNOWN),
        ({"status": "A New Word"}, BrokerStatus.UNKNOWN),
    ],
)
async def test_an_alert_is_an_order_in_either_spelling(spelling, change, status):
    async with fake_sockets() as sockets, order_stream(sockets) as following:
        await sockets.until(lambda: sockets.received and sockets.received[0])
        await sockets.open[0].send("not json")
        await sockets.open[0].send(json.dumps({"Type": "order_alert", "Data": spelling(ALERT | change)}))
        await following.until(lambda: len(following.seen) == 2)
        order = following.seen[1]
        assert isinstance(order, BrokerOrder)
        assert (order.broker_order_id, order.tag, order.account, order.instrument) == ("112", "tb0001", "A", 0)
        assert order.status is status
        assert order.filled_quantity == change.get("tradedQty", 0)
        assert order.as_of_ns == 1_795_581_005 * 10**9


async def test_another_word_on_the_order_stream_is_a_notice():
    async with fake_sockets() as sockets, order_stream(sockets) as following:
        await sockets.until(lambda: sockets.received and sockets.received[0])
        await sockets.open[0].send(json.dumps({"Type": "error", "Message": f"token {TOKEN} is odd"}))
        await following.until(lambda: len(following.seen) == 2)
        assert following.kinds == [FeedEventKind.CONNECTED, FeedEventKind.NOTICE]
        assert TOKEN not in repr(following.seen)
    assert LISTED[0] is INFY
