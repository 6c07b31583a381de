"""Alerts: told once to each sink, again later where it was not taken, and no sink holds up another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from testkit.driven_time import START_NS, driven
from testkit.messages import sample

from services.gateway.alerts.book import alert_book
from services.gateway.alerts.sender import LAST_SECONDS, TELL_SECONDS, AlertSender
from services.gateway.alerts.sinks import AlertSink, NotTold
from services.gateway.alerts.stored import AlertSinkConfig, AlertSinks
from services.gateway.alerts.wording import ALERTS, together, words_of
from tradebus.contracts.base import Message
from tradebus.contracts.orders import Difference, OrderFilled, PositionUnprotected, ReconcileMismatch
from tradebus.contracts.streams import ORDERS
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.waiting.timers import sleep


class FakeSink:
    """Takes what it is told unless `refuses` or `hangs`; `at` is when it was asked, in seconds from the start."""

    def __init__(self, timers: SimulatedTimers) -> None:
        self.told: list[str] = []
        self.at: list[float] = []
        self.refuses = self.hangs = self.closed = False
        self._timers = timers

    async def tell(self, text: str, alerts: Sequence[Mapping[str, Any]]) -> None:
        self.at.append((self._timers.now_ns() - START_NS) / NANOSECONDS_PER_SECOND)
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses:
            raise NotTold("answered 503")
        self.told += [str(one["event_id"]) for one in alerts]

    async def close(self) -> None:
        self.closed = True


class World:
    def __init__(self, state_dir: Path) -> None:
        self.timers, self.database = SimulatedTimers(START_NS), MemoryDatabase()
        self.book = MemoryBook(self.database, producer="execution-1")
        self.stored = AlertSinks(state_dir, key=None)
        self.sinks: dict[str, FakeSink] = {}
        self.registry = CollectorRegistry()

    def add(self, name: str, *, number: str = "1") -> None:
        self.stored.put(AlertSinkConfig(name, "webhook", number, {"url": "https://hooks.example/x"}))

    def sink(self, config: AlertSinkConfig) -> AlertSink:
        return self.sinks.setdefault(config.key, FakeSink(self.timers))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A life of the gateway's sender."""
        self.registry = CollectorRegistry()
        sender = AlertSender(
            self.stored, alert_book(MemoryBook(self.database, producer="gateway-1")), instance="1",
            open_sink=self.sink, timers=self.timers, registry=self.registry,
        )  # fmt: skip
        stop = asyncio.Event()
        task = asyncio.create_task(sender.run(stop))
        yield
        stop.set()
        await task

    async def said(self, *ids: str, model: type[Message] = PositionUnprotected) -> None:
        async with self.book.begin() as transaction:
            for one in ids:
                transaction.emit(ORDERS.name, sample(model, event_id=one, ts_recorded_ns=self.timers.now_ns()))

    async def passes(self, seconds: float) -> None:
        await sleep(self.timers, seconds)

    async def until(self, question: Callable[[], bool], *, seconds: float = 60.0) -> None:
        for _ in range(int(seconds * 10)):
            if question():
                return
            await self.passes(0.1)
        raise AssertionError("never came")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    found = World(tmp_path)
    async with driven(found.timers):
        yield found


async def test_an_alert_is_told_to_every_sink_once_and_after_a_restart_no_more(world: World) -> None:
    world.add("phone")
    world.add("desk")
    async with world.running():
        await world.until(lambda: len(world.sinks) == 2)
        await world.passes(2)
        await world.said("e1")
        await world.said("e2", model=OrderFilled)
        phone, desk = world.sinks["phone:1"], world.sinks["desk:1"]
        await world.until(lambda: phone.told == desk.told == ["e1"], seconds=3)
        await world.passes(10)
    assert phone.closed
    assert world.registry.get_sample_value("tradebus_gateway_alerts_told_total", {"sink": "phone"}) == 1
    await world.said("e3")
    async with world.running():
        await world.until(lambda: phone.told == desk.told == ["e1", "e3"])
        await world.passes(10)
    assert phone.told == desk.told == ["e1", "e3"]


async def test_a_sink_that_hangs_and_one_that_refuses_hold_up_nobody(world: World) -> None:
    for name in ("hangs", "refuses", "works"):
        world.add(name)
    async with world.running():
        await world.until(lambda: len(world.sinks) == 3)
        world.sinks["hangs:1"].hangs = world.sinks["refuses:1"].refuses = True
        await world.passes(2)
        for number in range(5):
            await world.said(f"e{number}")
            await world.until(lambda number=number: f"e{number}" in world.sinks["works:1"].told, seconds=3)
        await world.passes(TELL_SECONDS + 5)
        hung = world.sinks["hangs:1"]
        assert len(hung.at) >= 2, "it is asked again"
        assert hung.at[1] - hung.at[0] > TELL_SECONDS
        failures = {"sink": "refuses"}
        assert world.registry.get_sample_value("tradebus_gateway_alert_sink_failures", failures) > 1
        hung.hangs = world.sinks["refuses:1"].refuses = False
        everything = [f"e{number}" for number in range(5)]
        await world.until(lambda: all(one.told == everything for one in world.sinks.values()), seconds=120)


