"""Execution in front of brokers, on real servers: an instance, its sessions, approvals and exits."""

import asyncio
from datetime import date, time

from prometheus_client import CollectorRegistry

from services.execution.bootstrap import build
from services.execution.settings import ExecutionSettings
from testkit.execution_service import intent, until
from testkit.fake_broker import FakeBroker, opening
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.registry import open_broker
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.risk import EntryApproved, ExitApproved
from tradebus.contracts.sessions import PaperSettings, SessionSpec
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import RandomIds, derive_id
from tradebus.kernel.time import ist_to_ns
from tradebus.runtime.shell import run_components
from tradebus.store.store import Store

SECOND = 1_000_000_000
TEN = ist_to_ns(date(2026, 11, 25), time(10))
FUTURE = 0
PRICE = 2_600_000


def spec(session_id="s1", *, broker="kite", credential="mine") -> SessionSpec:
    return SessionSpec(
        session_id=session_id, user_id=f"user-{session_id}", mode="live" if broker != "paper" else "paper",
        broker=broker, credential=credential, symbols=("NIFTY26NOVFUT",), strategies=({"name": "orb"},),
        capital_paise=10**9, paper=PaperSettings(latency_ms=0, slippage_bps=0.0, partial_fill_probability=0.0),
    )  # fmt: skip


def approval(number: int, *, session="s1", quantity=65, at_ns=TEN, tick=10, instrument=FUTURE) -> EntryApproved:
    return EntryApproved(
        event_id=derive_id(at_ns, "event", session, number), ts_event_ns=at_ns, ts_recorded_ns=1, source="risk",
        trace_id="t", session_id=session, user_id="u1", pos_id=derive_id(at_ns, "test", session, number),
        signal_id=f"g{number}", strategy="orb", symbol="NIFTY26NOVFUT", instrument=instrument, side=Side.LONG,
        rule="all_passed", intent_id=f"i{session}{number}", quantity=quantity, lot_size=65, tick_size_paise=tick,
        price_paise=PRICE, stop_paise=PRICE - 10_000, target_paise=PRICE + 20_000, valid_until_ns=at_ns + 600 * SECOND,
        max_slippage_pct=0.5, order_timeout_seconds=300,
    )  # fmt: skip


def exit_of(entry: EntryApproved, *, at_ns: int) -> ExitApproved:
    return ExitApproved(
        event_id=derive_id(at_ns, "exit", entry.intent_id), ts_event_ns=at_ns, ts_recorded_ns=1, source="risk",
        trace_id="t", session_id=entry.session_id, user_id="u1", pos_id=entry.pos_id, intent_id=f"x{entry.intent_id}",
        strategy="orb", symbol=entry.symbol, instrument=entry.instrument, side=entry.side, rule="exit_signal",
        reason="r",
    )  # fmt: skip


class Life:
    """An execution instance in this process, in front of fake brokers."""

    def __init__(
        self, where, state_dir, *brokers: FakeBroker, reconcile_seconds=0.1, lost_seconds=120, timers=None, urls=None
    ) -> None:
        """`urls` are the addresses of real faces by broker, whose logins are stored already; nothing is faked then."""
        self.where, self.brokers, self.timers = where, brokers, timers
        self.opens = open_broker if urls else opening(*brokers)
        urls = urls or {name: f"http://127.0.0.1:{number}" for number, name in enumerate(("kite", "dhan"), 1)}
        database_url, redis_url, namespace = where
        for broker in brokers:
            Credentials(state_dir).put("mine", Credential(brokers[0].name, "key", access_token="tok"))
            Credentials(state_dir).put(broker.name, Credential(broker.name, "key", access_token="tok"))
        self.settings = ExecutionSettings(
            DATABASE_URL=database_url, REDIS_URL=redis_url, TRADEBUS_NAMESPACE=namespace, TRADEBUS_STATE_DIR=state_dir,
            EXECUTION_HOUSEKEEPING_SECONDS=0.1, EXECUTION_RECONCILE_SECONDS=reconcile_seconds,
            EXECUTION_BROKER_LOST_SECONDS=lost_seconds,
            **{f"TRADEBUS_{name.upper()}_URL": url for name, url in urls.items()},
            TRADEBUS_MARKET_CLOCK=f"{TEN}@{WallClock().now_ns()}x1",
        )  # fmt: skip
        self.stop, self.registry = asyncio.Event(), CollectorRegistry()

    async def __aenter__(self):
        database_url, redis_url, namespace = self.where
        self.bus = await RedisBus.connect(redis_url, namespace=namespace, timers=WALL_TIMERS)
        self.store = await Store.connect(database_url, namespace=namespace, producer="execution-1", timers=WALL_TIMERS)
        self.components = await build(
            self.settings, bus=self.bus, store=self.store, clock=WallClock(), ids=RandomIds(),
            open_broker=self.opens, registry=self.registry, timers=self.timers or WALL_TIMERS,
        )  # fmt: skip
        self.task = asyncio.create_task(run_components(self.components, self.stop))
        return self

    async def __aexit__(self, *_):
        self.stop.set()
        await asyncio.wait([self.task], timeout=5)
        self.task.cancel()
        results = await asyncio.gather(self.task, return_exceptions=True)
        await self.store.close()
        await self.bus.close()
        assert not isinstance(results[0], Exception), results[0]

    async def start(self, wanted: SessionSpec) -> None:
        await self.store.pool.execute(
            "INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)"
            " VALUES ($1, $2, 'STARTING', $3, $4, $1, 1) ON CONFLICT DO NOTHING",
            wanted.session_id, wanted.user_id, wanted.mode.value, wanted.model_dump(mode="json"),
        )  # fmt: skip
        command = StartTrading(
            event_id=derive_id(1, wanted.session_id), ts_event_ns=1, ts_recorded_ns=1, source="gateway", trace_id="t",
            session_id=wanted.session_id, user_id=wanted.user_id, spec=wanted,
        )  # fmt: skip
        await self.bus.publish([Outgoing(COMMANDS.name, command.TYPE, command.to_json())])

    async def started(self, wanted: SessionSpec) -> None:
        await self.start(wanted)
        await self.one("SELECT 1 FROM session_participants WHERE session_id = $1", wanted.session_id)

    async def send(self, *intents) -> None:
        await self.bus.publish([intent(each) for each in intents])

    async def one(self, query: str, *arguments):
        """The first row of a query, once there is one."""
        return await until(lambda: self.store.pool.fetchrow(query, *arguments), self)

    async def keeps_house(self, *, rounds: int) -> None:
        """Waits until so many more rounds of its housekeeping are over."""

        async def done() -> float:
            labels = {"consumer": "execution ticks", "chore": "keep house"}
            return self.registry.get_sample_value("tradebus_consumer_chores_done_total", labels) or 0.0

        before = await done()

        async def over() -> bool:
            return await done() >= before + rounds

        await until(over, self)

    async def until_state(self, role: str, state: str):
        return await self.one("SELECT * FROM orders WHERE role = $1 AND state = $2", role, state)


async def opened(life: Life, broker: FakeBroker, entry: EntryApproved) -> None:
    """The entry filled at the broker, told by its stream, and the stop resting there."""
    await life.send(entry)
    row = await life.until_state("ENTRY", "OPEN")
    broker.tell(broker.book.fill(row["broker_order_id"], PRICE, at_ns=TEN + SECOND))
    await life.until_state("STOP", "TRIGGER_PENDING")
