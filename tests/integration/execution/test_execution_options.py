"""An option held live at each broker's face of the sandbox exchange: its stop is one that the exchange takes."""

import asyncio

import pytest
from testkit.exchange_hands import order_of
from testkit.execution_brokers import TEN, Life, exit_of, spec
from testkit.sandbox import Box, sandbox

from services.sandbox.ports import SandboxOrder, SandboxStatus
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.contracts.risk import EntryApproved
from tradebus.contracts.signals import Side
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import derive_id
from tradebus.kernel.money import round_to_tick
from tradebus.store.instruments import register_instruments

ACCOUNT = "AB1234"
CLIENTS = {"kite": "key", "dhan": ACCOUNT, "upstox": "key"}
SECOND = 1_000_000_000


@pytest.fixture(params=["kite", "dhan", "upstox"])
def broker(request) -> str:
    return request.param


@pytest.fixture
def box():
    with sandbox(seed=7, start="2026-11-25T10:00:00", speed=0, instruments=900, limit_scale=0) as running:
        yield running


class Holder:
    """A session at one face that trades one call at the money."""

    def __init__(self, life: Life, box: Box, broker: str) -> None:
        self.life, self.box, self.broker = life, box, broker
        spot = self.paise(next(one for one in box.exchange.instruments if str(one.key) == "INDEX:NIFTY"))
        calls = [
            one for one in box.exchange.instruments
            if one.key.name == "NIFTY" and one.key.is_option and str(one.key).endswith(":CE")
        ]  # fmt: skip
        nearest = min(one.key.expiry for one in calls)
        self.option = min(
            (one for one in calls if one.key.expiry == nearest), key=lambda one: abs(one.key.strike_paise - spot)
        )

    def paise(self, instrument) -> int:
        return int(self.box.on_loop(lambda: self.box.exchange.quotes["price_paise"][instrument.index]))

    async def begin(self) -> None:
        option = self.option
        async with self.life.store.pool.acquire() as connection:
            await register_instruments(
                connection,
                [Instrument(
                    instrument_id=0, symbol=option.symbol, exchange="NFO", kind="OPTION", market_class="derivative",
                    underlying="NIFTY", expiry=option.key.expiry, strike_paise=option.key.strike_paise,
                    right=option.key.right, lot_size=option.lot_size, tick_size_paise=option.tick_size_paise,
                    instrument_key=str(option.key),
                )],
            )  # fmt: skip
        wanted = spec(broker=self.broker).model_copy(update={"symbols": (option.symbol,)})
        await self.life.started(wanted)

    def approval(self, *, lots: int, stop_share: float, slippage_pct: float = 5.0) -> EntryApproved:
        option, price = self.option, self.paise(self.option)
        stop = round_to_tick(int(price * (1 - stop_share)), option.tick_size_paise)
        return EntryApproved(
            event_id=derive_id(TEN, "event", "option"), ts_event_ns=TEN, ts_recorded_ns=1, source="risk", trace_id="t",
            session_id="s1", user_id="u1", pos_id=derive_id(TEN, "test", "option"), signal_id="g1", strategy="orb",
            symbol=option.symbol, instrument=0, side=Side.LONG, rule="all_passed", intent_id="i1",
            quantity=lots * option.lot_size, lot_size=option.lot_size, tick_size_paise=option.tick_size_paise,
            price_paise=price, stop_paise=stop, target_paise=None, valid_until_ns=TEN + 600 * SECOND,
            max_slippage_pct=slippage_pct, order_timeout_seconds=300,
        )  # fmt: skip

    def book(self) -> list[SandboxOrder]:
        """The exchange's own, oldest first."""
        return list(self.box.on_loop(self.box.exchange.orders, ACCOUNT))

    def stop_orders(self) -> list[SandboxOrder]:
        return [one for one in self.book() if one.request.trigger_paise]

    async def market_goes_on(self, question, *, seconds: float = 1.0):
        """Moves the market's clock until the question is answered."""
        async with asyncio.timeout(120):
            while not (answer := await question()):
                await asyncio.to_thread(self.box.advance, seconds)
                await asyncio.sleep(0.02)
            return answer

    def thin_out(self, *, lots: int, up_to_paise: int) -> None:
        """Another account buys what is offered up to that price, all but `lots`: until the next quote."""
        option, exchange = self.option, self.box.exchange
        quote = self.box.on_loop(lambda: exchange.quotes[option.index].copy())
        offered = int(quote["ask_quantity"][quote["ask_paise"] <= up_to_paise].sum())
        left, most = offered - lots * option.lot_size, option.freeze_quantity // option.lot_size * option.lot_size
        self.box.on_loop(exchange.set_cash, "CROWD", 10**15)
        while left > 0:
            taken = min(left, most)
            order = order_of(option, Transaction.BUY, 0, quantity=taken, price_paise=up_to_paise)
            self.box.on_loop(exchange.place, "CROWD", order)
            left -= taken

    async def row(self, query: str):
        return await self.life.store.pool.fetchrow(query)


