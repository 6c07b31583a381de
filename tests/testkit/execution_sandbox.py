"""Execution in front of the sandbox's three faces, through the brokers' own adapters."""

from collections.abc import Callable

from services.sandbox.ports import SandboxOrder
from testkit.execution_brokers import FUTURE, SECOND, TEN, Life, approval, exit_of, spec
from testkit.sandbox import Box
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.risk import EntryApproved
from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.clock import WallClock
from tradebus.kernel.timers import Timer, Timers
from tradebus.store.instruments import register_instruments
from tradebus.store.store import Store
from tradebus.waiting.timers import WallTimers

FACES = ("kite", "dhan", "upstox")
KEY = "NFO:NIFTY:2026-12-29:FUT"
SYMBOL = "NIFTY26DECFUT"
_RESTS = "SELECT 1 FROM orders WHERE pos_id = $1 AND role = 'STOP' AND state IN ('TRIGGER_PENDING', 'OPEN')"
_CLOSED = "SELECT 1 FROM trades WHERE pos_id = $1 AND state = 'CLOSED'"


async def list_future(store: Store) -> None:
    """Registers the one instrument that is traded here."""
    future = Instrument(
        instrument_id=FUTURE, symbol=SYMBOL, exchange="NFO", kind="FUTURE", market_class="derivative",
        underlying="NIFTY", tick_size_paise=10, instrument_key=KEY,
    )  # fmt: skip
    async with store.pool.acquire() as connection:
        await register_instruments(connection, [future])


def session_at(face: str) -> SessionSpec:
    """The session that trades at a face; it has the face's name."""
    return spec(face, broker=face, credential=face).model_copy(update={"symbols": (SYMBOL,)})


class HastyTimers(WallTimers):
    """Ten seconds pass in one: what execution and its adapters wait and measure, not what the network takes."""

    TIMES = 10

    def __init__(self) -> None:
        super().__init__(WallClock())

    def monotonic_ns(self) -> int:
        return self.TIMES * super().monotonic_ns()

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        return super().after(seconds / self.TIMES, call)


class SandboxLife(Life):
    """An execution instance whose sessions trade at `box`, one account at each face. The market's clock stands where
    the box's stood at `began_wall_ns`."""

    def __init__(self, where, state_dir, box: Box, *, began_wall_ns: int, timers: Timers | None = None) -> None:
        urls = {face: box.sandbox.url(face) for face in FACES}
        super().__init__(where, state_dir, reconcile_seconds=1.0, urls=urls, timers=timers)
        self.box = box
        for face in FACES:
            token = box.token(face, face.upper())
            Credentials(state_dir).put(face, Credential(face, face.upper(), access_token=token, account=face.upper()))
        clock = {"market_clock": f"{TEN}@{began_wall_ns}x1"}
        self.settings = self.settings.model_copy(update=clock)

    def entry(self, face: str, number: int) -> EntryApproved:
        """At a price that fills at once, with stop and target out of reach; one lot."""
        future = self.box.exchange.by_key(KEY)
        last = int(self.box.exchange.quotes["price_paise"][future.index])
        tick, at_ns = future.tick_size_paise, TEN + number * SECOND
        price = round(last * 1.002) // tick * tick
        made = approval(number, session=face, quantity=future.lot_size, at_ns=at_ns, tick=tick)
        return made.model_copy(
            update={
                "symbol": SYMBOL, "lot_size": future.lot_size, "price_paise": price,
                "stop_paise": round(price * 0.97) // tick * tick,
                "target_paise": round(price * 1.03) // tick * tick, "valid_until_ns": TEN + 3600 * SECOND,
            }
        )  # fmt: skip

    async def opened(self, entry: EntryApproved) -> None:
        """Filled, and its stop at the broker."""
        await self.send(entry)
        await self.one(_RESTS, entry.pos_id)

    async def leave(self, entry: EntryApproved) -> None:
        """Out by the exit, to the end of the trade."""
        await self.send(exit_of(entry, at_ns=entry.ts_event_ns + SECOND))
        await self.closed(entry)

    async def round_trip(self, entry: EntryApproved) -> None:
        await self.opened(entry)
        await self.leave(entry)

    async def closed(self, entry: EntryApproved) -> None:
        await self.one(_CLOSED, entry.pos_id)

    async def is_closed(self, entry: EntryApproved) -> bool:
        return await self.store.pool.fetchval(_CLOSED, entry.pos_id) is not None

    def at_the_exchange(self, face: str) -> list[SandboxOrder]:
        """Every order of the account in the exchange's own book."""
        return list(self.box.on_loop(self.box.exchange.orders, face.upper()))

    def held(self, face: str) -> int:
        """What the account has at the exchange, in units."""
        return sum(
            one.day_buy_quantity - one.day_sell_quantity
            for one in self.box.on_loop(self.box.exchange.positions, face.upper())
        )
