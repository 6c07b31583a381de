"""Execution in front of a broker: order stream, reconciliation, lost answers, sessions of two brokers at once."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, time

import pytest
from testkit.execution_service import TICKS, intent, messages, slice_of, until
from testkit.fake_broker import MASTER, UNREACHABLE, FakeBroker, opening

from services.execution.bootstrap import build
from services.execution.settings import ExecutionSettings
from tradebus.brokers.account import NetPosition, SessionState
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.bus.port import Outgoing
from tradebus.bus.redis_bus import RedisBus
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.risk import EntryApproved, ExitApproved
from tradebus.contracts.sessions import PaperSettings, SessionSpec
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import RandomIds, derive_id
from tradebus.kernel.time import ist_to_ns
from tradebus.store.instruments import register_instruments
from tradebus.store.store import Store
from tradebus.trading.orders import BrokerStatus

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


@pytest.fixture
async def listed(store) -> Store:
    """The book with a future of the broker's master and one of nobody's."""
    rows = [
        Instrument(
            instrument_id=FUTURE, symbol="NIFTY26NOVFUT", exchange="NFO", kind="FUTURE", market_class="derivative",
            underlying="NIFTY", tick_size_paise=10, instrument_key="NFO:NIFTY:2026-11-30:FUT",
        ),
        Instrument(
            instrument_id=7, symbol="NOWHERE", kind="EQUITY", market_class="equity", underlying="NOWHERE",
            tick_size_paise=5, instrument_key="NSE:NOWHERE",
        ),
    ]  # fmt: skip
    async with store.pool.acquire() as connection:
        await register_instruments(connection, rows)
    return store


class Life:
    """An execution instance in this process, in front of fake brokers."""

    def __init__(self, where, state_dir, *brokers: FakeBroker, reconcile_seconds=0.1, lost_seconds=120) -> None:
        self.where, self.brokers = where, brokers
        database_url, redis_url, namespace = where
        for broker in brokers:
            Credentials(state_dir).put("mine", Credential(brokers[0].name, "key", access_token="tok"))
            Credentials(state_dir).put(broker.name, Credential(broker.name, "key", access_token="tok"))
        self.settings = ExecutionSettings(
            DATABASE_URL=database_url, REDIS_URL=redis_url, TRADEBUS_NAMESPACE=namespace, TRADEBUS_STATE_DIR=state_dir,
            EXECUTION_HOUSEKEEPING_SECONDS=0.1, EXECUTION_RECONCILE_SECONDS=reconcile_seconds,
            EXECUTION_BROKER_LOST_SECONDS=lost_seconds,
            TRADEBUS_KITE_URL="http://127.0.0.1:1", TRADEBUS_DHAN_URL="http://127.0.0.1:2",
            TRADEBUS_MARKET_CLOCK=f"{TEN}@{WallClock().now_ns()}x1",
        )  # fmt: skip
        self.stop = asyncio.Event()

    async def __aenter__(self):
        database_url, redis_url, namespace = self.where
        self.bus = await RedisBus.connect(redis_url, namespace=namespace)
        self.store = await Store.connect(database_url, namespace=namespace, producer="execution-1")
        [self.component] = await build(
            self.settings, bus=self.bus, store=self.store, clock=WallClock(), ids=RandomIds(),
            open_broker=opening(*self.brokers),
        )  # fmt: skip
        self.task = asyncio.create_task(self.component.run(self.stop))
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

    async def told(self, kind: str):
        async def found():
            return [one for one in await messages(self.bus) if kind == one.TYPE]

        return await until(found, self)

    async def until_state(self, role: str, state: str):
        return await self.one("SELECT * FROM orders WHERE role = $1 AND state = $2", role, state)


@asynccontextmanager
async def trading(where, tmp_path, *brokers, **given):
    async with Life(where, tmp_path, *brokers, **given) as life:
        await life.started(spec())
        yield life


@pytest.fixture
def where(database_url, redis_url, namespace):
    return database_url, redis_url, namespace


async def opened(life: Life, broker: FakeBroker, entry: EntryApproved) -> None:
    """The entry filled at the broker, told by its stream, and the stop resting there."""
    await life.send(entry)
    row = await life.until_state("ENTRY", "OPEN")
    broker.tell(broker.book.fill(row["broker_order_id"], PRICE, at_ns=TEN + SECOND))
    await life.until_state("STOP", "TRIGGER_PENDING")


async def test_a_trade_goes_through_the_brokers_order_stream(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    entry = approval(1)
    async with trading(where, tmp_path, broker, reconcile_seconds=60) as life:
        await opened(life, broker, entry)
        stop = broker.book.requests[1]
        assert (stop.order_type, stop.quantity, stop.trigger_paise, stop.market_protection_pct) == (
            "SL-M", 65, PRICE - 10_000, 3.0,
        )  # fmt: skip
        await life.send(exit_of(entry, at_ns=TEN + 60 * SECOND))
        leaving = await life.one("SELECT * FROM orders WHERE role = 'STOP' AND state = 'CANCEL_PENDING'")
        number = leaving["broker_order_id"]

        async def cancelled():
            return broker.book.orders[number].status is BrokerStatus.CANCELLED

        await until(cancelled, life)
        broker.tell(broker.book.orders[number])
        leaving = await life.until_state("EXIT", "OPEN")
        broker.tell(broker.book.fill(leaving["broker_order_id"], PRICE + 5_000, at_ns=TEN + 61 * SECOND))
        trade = await life.one("SELECT * FROM trades WHERE state = 'CLOSED'")
        assert trade["exit_value_paise"] - trade["entry_value_paise"] == 65 * 5_000
        await life.told("RECONCILED")
        assert not [one for one in await messages(life.bus) if one.TYPE == "RECONCILE_MISMATCH"]
    assert len(broker.book.requests) == 3


async def test_what_the_stream_never_said_is_found_in_the_book(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    async with trading(where, tmp_path, broker) as life:
        await life.send(approval(1))
        row = await life.until_state("ENTRY", "OPEN")
        broker.book.fill(row["broker_order_id"], PRICE, at_ns=TEN + SECOND)
        await life.until_state("STOP", "TRIGGER_PENDING")

        async def settled():
            return [one for one in await life.told("RECONCILED") if one.differences]

        found = (await until(settled, life))[0].differences[0]
        assert (found.what, found.action) == (f"order {row['tag']}", "taken over")


@pytest.mark.parametrize("word", ["after", "before"])
async def test_an_answer_that_was_lost_is_looked_up_by_tag_and_never_sent_again(listed, tmp_path, where, word) -> None:
    broker = FakeBroker()
    broker.book.lose = [word]
    async with trading(where, tmp_path, broker) as life:
        await life.send(approval(1))
        if word == "after":
            await life.until_state("ENTRY", "OPEN")
        else:
            await life.until_state("ENTRY", "CANCELLED")
        assert await life.told("ORDER_UNKNOWN")
    assert len(broker.book.requests) == 1


async def test_an_uncertain_lookup_is_asked_again_and_not_taken_for_absence(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    broker.book.lose, broker.book.definitive = ["before"], False
    async with trading(where, tmp_path, broker) as life:
        await life.send(approval(1))
        await life.until_state("ENTRY", "UNKNOWN")
        await asyncio.sleep(0.5)
        await life.until_state("ENTRY", "UNKNOWN")
        broker.book.definitive = True
        await life.until_state("ENTRY", "CANCELLED")


async def test_a_partial_fill_makes_the_stop_follow_at_the_broker(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    async with trading(where, tmp_path, broker) as life:
        await life.send(approval(1, quantity=130))
        row = await life.until_state("ENTRY", "OPEN")
        broker.tell(broker.book.fill(row["broker_order_id"], PRICE, at_ns=TEN + SECOND, quantity=65))
        stop = await life.until_state("STOP", "TRIGGER_PENDING")
        assert stop["quantity"] == 65
        broker.tell(broker.book.fill(row["broker_order_id"], PRICE, at_ns=TEN + SECOND))
        await life.told("STOP_MOVED")
        assert broker.book.orders[stop["broker_order_id"]].quantity == 130


async def test_a_stop_that_was_changed_by_hand_is_told_again_what_it_is(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    async with trading(where, tmp_path, broker) as life:
        await opened(life, broker, approval(1))
        stop = await life.until_state("STOP", "TRIGGER_PENDING")
        number = stop["broker_order_id"]
        broker.book.orders[number] = replace(broker.book.orders[number], trigger_paise=PRICE - 90_000)

        async def righted():
            return broker.book.orders[number].trigger_paise == PRICE - 10_000

        await until(righted, life)


async def test_a_stop_that_was_cancelled_by_hand_means_out(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    async with trading(where, tmp_path, broker) as life:
        await opened(life, broker, approval(1))
        stop = await life.until_state("STOP", "TRIGGER_PENDING")
        number = stop["broker_order_id"]
        broker.book.orders[number] = replace(broker.book.orders[number], status=BrokerStatus.CANCELLED)
        leaving = await life.until_state("EXIT", "OPEN")
        assert leaving["quantity"] == 65


async def test_a_cancellation_that_was_accepted_and_not_done_is_asked_for_again(listed, tmp_path, where) -> None:
    """The exchange may turn down what the broker took on; until the stop is gone, nothing is sold."""
    broker, entry = FakeBroker(), approval(1)
    async with trading(where, tmp_path, broker) as life:
        await opened(life, broker, entry)
        broker.book.cancels_lost = 2
        await life.send(exit_of(entry, at_ns=TEN + 60 * SECOND))
        leaving = await life.until_state("EXIT", "OPEN")
        assert leaving["quantity"] == 65
    assert len(broker.book.requests) == 3


async def test_a_position_nobody_can_explain_blocks_entries_until_it_is_gone(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    broker.book.hand_made = [NetPosition("501", "NFO", "NIFTY26NOVFUT", "MIS", -65, 0, 65, 0, 0, 0)]
    async with trading(where, tmp_path, broker) as life:
        told = (await life.told("RECONCILE_MISMATCH"))[0]
        assert [(one.what, one.ours, one.brokers) for one in told.differences] == [
            ("position NIFTY26NOVFUT", "0", "-65")
        ]
        await life.send(approval(1))
        trade = await life.one("SELECT * FROM trades")
        assert (trade["state"], trade["exit_reason"]) == ("CANCELLED", "reconcile_mismatch")
        broker.book.hand_made = []
        await life.told("RECONCILED")
        await life.send(approval(2))
        await life.until_state("ENTRY", "OPEN")
    assert len(broker.book.requests) == 1


async def test_what_cannot_be_one_order_is_refused_here_with_the_reason(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    async with trading(where, tmp_path, broker) as life:
        await life.send(
            approval(1, quantity=1820), approval(2, quantity=70), approval(3, tick=5, instrument=7),
        )  # fmt: skip

        async def refused():
            found = [one.reason for one in await messages(life.bus) if one.TYPE == "ORDER_REJECTED"]
            return found if len(found) == 3 else None

        reasons = await until(refused, life)
    assert "above the freeze quantity of 1800" in reasons[0]
    assert "not a multiple of NIFTY26NOVFUT's lot of 65" in reasons[1]
    assert "is not listed at kite" in reasons[2]
    assert broker.book.requests == []


async def test_paper_and_two_brokers_at_once(listed, tmp_path, where) -> None:
    kite, dhan = FakeBroker(), FakeBroker("dhan", [replace(row, token=f"D{row.token}") for row in MASTER])
    async with trading(where, tmp_path, kite, dhan) as life:
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        await life.started(spec("s3", broker="paper", credential=None))
        await life.send(approval(1), approval(1, session="s2"), approval(1, session="s3"))

        async def all_open():
            return await life.store.pool.fetchval("SELECT count(*) FROM orders WHERE state = 'OPEN'") == 3

        await until(all_open, life)
        ticks = decode(slice_of(TEN, [PRICE] * 3).body, TICK).copy()
        ticks["instrument"] = FUTURE
        end_ns = TEN + 60 * SECOND
        await life.bus.publish([Outgoing(TICKS, "ticks", ticks.tobytes(), watermark_ns=end_ns, slice_start_ns=TEN)])
        paper = await life.one(
            "SELECT t.session_id FROM orders o JOIN trades t USING (pos_id) WHERE o.state = 'FILLED'"
        )
        assert paper["session_id"] == "s3", "the market's prices fill paper orders and nobody else's"
    assert [len(broker.book.requests) for broker in (kite, dhan)] == [1, 1]
    rows = await listed.pool.fetch("SELECT broker, token FROM broker_instruments ORDER BY broker")
    assert [tuple(row) for row in rows] == [("dhan", "D501"), ("kite", "501")]


async def test_a_login_that_does_not_work_ends_the_start_with_its_reason(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    broker.error = UNREACHABLE
    async with Life(where, tmp_path, broker) as life:
        await life.start(spec())
        row = await life.one("SELECT reason FROM sessions WHERE reason IS NOT NULL")
        assert row["reason"] == "execution: kite: no answer in 10 s"
        await life.start(spec("s2", credential="nobody"))
        row = await life.one("SELECT reason FROM sessions WHERE session_id = 's2' AND reason IS NOT NULL")
        assert "credential 'nobody' is not stored here" in row["reason"]


async def test_a_token_that_the_broker_refuses_starts_nothing_and_a_fresh_one_does(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    async with Life(where, tmp_path, broker) as life:
        broker.session.state = SessionState.EXPIRED
        await life.start(spec())
        row = await life.one("SELECT reason FROM sessions WHERE reason IS NOT NULL")
        assert "the login 'mine' is not accepted" in row["reason"]
    broker.session.state = SessionState.VALID
    async with Life(where, tmp_path, broker) as life:
        await life.started(spec("s2"))
        await opened(life, broker, approval(1, session="s2"))


async def test_a_trade_goes_on_after_a_restart_whatever_is_thought_of_its_login(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    async with trading(where, tmp_path, broker) as life:
        await opened(life, broker, approval(1))
    broker.session.state = SessionState.EXPIRED
    async with Life(where, tmp_path, broker):
        async with asyncio.timeout(10):
            while not broker.streams:
                await asyncio.sleep(0.02)


async def test_after_a_restart_the_account_is_opened_again_and_the_trade_goes_on(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    entry = approval(1)
    async with trading(where, tmp_path, broker) as life:
        await opened(life, broker, entry)
    stop = next(order for order in broker.book.orders.values() if order.trigger_paise)
    broker.book.fill(stop.broker_order_id, PRICE - 10_000, at_ns=TEN + 30 * SECOND)
    async with Life(where, tmp_path, broker) as life:
        trade = await life.one("SELECT * FROM trades WHERE state = 'CLOSED'")
        assert trade["exit_reason"] == "stop"
    assert len(broker.book.requests) == 2


async def test_a_book_that_cannot_be_read_says_nothing_and_blocks_in_time(listed, tmp_path, where) -> None:
    broker = FakeBroker()
    async with trading(where, tmp_path, broker, lost_seconds=1) as life:
        await opened(life, broker, approval(1))
        broker.book.readable = False
        await asyncio.sleep(0.5)
        assert await life.store.pool.fetchval("SELECT count(*) FROM orders WHERE state = 'TRIGGER_PENDING'") == 1
        [told] = await life.told("RECONCILE_MISMATCH")
        assert told.differences[0].brokers == "unread for 1 s"
        asked = len(broker.book.requests)
        await life.send(approval(2, at_ns=TEN + SECOND))
        await life.one("SELECT 1 FROM trades WHERE exit_reason = 'broker_lost'")
        assert len(broker.book.requests) == asked
        agreed = len(await life.told("RECONCILED"))
        broker.book.readable = True
        async with asyncio.timeout(10):
            while len(await life.told("RECONCILED")) == agreed:
                await asyncio.sleep(0.05)
        assert len(await life.told("RECONCILE_MISMATCH")) == 1