@pytest.fixture
def speed() -> int:
    """How much faster the session's clock goes than the machine's."""
    return 20


@pytest.fixture
async def holder(where, tmp_path, store, box, broker, speed):
    Credentials(tmp_path).put(
        "mine", Credential(broker, CLIENTS[broker], access_token=box.token(broker, ACCOUNT), account=ACCOUNT)
    )
    box.on_loop(box.exchange.set_cash, ACCOUNT, 10**13)
    urls = {"kite": box.kite_url, "dhan": box.dhan_url, "upstox": box.upstox_url}
    life = Life(where, tmp_path, urls=urls)
    # The box's clock is moved by hand, far faster than the machine's: the session's keeps up with it. There is no feed.
    clock = f"{TEN}@{WallClock().now_ns()}x{speed}"
    life.settings = life.settings.model_copy(update={"market_clock": clock, "feed_behind_seconds": 0.2})
    async with life:
        holding = Holder(life, box, broker)
        await holding.begin()
        yield holding


async def test_an_options_stop_rests_at_the_exchange_until_the_exit(holder: Holder) -> None:
    entry = holder.approval(lots=1, stop_share=0.15)
    await holder.life.send(entry)
    own = await holder.market_goes_on(lambda: holder.row("SELECT * FROM orders WHERE state = 'TRIGGER_PENDING'"))
    [resting] = holder.stop_orders()
    assert (resting.status, resting.request.order_type) == (SandboxStatus.TRIGGER_PENDING, OrderType.SL)
    assert resting.request.transaction is Transaction.SELL
    assert resting.request.trigger_paise == entry.stop_paise == own["trigger_paise"]
    assert entry.stop_paise * 0.6 < resting.request.price_paise < entry.stop_paise
    await holder.life.send(exit_of(entry, at_ns=TEN + 30 * SECOND))
    trade = await holder.market_goes_on(lambda: holder.row("SELECT * FROM trades WHERE state = 'CLOSED'"))
    assert trade["exit_reason"] == "exit_signal"
    orders = holder.box.on_loop(holder.box.exchange.orders, ACCOUNT)
    assert [one.status for one in orders] == [SandboxStatus.COMPLETE] * 2, "the stop became the exit"
    assert all(one.quantity == 0 for one in holder.box.on_loop(holder.box.exchange.positions, ACCOUNT))


@pytest.mark.parametrize("speed", [3])  # its rest is given up after fifteen seconds of that clock
async def test_the_stop_grows_with_the_position(holder: Holder) -> None:
    entry = holder.approval(lots=4, stop_share=0.15, slippage_pct=1.0)
    guard_paise = entry.price_paise * 101 // 100 // 5 * 5
    holder.thin_out(lots=1, up_to_paise=guard_paise)
    await holder.life.send(entry)
    first = await holder.life.until_state("STOP", "TRIGGER_PENDING")
    [small] = holder.stop_orders()
    assert small.request.quantity == first["quantity"] == entry.lot_size

    async def covered():
        return [one for one in holder.stop_orders() if one.request.quantity == entry.quantity]

    [grown] = await holder.market_goes_on(covered)
    assert grown.status is SandboxStatus.TRIGGER_PENDING
    assert grown.order_id == small.order_id
    assert grown.request.order_type is OrderType.SL
    assert (grown.request.trigger_paise, grown.request.price_paise) == (entry.stop_paise, small.request.price_paise)


async def test_a_stop_that_dies_of_price_protection_means_out_at_once(holder: Holder) -> None:
    """The market falls through the trigger faster than the average that the exchange measures from."""
    entry = holder.approval(lots=1, stop_share=0.45)
    await holder.life.send(entry)
    await holder.market_goes_on(lambda: holder.row("SELECT * FROM orders WHERE state = 'TRIGGER_PENDING'"))
    await asyncio.to_thread(holder.box.shock, holder.option.index, -0.01)

    async def closed():
        return await holder.row("SELECT * FROM trades WHERE state = 'CLOSED'")

    trade = await holder.market_goes_on(closed)
    [stop] = holder.stop_orders()
    assert (stop.status, stop.filled_quantity) == (SandboxStatus.CANCELLED, 0)
    assert "price protection" in stop.reason
    assert trade["exit_reason"] == "stop_cancelled_by_exchange"
    exits = [one for one in holder.book() if not one.request.trigger_paise][1:]
    assert exits[-1].status is SandboxStatus.COMPLETE
    assert sum(one.filled_quantity for one in exits) == entry.quantity
    asked_ns = [one.history[0][1] for one in exits]
    busiest = max(sum(since_ns <= at_ns < since_ns + 20 * 10**9 for at_ns in asked_ns) for since_ns in asked_ns)
    assert busiest < 10, "asked again in time, not at the broker's pace"
