"""A trailing stop from one life of execution to the next: at a broker, and on paper. On the twins."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from testkit.broker_life import BrokerLife, opened
from testkit.execution_around import Around
from testkit.execution_books import begin, register
from testkit.execution_brokers import FUTURE, PRICE, SECOND, TEN
from testkit.execution_brokers import approval as broker_approval
from testkit.execution_brokers import spec as broker_spec
from testkit.execution_service import MORNING, TICKS, approval, intent, mark, slice_of, spec, until_watermark
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.sessions import PaperSettings, SessionSpec, Trailing
from tradebus.trading.orders import OrderModification, Outcome, Result
from tradebus.trading.states import TradeState

X = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5,
)  # fmt: skip
# A risk of a hundred rupees at the broker, of one on paper.
BY_HALF_R = Trailing(distance_r=1.0, step_pct=50)
ENTRY = broker_approval(1).model_copy(update={"target_paise": None})


def trailing(session: SessionSpec) -> SessionSpec:
    return session.model_copy(update={"trailing": BY_HALF_R})


class Moving(FakeBook):
    """Keeps what triggers a stop had; `words` say how the next changes are answered."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words, self.triggers = list(words), list[int]()

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        word = self.words.pop(0) if self.words else "made"
        if word == "refused":
            return Outcome(Result.REFUSED, reason="the trigger is not acceptable")
        if word == "hangs":
            await asyncio.Event().wait()
        if word != "lost":
            assert change.trigger_paise is not None
            self.triggers.append(change.trigger_paise - PRICE)
            await super().modify(account, broker_order_id, change)
        return (
            Outcome(Result.ACCEPTED, broker_order_id) if word == "made" else Outcome(Result.UNKNOWN, reason="timeout")
        )


class Market:
    """Ticks of the broker's future, a minute's slice each time."""

    def __init__(self, around: Around) -> None:
        self.around, self.at_ns = around, TEN

    async def goes(self, *gains: int) -> None:
        """To so many paise above the entry's price, two seconds each."""
        self.at_ns += 60 * SECOND
        ticks = slice_of(self.at_ns, [PRICE + gain for gain in gains], seconds=2.0, instrument=FUTURE)
        await self.around.publish(replace(ticks, watermark_ns=self.at_ns + 60 * SECOND))


def life_of(around: Around, broker: FakeBroker) -> BrokerLife:
    return BrokerLife(around, broker, reconcile_seconds=60)


async def held(life: BrokerLife, broker: FakeBroker) -> None:
    await life.started(trailing(broker_spec()))
    await opened(life, broker, ENTRY)


async def moved(life: BrokerLife, *triggers: int) -> None:
    """The broker has had these, above the entry's price."""
    book = life.brokers[0].book
    assert isinstance(book, Moving)

    async def have() -> bool:
        return tuple(book.triggers) == triggers

    await life.until(have)


async def test_the_brokers_stop_follows_the_market_and_goes_on_after_a_restart(around: Around) -> None:
    broker, market = FakeBroker(), Market(around)
    broker.book = Moving()
    async with life_of(around, broker) as life:
        await held(life, broker)
        await market.goes(2_000, 6_000, 5_000)
        await moved(life, -4_000)
        told = await life.told("STOP_MOVED")
        assert [(one.trigger_paise - PRICE, one.previous_trigger_paise - PRICE) for one in told] == [(-4_000, -10_000)]
        stop = (await life.trade()).live(OrderRole.STOP)
        assert stop is not None
        assert (stop.moves, stop.trigger_paise) == (1, PRICE - 4_000)
    async with life_of(around, broker) as life:
        await life.until(lambda: life.trades(state=TradeState.POSITION_OPEN))
        await market.goes(3_000, 10_900, 11_000, 0)
        await moved(life, -4_000, 1_000)
        trade = await life.trade(stop_paise=PRICE + 1_000)
        assert (trade.highest_paise, trade.exit_reason) == (PRICE + 11_000, None)


@pytest.mark.parametrize("word", ["lost", "made and lost"])
async def test_a_move_without_an_answer_is_made_and_told_once(around: Around, word: str) -> None:
    broker, market = FakeBroker(), Market(around)
    broker.book = Moving(word)
    async with life_of(around, broker) as life:
        await held(life, broker)
        await market.goes(6_000)
        await life.told("STOP_MOVED")
        await moved(life, -4_000)
        trade = await life.trade()
        assert (trade.exit_reason, trade.stop_paise) == (None, PRICE - 4_000)
    assert len(await around.told("STOP_MOVED")) == 1


