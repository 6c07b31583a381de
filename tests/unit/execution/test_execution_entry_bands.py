"""No entry leaves for a price outside the broker's band of the day; what nobody knows holds nothing back."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from testkit.broker_life import trading
from testkit.execution_brokers import PRICE, approval
from testkit.fake_broker import UNREACHABLE, FakeBroker, weeklies
from testkit.simulated import passes

from services.execution.accounts.entering.entry_bands import EntryBands
from tradebus.brokers.reference import ListedInstrument, PriceBand
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.kernel.timers import SimulatedTimers
from tradebus.trading.orders import OrderRequest

ROW = weeklies()[0]


class Quotes:
    """A broker's word on bands: `band` is None where it has none, `is_away` where it does not answer."""

    def __init__(self, band: PriceBand | None) -> None:
        self.band, self.asked, self.is_away, self.hangs = band, 0, False, False

    async def price_bands(self, instruments: Sequence[ListedInstrument]) -> Mapping[int, PriceBand]:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise UNREACHABLE
        return {} if self.band is None else dict.fromkeys(range(len(instruments)), self.band)


def bands_of(quotes: Quotes, timers: SimulatedTimers) -> EntryBands:
    return EntryBands(quotes, lambda instrument: ROW, name="kite:mine", timers=timers)  # type: ignore[arg-type]


def entry(price_paise: int | None, instrument: int = 1) -> OrderRequest:
    return OrderRequest(
        "s1", "t", instrument, "X", Transaction.BUY, OrderType.LIMIT, 1, 1, 5, 1, price_paise=price_paise,
        role=OrderRole.ENTRY,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("price_paise", "is_inside"), [(99, False), (100, True), (200, True), (201, False), (None, True)]
)
async def test_the_band_itself_is_inside(price_paise: int | None, is_inside: bool) -> None:
    bands = bands_of(Quotes(PriceBand(100, 200)), SimulatedTimers())
    problem = await bands.problem(entry(price_paise))
    assert (problem is None) is is_inside
    if not is_inside:
        assert str(problem).startswith("price_band: ")
        assert "kite:mine's ₹1.00 to ₹2.00 of today" in str(problem)


async def test_many_who_wait_ask_once_and_what_is_known_is_asked_again_each_minute() -> None:
    quotes, timers = Quotes(PriceBand(100, 200)), SimulatedTimers()
    bands = bands_of(quotes, timers)
    assert set(await asyncio.gather(*(bands.problem(entry(150)) for _ in range(20)))) == {None}
    assert quotes.asked == 1
    running = asyncio.create_task(bands.run(lambda: True))
    quotes.band = PriceBand(300, 400)
    await passes(timers, 61)
    assert quotes.asked == 2
    assert await bands.problem(entry(150)) is not None
    quotes.is_away = True
    await passes(timers, 120)
    assert await bands.problem(entry(150)) is not None, "an older word is one, for ten minutes"
    await passes(timers, 600)
    assert await bands.problem(entry(150)) is None
    running.cancel()


async def test_a_broker_without_bands_and_one_that_does_not_answer_hold_nothing_back() -> None:
    none, away, timers = Quotes(None), Quotes(PriceBand(100, 200)), SimulatedTimers()
    away.is_away = True
    for quotes in (none, away):
        bands = bands_of(quotes, timers)
        assert [await bands.problem(entry(5)) for _ in range(3)] == [None] * 3
        assert quotes.asked == 1
    hanging = Quotes(PriceBand(100, 200))
    hanging.hangs = True
    asking = asyncio.create_task(bands_of(hanging, timers).problem(entry(5)))
    await passes(timers, 0.9)
    assert not asking.done()
    await passes(timers, 0.2)
    assert await asking is None


async def test_an_entry_outside_is_refused_by_name_and_is_at_no_broker(around) -> None:
    broker = FakeBroker()
    broker.bands = {one.symbol: PriceBand(PRICE - 20_000, PRICE - 10_000) for one in broker.master}
    async with trading(around, broker) as life:
        refused = approval(1)
        await life.send(refused)
        order = await life.order("ENTRY", "REJECTED", of=refused)
    assert str(order.reason).startswith("not sent: price_band: ")
    assert (broker.book.requests, broker.bands_asked) == ([], 1)
