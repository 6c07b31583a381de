"""An account alive over midnight: the terms are those of the new day's master, and of contracts registered since."""

from dataclasses import replace
from datetime import date, time
from pathlib import Path

from pydantic import SecretStr
from testkit.broker_life import LISTED
from testkit.execution_brokers import FUTURE, PRICE, SECOND, TEN, spec
from testkit.fake_broker import MASTER, UNREACHABLE, FakeBroker, opening
from testkit.kite_orders import request

from services.execution.accounts.accounts import Accounts
from services.execution.accounts.router import OrderRouter
from services.execution.books import Books, books_of
from services.execution.settings import ExecutionSettings
from tradebus.brokers.audit.spool import Spool
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.calendar import Contract, contract_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.sessions import PaperSettings, SessionSpec
from tradebus.kernel.ids import RandomIds
from tradebus.kernel.time import ist_to_ns
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.trading.orders import OrderRequest, Outcome

THURSDAY = date(2026, 11, 26)
DECEMBER = LISTED[0].model_copy(
    update={"instrument_id": 9, "symbol": "NIFTY26DECFUT", "instrument_key": "NFO:NIFTY:2026-12-29:FUT"}
)


class Counted(FakeBroker):
    """Counts how often its master is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read, answer = 0, self.reference.instruments

        async def instruments():
            self.read += 1
            return await answer()

        self.reference.instruments = instruments


class Desk:
    """One account at the sandbox's address, in simulated time."""

    def __init__(self, folder: Path) -> None:
        self.timers, self.broker = SimulatedTimers(TEN), Counted()
        Credentials(folder).put("mine", Credential("kite", "key", access_token="tok"))
        self.book = MemoryBook(MemoryDatabase(), producer="execution-1")
        self.books: Books = books_of(self.book, timers=self.timers)
        settings = ExecutionSettings(
            database_url=SecretStr("postgresql://none"), redis_url=SecretStr("redis://none"), state_dir=folder,
            kite_url="http://127.0.0.1:1",
        )  # fmt: skip
        spool = Spool(folder / "audit", name="execution-1", clock=self.timers, ids=RandomIds())
        self.accounts = Accounts(
            settings, self.books, opening(self.broker), log_of=spool.of, clock=self.timers, timers=self.timers
        )

        async def spec_of(_: str) -> SessionSpec:
            return spec()

        async def paper_settings(_: str) -> PaperSettings:
            return PaperSettings()

        paper = PaperGateway(MemoryPaperBook(), paper_settings)
        self.router = OrderRouter(paper, self.accounts, spec_of, timers=self.timers)

    async def register(self, *rows: Instrument) -> None:
        async with self.book.begin() as transaction:
            await self.books.instruments.register(transaction, rows)

    def at(self, day: date, clock: time) -> None:
        self.timers.advance(ist_to_ns(day, clock))

    async def terms(self, instrument: Instrument = LISTED[0]) -> Contract:
        await self.accounts.of(spec())
        contract = contract_of(instrument, THURSDAY, price_paise=PRICE)
        return self.accounts.terms("s1", instrument.instrument_id, contract)

    def order(self, instrument: Instrument = LISTED[0], *, quantity: int = 65) -> OrderRequest:
        return request(
            account="s1", instrument=instrument.instrument_id, symbol=instrument.symbol, quantity=quantity,
            lot_size=65, price_paise=PRICE, order_type=OrderType.LIMIT, transaction=Transaction.BUY,
            role=OrderRole.ENTRY, at_ns=self.timers.now_ns(), tag=f"tb{instrument.instrument_id}{quantity}",
            contract=contract_of(instrument, THURSDAY, price_paise=PRICE),
        )  # fmt: skip

    async def place(self, instrument: Instrument = LISTED[0], *, quantity: int = 65) -> Outcome:
        return await self.router.place(self.order(instrument, quantity=quantity))


def with_terms(broker: FakeBroker, *, freeze: int, tick: int) -> None:
    broker.master = [
        replace(row, freeze_quantity=freeze, tick_size_paise=tick) if row.lot_size == 65 else row for row in MASTER
    ]


async def test_the_new_days_master_is_read_once_it_is_out_and_wins(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.register(LISTED[0])
    assert (await desk.terms()).freeze_quantity == 1800
    with_terms(desk.broker, freeze=130, tick=2000)
    desk.at(THURSDAY, time(7))
    await desk.accounts.keep_listed()
    assert (await desk.terms()).freeze_quantity == 1800, "what brokers serve in the night is yesterday's"
    desk.at(THURSDAY, time(9))
    desk.broker.error = UNREACHABLE
    await desk.accounts.keep_listed()
    assert (await desk.terms()).freeze_quantity == 1800, "no word of the broker's takes nothing away"
    desk.broker.error = None
    for _ in range(3):
        await desk.accounts.keep_listed()
    assert (await desk.terms()).freeze_quantity == 130
    assert desk.broker.read == 3, "when it was opened, in vain, and once more"
    desk.at(THURSDAY, time(10))
    assert "freeze quantity of 130" in (await desk.place(quantity=195)).reason
    assert (await desk.place(quantity=130)).broker_order_id is not None


async def test_an_entry_finds_the_days_terms_though_nobody_asked_before(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.register(LISTED[0])
    await desk.terms()
    with_terms(desk.broker, freeze=130, tick=10)
    desk.at(THURSDAY, time(10))
    assert "freeze quantity of 130" in (await desk.place(quantity=195)).reason


async def test_a_contract_that_was_registered_later_is_found_and_an_unknown_one_is_looked_for_once_a_minute(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    await desk.register(LISTED[0])
    await desk.terms()
    assert "not listed" in (await desk.place(DECEMBER)).reason
    await desk.register(DECEMBER)
    for _ in range(5):
        assert "not listed" in (await desk.place(DECEMBER)).reason
    assert desk.broker.read == 1, "the book knew of none that the broker may list"
    desk.timers.advance(TEN + 61 * SECOND)
    assert (await desk.place(DECEMBER)).broker_order_id is not None
    assert desk.broker.read == 2
    assert LISTED[0].instrument_id == FUTURE
