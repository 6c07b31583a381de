"""Execution from one life to the next, and past what nobody can read. On the twins."""

import asyncio
from pathlib import Path

import pytest
from testkit.execution_around import Around, until
from testkit.execution_books import begin, register
from testkit.execution_service import APPROVALS, MORNING, TICKS, approval, intent, mark, spec, until_watermark

from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.bus.port import Outgoing
from tradebus.contracts.instruments import Instrument
from tradebus.trading.orders import OrderRequest, Outcome
from tradebus.trading.states import OrderState

ENTRY = approval(1, at_ns=MORNING)
X = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5,
)  # fmt: skip


async def prepared(around: Around) -> Around:
    await register(around.book, X)
    await begin(around.book, spec())
    return around


@pytest.fixture
async def paced(tmp_path: Path) -> Around:
    return await prepared(Around.memory(state_dir=tmp_path, paced=True))


@pytest.fixture
async def free(tmp_path: Path) -> Around:
    return await prepared(Around.memory(state_dir=tmp_path))


async def test_a_request_that_was_committed_and_never_sent_is_found_missing_and_sent_once(paced: Around) -> None:
    """Between commit and request the power fails: the tag is not in the broker's book, so it is sent now."""
    powerless = asyncio.Event()

    class Powerless(PaperGateway):
        async def place(self, request: OrderRequest) -> Outcome:
            powerless.set()
            raise asyncio.CancelledError

    async with await paced.life(paced=True, paper=Powerless) as life:
        await paced.publish(Outgoing(TICKS, "ticks", b"", watermark_ns=MORNING - 1, slice_start_ns=0))
        await paced.publish(intent(ENTRY), mark(MORNING))
        async with asyncio.timeout(10):
            await powerless.wait()
        await life.kill()
    (trade,) = await paced.hands.trades()
    assert trade.entry_order().state is OrderState.PENDING
    async with await paced.life(paced=True):
        await until_watermark(paced.bus, MORNING)
    (trade,) = await paced.hands.trades()
    assert trade.entry_order().state is OrderState.OPEN
    _, paper_book = await paced.hands.life("looks")
    assert [one.request.tag for one in await paper_book.of_account("s1")] == [trade.entry_order().tag]


async def test_an_unreadable_intent_goes_to_the_dead_letters_and_the_next_is_served(free: Around) -> None:
    async with await free.life() as life:
        await free.publish(Outgoing(APPROVALS, "ENTRY_APPROVED", b'{"type":"ENTRY_APPROVED"}'), intent(ENTRY))
        await until(free.hands.trades, life)
    [letter] = await free.bus.dead_letters(APPROVALS, count=10)
    assert "version" in letter.reason
