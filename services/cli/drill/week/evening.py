"""What must be so every evening, account by account: our ledger is the exchange's own book, nothing is left open, and
nobody has to do anything. What the exchange keeps of a day it forgets at midnight.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice

from services.cli.drill.running.invariants import (
    BookAtEnd,
    KnownOpen,
    Violation,
    at_end,
    left_at_stop,
    unprotected,
)
from services.cli.drill.running.truth import bare_spans, stops_taken_back, tags_of
from services.cli.drill.week.plan import WeekUser
from services.execution.books.standings import MemoryStandings
from services.sandbox.exchange import SandboxExchange
from services.sandbox.ports import SandboxOrder
from tradebus.contracts.base import Message
from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.contracts.sessions import SessionStatus
from tradebus.execution.step import NewFill
from tradebus.execution.trade import Trade
from tradebus.store.books import session_register
from tradebus.store.memory_book import EVENTS, MemoryBook
from tradebus.trading.sessions import StoredSession

# What only a person brings to an end, or has to look after.
_FOR_PEOPLE = (
    "SESSION_FAILED", "STRATEGY_FAILED", "ENTRY_PUT_ASIDE", "COMMAND_REJECTED", "KILL_SWITCH", "SQUARE_OFF_FORCED",
    "SESSION_HALTED",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EveningBook:
    """Of one day and all accounts. `trades` and `fills` are our ledger's of the day, `sessions` the day's by user."""

    day: date
    trades: Mapping[str, Trade]
    fills: Mapping[str, Sequence[NewFill]]
    sessions: Mapping[str, StoredSession]
    events: Sequence[Message]


@dataclass(slots=True)
class Evening:
    """What a day came to. `violations` are in words, with whose they are; `known` counts positions that were bare
    while several faults came together, with the longest (seconds)."""

    day: date
    orders: int = 0
    entries: int = 0
    fills: int = 0
    faults: int = 0
    requests: int = 0
    violations: list[str] = field(default_factory=list)
    known: int = 0
    known_seconds_max: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.violations


async def book_of_day(book: MemoryBook, day: date, users: Sequence[WeekUser], *, events_from: int) -> EveningBook:
    """Our side, as it is committed. `events_from` is how many events there were before the day."""
    database, register = book.database, session_register(book)
    sessions: dict[str, StoredSession] = {}
    async with book.begin() as transaction:
        for user in users:
            stored = await register.of_command(transaction, user.name, user.command_id(day))
            if stored is not None:
                sessions[user.name] = stored
    ids = {one.session_id for one in sessions.values()}
    trades = {name: one for name, one in database.table("trades").items() if one.session_id in ids}
    fills = {name: fills for name, fills in database.table("fills").items() if name in trades}
    events = [row.message for row in islice(database.table(EVENTS).values(), events_from, None)]
    return EveningBook(day, trades, fills, sessions, events)


def of_account(
    user: WeekUser, book: EveningBook, exchange: SandboxExchange, changes: Sequence[SandboxOrder], *,
    faults_ns: Sequence[tuple[int, int]], now_ns: int,
) -> tuple[list[str], list[KnownOpen], int, int]:  # fmt: skip
    """What is wrong with one account; what is known to be open; how many orders the exchange has of it, and how many
    entries filled. `changes` are the day's, with the services' time."""
    stored = book.sessions.get(user.name)
    if stored is None:
        return [f"{user.name}: no session was begun"], [], 0, 0
    own = {name: one for name, one in book.trades.items() if one.user_id == user.name}
    orders = exchange.orders(user.account)
    both = BookAtEnd(
        orders, tags_of(own), own, {name: one for name, one in book.fills.items() if name in own}, frozenset()
    )
    found = [f"{one.invariant}: {one.text}" for one in at_end(both)]
    found += [f"{one.invariant}: {one.text}" for one in left_at_stop(orders, both.tags, stored.session_id)]
    found += _positions(user, exchange, both)
    found += [f"position {one.pos_id} has not ended" for one in own.values() if not one.ended]
    if stored.status is not SessionStatus.STOPPED:
        found.append(f"its session is {stored.status}, not STOPPED: {stored.reason}")
    spans = list(bare_spans(changes, both.tags, by_hand=frozenset(), end_ns=now_ns))
    died = [(at_ns, at_ns) for at_ns in stops_taken_back(changes, both.tags)]
    known: list[KnownOpen] = []
    for one in unprotected(spans, (), [*faults_ns, *died]):
        if isinstance(one, Violation):
            found.append(f"{one.invariant}: {one.text}")
        else:
            known.append(one)
    entries = sum(one.order.role is OrderRole.ENTRY and one.order.filled_quantity > 0 for one in both.tags.values())
    return [f"{user.name}: {text}" for text in found], known, len(orders), entries


def _positions(user: WeekUser, exchange: SandboxExchange, book: BookAtEnd) -> Iterator[str]:
    """Quantities and money: what the broker says was won is what our fills brought."""
    rows = exchange.positions(user.account)
    for row in rows:
        if row.quantity:
            yield f"{row.quantity} of {exchange.instruments[row.instrument].symbol} are held at the broker"
    sells = {
        own.order_id for one in book.trades.values() for own in one.orders if own.transaction is Transaction.SELL
    }  # fmt: skip
    ours = sum(
        (1 if one.order_id in sells else -1) * one.fill.quantity * one.fill.price_paise
        for fills in book.fills.values()
        for one in fills
    )
    theirs = sum(row.realised_paise for row in rows)
    if ours != theirs:
        yield f"our fills brought {ours} paise, the broker's positions {theirs}"


async def needs_of_people(
    book: MemoryBook, evening: EveningBook, users: Sequence[WeekUser]
) -> list[str]:  # fmt: skip
    """What waits for a person, or has come to one's notice as his to settle."""
    standings = MemoryStandings(book)
    found = []
    for user in users:
        standing = await standings.read(f"{user.broker}:{user.name}")
        if standing.refusal or standing.waits_for_person:
            found.append(f"{user.name}: no position may be opened: {standing.refusal or 'a person is waited for'}")
    for message in evening.events:
        if message.TYPE in _FOR_PEOPLE:
            words = getattr(message, "reason", "") or getattr(message, "rule", "") or getattr(message, "errors", "")
            found.append(f"{message.user_id}: {message.TYPE} {words}")
    return found
