"""The terms of instruments: read once a day, however many entries ask for them at once."""

import asyncio
from datetime import date

import pytest

from services.execution.trades.instruments import Contracts
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.kernel.errors import InvalidInput

DAY, NEXT = date(2026, 11, 30), date(2026, 12, 1)


class CountedInstruments:
    """A book that answers a moment later, and counts how often it was read."""

    def __init__(self) -> None:
        self.registered = [share(1)]
        self.reads = 0

    async def load(self) -> InstrumentMaster:
        self.reads += 1
        registered = list(self.registered)
        await asyncio.sleep(0)
        return InstrumentMaster(registered)


def share(number: int) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=f"S{number}", kind="EQUITY", market_class="equity", underlying=f"S{number}",
        tick_size_paise=5,
    )  # fmt: skip


async def test_the_first_entries_of_a_day_have_the_master_read_once() -> None:
    book = CountedInstruments()
    contracts = Contracts(book)
    found = await asyncio.gather(*(contracts.of(1, DAY, price_paise=10_000) for _ in range(50)))
    assert {one.symbol for one in found} == {"S1"}
    assert book.reads == 1
    await asyncio.gather(*(contracts.of(1, NEXT, price_paise=10_000) for _ in range(50)))
    assert book.reads == 2


async def test_an_instrument_that_was_registered_since_is_found_and_one_that_was_not_is_refused() -> None:
    book = CountedInstruments()
    contracts = Contracts(book)
    await contracts.of(1, DAY, price_paise=10_000)
    book.registered.append(share(2))
    assert (await contracts.of(2, DAY, price_paise=10_000)).symbol == "S2"
    with pytest.raises(InvalidInput):
        await contracts.of(3, DAY, price_paise=10_000)