async def test_a_sink_that_does_not_take_it_is_asked_ever_later(world: World) -> None:
    world.add("phone")
    async with world.running():
        await world.until(lambda: len(world.sinks) == 1)
        phone = world.sinks["phone:1"]
        phone.refuses = True
        await world.passes(2)
        await world.said("e1")
        await world.until(lambda: len(phone.at) == 5, seconds=120)
    pauses = [later - earlier for earlier, later in pairwise(phone.at)]
    assert all(later > earlier for earlier, later in pairwise(pauses))
    assert max(pauses) < LAST_SECONDS


async def test_the_end_waits_for_no_sink_that_hangs(world: World) -> None:
    world.add("phone")
    async with world.running():
        await world.until(lambda: len(world.sinks) == 1)
        phone = world.sinks["phone:1"]
        phone.hangs = True
        await world.passes(2)
        await world.said("e1")
        await world.until(lambda: len(phone.at) == 1)
        before_ns = world.timers.now_ns()
    assert world.timers.now_ns() - before_ns < NANOSECONDS_PER_SECOND
    assert phone.closed


async def test_sinks_come_and_go_while_it_runs_and_a_new_one_hears_nothing_old(world: World) -> None:
    async with world.running():
        world.add("phone")
        await world.until(lambda: "phone:1" in world.sinks)
        await world.passes(2)
        await world.said("e1")
        await world.until(lambda: world.sinks["phone:1"].told == ["e1"])
        world.add("phone", number="2")
        await world.until(lambda: "phone:2" in world.sinks)
        await world.passes(2)
        assert world.sinks["phone:1"].closed
        await world.said("e2")
        await world.until(lambda: world.sinks["phone:2"].told == ["e2"])
        world.stored.remove("phone")
        await world.until(lambda: world.sinks["phone:2"].closed)
        await world.said("e3")
        await world.passes(10)
    assert (world.sinks["phone:1"].told, world.sinks["phone:2"].told) == (["e1"], ["e2"])


async def test_while_the_book_is_away_nothing_is_lost(world: World) -> None:
    world.add("phone")
    async with world.running():
        await world.until(lambda: len(world.sinks) == 1)
        await world.passes(2)
        world.database.go_away()
        await world.passes(5)
        world.database.come_back()
        await world.said("e1")
        await world.until(lambda: world.sinks["phone:1"].told == ["e1"])


def differs(what: str) -> Difference:
    return Difference(what=what, ours="needed", brokers="ended", action="`tradebus login --broker kite`")


def test_every_alert_says_what_is_so_and_what_to_do() -> None:
    said = {model.TYPE: words_of(sample(model)) for model in ALERTS}
    assert said["POSITION_UNPROTECTED"].startswith("UNPROTECTED: LONG 30 BANKNIFTY has had no stop for 6 s")
    assert "tradebus flatten 123" in said["POSITION_UNPROTECTED"]
    assert said["KILL_SWITCH"].startswith("KILL: target_hit")
    assert "`tradebus approvals approve" in said["ENTRY_AWAITS_APPROVAL"]
    for what, title in [
        ("login", "LOGIN ENDED"),
        ("degraded", "ACCOUNT DEGRADED"),
        ("position X", "MISMATCH: position X"),
    ]:
        words = words_of(sample(ReconcileMismatch, differences=[differs(what).model_dump()]))
        assert words.startswith(f"{title}: ours needed")
        assert "tradebus login --broker kite" in words
    with pytest.raises(ValueError, match="is no alert"):
        words_of(sample(OrderFilled))


def test_what_is_said_of_many_sessions_alike_is_one_line() -> None:
    mismatch = [
        sample(
            ReconcileMismatch, event_id=f"e{number}", user_id=f"u{number}", differences=[differs("login").model_dump()]
        )
        for number in range(7)
    ]
    text = together([*mismatch, sample(PositionUnprotected)])
    assert len(text.splitlines()) == 2
    assert "users u0, u1, u2, u3, u4 and 2 more" in text


@given(st.sampled_from(ALERTS), st.text(max_size=2_000), st.none() | st.text(max_size=20))
def test_an_alert_is_one_line_of_bounded_length(model: type[Message], reason: str, user_id: str | None) -> None:
    changed: dict[str, Any] = {"user_id": user_id}
    for name in ("reason", "detail", "symbol", "strategy"):
        if name in model.model_fields:
            changed[name] = reason
    words = words_of(sample(model, **changed))
    assert words.isprintable()
    assert 0 < len(words) <= 400
