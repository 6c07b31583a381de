"""The strategy service's part, played: takes sessions up, and says what the plan wants said, at the price of now."""

from dataclasses import dataclass, field

from services.cli.drill.week.plan import WeekPlan, WeekTrade
from services.sandbox.exchange import SandboxExchange
from services.sandbox.ports import SandboxInstrument
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.sessions import SessionStatus
from tradebus.contracts.signals import EntrySignal, ExitSignal
from tradebus.contracts.streams import SIGNALS
from tradebus.kernel.ids import derive_id
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_to_ns
from tradebus.store.books import sessions_book
from tradebus.store.memory_book import MemoryBook

SERVICE, STRATEGY = "strategy", "orb"


@dataclass(slots=True)
class PlayedStrategies:
    """`asked` are the trades that were asked for, by number; `sessions` who trades now, by user."""

    plan: WeekPlan
    exchange: SandboxExchange
    book: MemoryBook
    bus: Bus
    asked: dict[int, EntrySignal] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    _left: set[int] = field(default_factory=set)

    async def step(self, market_ns: int) -> None:
        """Does what is due by then."""
        await self._take_up()
        for one in self.plan.trades:
            due_ns = ist_to_ns(one.day, one.at)
            if one.number not in self.asked and due_ns <= market_ns and one.day == ist_date(market_ns):
                await self._enter(one, market_ns)
            entry = self.asked.get(one.number)
            if entry is None or one.exit_after is None or one.number in self._left:
                continue
            if entry.ts_event_ns + round(one.exit_after * 60 * NANOSECONDS_PER_SECOND) <= market_ns:
                self._left.add(one.number)
                await self._say(_exit_of(entry, self._price_paise(entry.instrument), market_ns))

    async def _take_up(self) -> None:
        """What strategy does when it reads START_TRADING."""
        sessions = sessions_book(self.book)
        self.sessions = {}
        for one in await sessions.standing(SERVICE):
            if not one.is_taken_up and one.status is SessionStatus.STARTING:
                async with self.book.begin() as transaction:
                    await sessions.participate(transaction, one.session_id, service=SERVICE)
            if one.status is SessionStatus.RUNNING:
                spec = await sessions.spec(one.session_id)
                assert spec is not None  # it stands there
                self.sessions[spec.user_id] = one.session_id

    async def _enter(self, trade: WeekTrade, market_ns: int) -> None:
        session_id = self.sessions.get(trade.user)
        if session_id is None:
            return  # not begun yet, or over: asked again while the day lasts
        one = instrument_of(self.exchange, trade)
        price = self._price_paise(one.index)
        tick, sign = one.tick_size_paise, trade.side.sign
        stop = max(tick, round(price * (1 - sign * trade.stop_share)) // tick * tick)
        entry = EntrySignal(
            event_id=derive_id(market_ns, "week entry", trade.number), ts_event_ns=market_ns, ts_recorded_ns=market_ns,
            source=SERVICE, trace_id=f"week-{trade.number}", session_id=session_id, user_id=trade.user,
            pos_id=derive_id(market_ns, "week", trade.number), strategy=STRATEGY, symbol=one.symbol,
            instrument=one.index, side=trade.side, price_paise=price, reason="drill", stop_paise=stop, confidence=1.0,
        )  # fmt: skip
        self.asked[trade.number] = entry
        await self._say(entry)

    def _price_paise(self, instrument: int) -> int:
        return int(self.exchange.quotes["price_paise"][instrument])

    async def _say(self, message: Message) -> None:
        await self.bus.publish([Outgoing(SIGNALS.name, message.TYPE, message.to_json())])


def instrument_of(exchange: SandboxExchange, trade: WeekTrade) -> SandboxInstrument:
    """What the trade is in on its day: of options the nearest expiry, at the money. Raises LookupError."""
    listed = exchange.instruments
    if trade.kind == "share":
        return next(one for one in listed if one.key.segment.value == "NSE")
    if trade.kind.endswith("future"):
        name = "BANKNIFTY" if trade.kind.startswith("bank") else "NIFTY"
        return next(one for one in listed if one.key.name == name and one.key.is_derivative and not one.key.is_option)
    spot = next(one for one in listed if one.key.name == "NIFTY" and one.key.segment.value == "INDEX")
    money = int(exchange.quotes["price_paise"][spot.index])
    right = "CE" if trade.kind == "call" else "PE"
    chain = [
        one for one in listed
        if one.key.right == right and one.key.expiry is not None and one.key.expiry >= trade.day
    ]  # fmt: skip
    return min(chain, key=lambda one: (one.key.expiry, abs((one.key.strike_paise or 0) - money)))


def _exit_of(entry: EntrySignal, price_paise: int, market_ns: int) -> ExitSignal:
    return ExitSignal(
        event_id=derive_id(market_ns, "week exit", entry.pos_id or ""), ts_event_ns=market_ns,
        ts_recorded_ns=market_ns, source=SERVICE, trace_id=entry.trace_id, session_id=entry.session_id,
        user_id=entry.user_id, pos_id=entry.pos_id, strategy=entry.strategy, symbol=entry.symbol,
        instrument=entry.instrument, side=entry.side, price_paise=price_paise, reason="drill",
    )  # fmt: skip