async def test_a_refused_move_leaves_the_stop_where_it_is(around: Around) -> None:
    broker, market = FakeBroker(), Market(around)
    broker.book = Moving("refused")
    async with life_of(around, broker) as life:
        await held(life, broker)
        await market.goes(6_000)

        async def refused() -> bool:
            return [one.moves for one in await life.orders(role=OrderRole.STOP)] == [1] and not broker.book.words

        await life.until(refused)
        await life.trade(stop_paise=PRICE - 10_000, exit_reason=None)

        async def tried_again() -> bool:
            await market.goes(6_000)
            return broker.book.triggers == [-4_000]

        await life.until(tried_again)


async def test_a_move_that_was_committed_and_never_left_is_made_in_the_next_life(around: Around) -> None:
    broker, market = FakeBroker(), Market(around)
    broker.book = Moving("hangs")
    async with life_of(around, broker) as life:
        await held(life, broker)
        await market.goes(6_000)
        await life.trade(stop_paise=PRICE - 4_000)
        await life.life.kill()
    async with life_of(around, broker) as life:
        await moved(life, -4_000)
        await life.told("STOP_MOVED")


STEPS = [
    [Outgoing(TICKS, "ticks", b"", watermark_ns=MORNING - 1, slice_start_ns=0), mark(MORNING)],
    [
        slice_of(MORNING, [10_000] * 20),
        intent(approval(1, at_ns=MORNING + SECOND, target=None)),
        mark(MORNING + 60 * SECOND),
    ],
    *[
        [slice_of(MORNING + number * 60 * SECOND, prices), mark(MORNING + (number + 1) * 60 * SECOND)]
        for number, prices in enumerate(([10_000, 10_010, 10_060, 10_030], [10_120, 10_190, 10_170], [10_080]), 1)
    ],
]


async def played(bus: Bus) -> None:
    for market, *rest in STEPS:
        await bus.publish([market])
        await until_watermark(bus, market.watermark_ns or 0)
        await bus.publish(rest)
    await until_watermark(bus, STEPS[-1][-1].watermark_ns or 0)


async def on_paper(folder: Path, *, gateway: type[PaperGateway] = PaperGateway, died: asyncio.Event | None = None):
    """The trade, and how its stop moved; with `died` execution lives a second time from then on."""
    around = Around.memory(state_dir=folder, paced=True)
    await register(around.book, X)
    exact = PaperSettings(latency_ms=100, slippage_bps=0.0, partial_fill_probability=0.0)
    await begin(around.book, trailing(spec()).model_copy(update={"paper": exact}))
    async with asyncio.timeout(20), await around.life(paced=True, paper=gateway) as life:
        playing = asyncio.create_task(played(around.bus))
        if died is None:
            await playing
        else:
            await died.wait()
            await life.kill()
            async with await around.life(paced=True):
                await playing
    [trade] = await around.hands.trades()
    told = [(one.previous_trigger_paise, one.trigger_paise) for one in await around.told("STOP_MOVED")]
    return trade, told


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_happens_on_paper_is_the_same_after_a_crash(tmp_path: Path, when: str) -> None:
    died = asyncio.Event()

    class Dying(PaperGateway):
        async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
            if when == "after":
                await super().modify(account, broker_order_id, change)
            died.set()
            raise asyncio.CancelledError

    whole, moves = await on_paper(tmp_path / "whole")
    again, moves_again = await on_paper(tmp_path / "again", gateway=Dying, died=died)
    assert moves == [(9_900, 10_010), (10_010, 10_080)] == moves_again
    assert (whole.exit_reason, whole.state) == ("stop", TradeState.CLOSED)
    assert [(o.role, o.state, o.trigger_paise, o.moves, o.filled_value_paise) for o in whole.orders] == [
        (o.role, o.state, o.trigger_paise, o.moves, o.filled_value_paise) for o in again.orders
    ]
    assert (whole.net_pnl_paise, whole.closed_ns) == (again.net_pnl_paise, again.closed_ns)
