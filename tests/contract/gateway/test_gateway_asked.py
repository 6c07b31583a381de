"""What people have asked for, in the book. On both: in memory and on Postgres."""

from contextlib import suppress

from testkit.execution_books import register
from testkit.filled_book import put_trade
from testkit.messages import sample

from services.gateway.asking.book import ClosablePosition, asked_book
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.signals import EntrySignal, ExitSignal, Side
from tradebus.store.book import Book
from tradebus.store.books import session_register

INDEX = Instrument(
    instrument_id=1, symbol="BANKNIFTY", kind="EQUITY", market_class="equity_fno", underlying="BANKNIFTY",
    tick_size_paise=5,
)  # fmt: skip


async def test_a_signal_is_found_again_as_it_was_and_not_before_it_is_committed(book: Book) -> None:
    asked = asked_book(book)
    entry, leave = sample(EntrySignal, event_id="e1", lots=3), sample(ExitSignal, event_id="e2")
    assert isinstance(entry, EntrySignal)
    assert isinstance(leave, ExitSignal)
    with suppress(ZeroDivisionError):
        async with book.begin() as transaction:
            await asked.add(transaction, entry)
            raise ZeroDivisionError
    async with book.begin() as transaction:
        assert await asked.find(transaction, "e1") is None
        await asked.add(transaction, entry)
        await asked.add(transaction, leave)
        assert await asked.find(transaction, "e1") == entry
    async with book.begin() as transaction:
        assert [await asked.find(transaction, one) for one in ("e1", "e2", "e3")] == [entry, leave, None]


async def test_a_position_is_its_users_alone(book: Book) -> None:
    await register(book, INDEX)
    spec = SessionSpec(
        session_id="s1", user_id="ann", symbols=("BANKNIFTY",), strategies=({"name": "orb"},), capital_paise=10**9
    )
    async with book.begin() as transaction:
        await session_register(book).insert(transaction, spec, command_id="c1", now_ns=1)
    pos_id = await put_trade(book, 1, session_id="s1", instrument=INDEX, user_id="ann")
    async with book.begin() as transaction:
        found = await asked_book(book).position(transaction, pos_id, user_id="ann")
        assert found == ClosablePosition(pos_id, "s1", "orb", "BANKNIFTY", 1, Side.LONG, 5_000_000)
        assert await asked_book(book).position(transaction, pos_id, user_id="bob") is None
        assert await asked_book(book).position(transaction, "p0", user_id="ann") is None


async def test_what_a_source_holds_is_its_newest_trade_else_what_it_asked_for_last(book: Book) -> None:
    await register(book, INDEX)
    spec = SessionSpec(
        session_id="s1", user_id="ann", symbols=("BANKNIFTY",), strategies=({"name": "orb"},), capital_paise=10**9
    )
    asked = asked_book(book)
    about = {"session_id": "s1", "user_id": "ann", "strategy": "webhook.chart", "instrument": 1}
    async with book.begin() as transaction:
        await session_register(book).insert(transaction, spec, command_id="c1", now_ns=1)
        for number, symbol in enumerate(("BANKNIFTY", "BANKNIFTY", "NIFTY")):
            signal = sample(
                EntrySignal, event_id=f"e{number}", pos_id=f"p{number}", symbol=symbol, ts_event_ns=number + 1, **about
            )
            assert isinstance(signal, EntrySignal)
            await asked.add(transaction, signal)

    async def held(strategy: str = "webhook.chart", user_id: str = "ann") -> str | None:
        async with book.begin() as transaction:
            found = await asked.held_by(transaction, strategy, symbol="BANKNIFTY", user_id=user_id)
            return None if found is None else found.pos_id

    assert (await held(), await held("webhook.other"), await held(user_id="bob")) == ("p1", None, None)
    over = {"session_id": "s1", "instrument": INDEX, "user_id": "ann", "strategy": "webhook.chart"}
    first = await put_trade(book, 1, **over)
    assert await held() == first
    await put_trade(book, 2, **over, entered=30, exited=30)
    assert await held() == first
    assert await held("orb") is None
