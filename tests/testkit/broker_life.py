"""Execution in front of fake brokers, on the twins: an instance, its sessions, its trades, life after life."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from testkit.execution_around import Around, until
from testkit.execution_around import Life as AroundLife
from testkit.execution_books import begin
from testkit.execution_brokers import FUTURE, PRICE, SECOND, TEN, exit_of, spec
from testkit.execution_service import intent
from testkit.fake_broker import FakeBroker
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.risk import EntryApproved
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.contracts.streams import COMMANDS
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import derive_id
from tradebus.kernel.timers import Timers
from tradebus.store.books import sessions_book
from tradebus.trading.states import OrderState, TradeState

# A future of the broker's master, and one of nobody's.
LISTED = (
    Instrument(
        instrument_id=FUTURE, symbol="NIFTY26NOVFUT", exchange="NFO", kind="FUTURE", market_class="derivative",
        underlying="NIFTY", tick_size_paise=10, instrument_key="NFO:NIFTY:2026-11-30:FUT",
    ),
    Instrument(
        instrument_id=7, symbol="NOWHERE", kind="EQUITY", market_class="equity", underlying="NOWHERE",
        tick_size_paise=5, instrument_key="NSE:NOWHERE",
    ),
)  # fmt: skip


class BrokerLife:
    """A context. The first broker's login is also called "mine"; the market's clock begins at `at_ns`."""

    life: AroundLife

    def __init__(
        self, around: Around, *brokers: FakeBroker, reconcile_seconds: float = 0.1, lost_seconds: float = 120,
        feed_behind_seconds: float = 10.0, at_ns: int = TEN, speed: float = 1.0, timers: Timers | None = None,
        order_limit_scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.around, self.brokers, self.timers = around, brokers, timers
        self._at_ns, self._began_ns, self._speed = at_ns, WallClock().now_ns(), speed
        self.settings: dict[str, Any] = {
            "EXECUTION_RECONCILE_SECONDS": reconcile_seconds, "EXECUTION_BROKER_LOST_SECONDS": lost_seconds,
            "EXECUTION_FEED_BEHIND_SECONDS": feed_behind_seconds, "EXECUTION_ORPHAN_SECONDS": 15.0,
            "EXECUTION_LOOK_SECONDS": 3.0, "EXECUTION_ORDER_LIMIT_SCALE": order_limit_scale,
            "TRADEBUS_MARKET_CLOCK": f"{at_ns}@{self._began_ns}x{speed:g}",
        }  # fmt: skip

    async def __aenter__(self) -> "BrokerLife":
        self.around.log_in("mine", self.brokers[0])
        self.life = await self.around.life(*self.brokers, timers=self.timers, **self.settings)
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.life.__aexit__(*problem)

    @property
    def bus(self) -> Bus:
        return self.around.bus

    async def until(self, question: Any, *, seconds: float = 20) -> Any:
        """The first true answer; fails where this life ends before."""
        return await until(question, self.life, seconds=seconds)

    async def time_passes(self, seconds: float) -> None:
        """The market's clock goes on for so long."""
        until_ns = self.market_ns() + seconds * SECOND
        while self.market_ns() < until_ns:
            await asyncio.sleep(0.01)

    def market_ns(self) -> int:
        """The market's time now."""
        return self._at_ns + round((WallClock().now_ns() - self._began_ns) * self._speed)

    async def start(self, wanted: SessionSpec) -> None:
        """What the gateway does for START_TRADING."""
        await begin(self.around.book, wanted, status=SessionStatus.STARTING)
        command = StartTrading(
            event_id=derive_id(1, wanted.session_id), ts_event_ns=1, ts_recorded_ns=1, source="gateway", trace_id="t",
            session_id=wanted.session_id, user_id=wanted.user_id, spec=wanted,
        )  # fmt: skip
        await self.around.publish(Outgoing(COMMANDS.name, command.TYPE, command.to_json()))

    async def taken_up(self) -> list[str]:
        """The sessions that execution takes part in."""
        return [one.spec.session_id for one in await sessions_book(self.around.book).taken_up("execution")]

    async def started(self, wanted: SessionSpec) -> None:
        await self.start(wanted)

        async def serves() -> bool:
            return wanted.session_id in await self.taken_up()

        await self.until(serves)

    async def refusal(self, session_id: str) -> str:
        """Why a session cannot be served."""

        async def said() -> str | None:
            alive = await sessions_book(self.around.book).alive()
            return next((one.reason for one in alive if one.session_id == session_id), None)

        return str(await self.until(said))

    async def send(self, *intents: Message) -> None:
        await self.around.publish(*(intent(each) for each in intents))

    async def told(self, kind: str) -> list[Any]:
        """What execution says of one type, once it says something."""
        return list(await self.until(lambda: self.around.told(kind)))

    async def trades(self, **fields: object) -> list[Trade]:
        """Those that stand so now."""
        return [one for one in await self.around.hands.trades() if _is(one, fields)]

    async def trade(self, **fields: object) -> Trade:
        """The first one that stands so, once there is one."""
        found: list[Trade] = await self.until(lambda: self.trades(**fields))
        return found[0]

    async def orders(self, *, of: Message | None = None, **fields: object) -> list[Order]:
        """Those that stand so now, of one approval's trade or of all."""
        trades = [one for one in await self.around.hands.trades() if of is None or one.pos_id == of.pos_id]
        return [order for one in trades for order in one.orders if _is(order, fields)]

    async def order(self, role: str, state: str, *, of: Message | None = None, **fields: object) -> Order:
        """The first one that stands so, once there is one."""
        wanted = {"role": OrderRole(role), "state": OrderState(state), **fields}
        found: list[Order] = await self.until(lambda: self.orders(of=of, **wanted))
        return found[0]

    async def leave(self, broker: FakeBroker, entry: EntryApproved) -> None:
        """Risk asks for the exit of a protected position; it fills, and the trade ends."""
        await self.order("STOP", "TRIGGER_PENDING", of=entry)
        await self.send(exit_of(entry, at_ns=TEN + 2 * SECOND))
        leaving = (await self.order("STOP", "OPEN", of=entry)).broker_order_id
        broker.tell(broker.book.fill(leaving, PRICE, at_ns=TEN + 3 * SECOND))
        await self.trade(pos_id=entry.pos_id, state=TradeState.CLOSED)

    async def until_orders(self, count: int, **fields: object) -> None:
        """There are so many that stand so."""

        async def so_many() -> bool:
            return len(await self.orders(**fields)) == count

        await self.until(so_many)


def _is(one: object, fields: dict[str, object]) -> bool:
    return all(getattr(one, name) == value for name, value in fields.items())


@asynccontextmanager
async def trading(around: Around, *brokers: FakeBroker, **given: Any) -> AsyncIterator[BrokerLife]:
    async with BrokerLife(around, *brokers, **given) as life:
        await life.started(spec())
        yield life


async def opened(life: BrokerLife, broker: FakeBroker, entry: Message) -> Order:
    """The entry filled at the broker, told by its stream, and the stop resting there: that stop."""
    await life.send(entry)
    sent = await life.order("ENTRY", "OPEN", of=entry)
    assert sent.broker_order_id is not None
    broker.tell(broker.book.fill(sent.broker_order_id, PRICE, at_ns=TEN + SECOND))
    return await life.order("STOP", "TRIGGER_PENDING", of=entry)
