"""What a dry run shows is what the same order sends, to the letter; and nothing of it is sent."""

import pytest
from testkit.kite_orders import request
from testkit.scripted_server import Reply, ScriptedServer
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.audit.log import UNRECORDED
from tradebus.brokers.common.orders.rehearsal import NOBODY, Rehearsal
from tradebus.brokers.credentials import Credential
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.registry import Known, open_broker
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction

INFY = InstrumentKey(Segment.NSE, "INFY")
LISTED = {
    "kite": ListedInstrument(INFY, "408065", "NSE", "INFY", 1, 5),
    "dhan": ListedInstrument(INFY, "1594", "NSE_EQ", "INFY", 1, 5),
    "upstox": ListedInstrument(INFY, "NSE_EQ|INE009A01021", "NSE_EQ", "INFY", 1, 5),
}
ORDERS = [
    {}, {"order_type": OrderType.MARKET, "price_paise": None, "market_protection_pct": 2.0},
    {"order_type": OrderType.SL, "transaction": Transaction.SELL, "price_paise": 149_000, "trigger_paise": 149_500},
    {"order_type": OrderType.SL_M, "transaction": Transaction.SELL, "price_paise": None, "trigger_paise": 149_500},
]  # fmt: skip


def known(name: str) -> Known:
    listings = {1: LISTED[name]}
    return Known(listings.__getitem__, lambda segment, token: 1, lambda: list(listings.items()))


@pytest.mark.parametrize("name", LISTED)
async def test_what_is_shown_is_what_the_adapter_sends_and_nothing_leaves(name: str) -> None:
    with ScriptedServer(lambda _: Reply({"status": "success", "data": {}})) as server:
        opened = {"url": server.url, "timers": WALL_TIMERS}
        rehearsal = Rehearsal(name, known(name), open_broker=open_broker, clock=WALL_TIMERS, **opened)
        shown = [await rehearsal.of(request(**changes)) for changes in ORDERS]
        assert server.asked == []
        login = Credential(name, client_id=NOBODY, access_token="tok-of-a-person")
        broker = open_broker(name, login, log=UNRECORDED, **opened)
        orders = broker.orders(known(name))
        for changes, one in zip(ORDERS, shown, strict=True):
            await orders.place(request(**changes))
            sent = server.asked[-1]
            assert (one.problem, one.method, one.url) == ("", sent.method, server.url + sent.path)
            assert one.body == sent.body.replace(NOBODY, "***")
        broker.close()
    assert len(server.asked) == len(ORDERS)


@pytest.mark.parametrize("name", LISTED)
async def test_what_the_adapter_would_refuse_is_said_so(name: str) -> None:
    rehearsal = Rehearsal(name, known(name), url="", open_broker=open_broker, clock=WALL_TIMERS, timers=WALL_TIMERS)
    shown = await rehearsal.of(request(tag="x" * 50))
    assert "tag" in shown.problem
    assert (shown.method, shown.url, shown.body) == ("", "", "")
