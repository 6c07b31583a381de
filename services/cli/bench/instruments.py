"""The instruments of benchmarks on a book of their own."""

from tradebus.contracts.instruments import Instrument
from tradebus.store.instruments import register_instruments
from tradebus.store.store import Store


async def register(store: Store, *, count: int) -> None:
    """`count` shares, with the ids from 0."""
    async with store.begin() as tx:
        await register_instruments(
            tx.connection,
            [
                Instrument(
                    instrument_id=number, symbol=f"BENCH{number}", kind="EQUITY", market_class="equity",
                    underlying=f"BENCH{number}", tick_size_paise=5,
                )
                for number in range(count)
            ],
        )  # fmt: skip
