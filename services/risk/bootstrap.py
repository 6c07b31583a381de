"""Wires risk once, at the top."""

import asyncio
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from services.risk.adapters.postgres import CONSUMER, PostgresRiskBook
from services.risk.handlers import Risk
from services.risk.kill_switch import KillSwitchState, KillWatch
from services.risk.market.headroom import HeadroomTold
from services.risk.market.marks import TICKS_STREAM, Marks
from services.risk.market.sources import SignalSources
from services.risk.market.surroundings import Surroundings
from services.risk.metrics import RiskMetrics
from services.risk.ports import RiskBook
from services.risk.recovery import RiskRecovery
from services.risk.sessions import RiskSessions
from services.risk.settings import RiskSettings
from services.risk.shared_limits import DeskLimits, KeptLimits, SharedScopes, read_desk_limits
from tradebus.bus.port import Bus
from tradebus.contracts.streams import ASKED_SOURCES, COMMANDS, MD_GAPS, ORDERS, SESSIONS, SIGNAL_SOURCES, Stream
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.consumer import Consumer, ConsumerMetrics, Policy, Publisher
from tradebus.runtime.market_time import MarketTime
from tradebus.runtime.merge import Gate, MergedInput
from tradebus.runtime.shell import Component
from tradebus.store.book import Book
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store

_GATES = (Gate(TICKS_STREAM, 1, "watermark"), Gate(ORDERS.name, 2, "event"))
_ASKED = tuple(source.name for source in ASKED_SOURCES)
_BESIDE = (*_ASKED, TICKS_STREAM, ORDERS.name, COMMANDS.name, SESSIONS.name, MD_GAPS.name)
STREAMS = (*(source.name for source in SIGNAL_SOURCES), *_BESIDE)
_SWEEP_SECONDS = 5.0
_CLOCK_SECONDS = 1.0
_GAPS_SECONDS = 10.0
_HEADROOM_SECONDS = 2.0


async def build(
    settings: RiskSettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource, timers: Timers,
    registry: CollectorRegistry,
) -> Sequence[Component]:  # fmt: skip
    """The consumer that decides, and what watches beside it."""
    publisher = Outbox(store, bus, timers=timers)
    return wire(
        settings, bus=bus, book=PostgresRiskBook(store), store=store, publisher=publisher, clock=clock, ids=ids,
        timers=timers, registry=registry,
    ).components  # fmt: skip


class WiredRisk:
    """A risk service, put together and not running."""

    def __init__(
        self, consumer: Consumer, risk: Risk, kill_switch: KillSwitchState, watches: Sequence[Component]
    ) -> None:
        self.consumer, self.risk, self.kill_switch, self.watches = consumer, risk, kill_switch, watches

    @property
    def components(self) -> Sequence[Component]:
        return [self.consumer, *self.watches]


def wire(
    settings: RiskSettings, *, bus: Bus, book: RiskBook, store: Book, publisher: Publisher, clock: Clock, ids: IdSource,
    timers: Timers, registry: CollectorRegistry, sources: Sequence[Stream] = SIGNAL_SOURCES,
) -> WiredRisk:  # fmt: skip
    """The service on any book (`store`, and what risk asks of it) and bus. Paced, data alone is time, and nothing is
    done out of turn."""
    metrics, paced = RiskMetrics(registry), settings.paced
    market_clock, speed = settings.clock_of_market(clock)
    kill_switch = KillSwitchState(book, state_dir=settings.state_dir)
    sessions = RiskSessions(
        book, clock=clock, metrics=metrics, max_signal_age_seconds=settings.max_signal_age_seconds,
        approval_valid_seconds=settings.approval_valid_seconds,
    )  # fmt: skip
    desk = read_desk_limits(settings.limits_file)
    if paced and desk != DeskLimits():
        raise InvalidInput("RISK_LIMITS_FILE: a paced run has no limits over several sessions; leave it out")
    shared = SharedScopes(None if paced else KeptLimits(store, desk, clock=clock), sessions)
    market = MarketTime(market_clock, machine=clock, speed=speed)
    surroundings = Surroundings(book, kill_switch=kill_switch, market=market, shared=shared, paced=paced)
    marks = Marks(sessions, surroundings, bus=bus, paced=paced)
    risk = Risk(sessions, surroundings, marks, kill_switch, metrics=metrics, paced=paced)

    inputs, turn = list[MergedInput](), asyncio.Lock()
    signals = SignalSources(sources, recalled=lambda: inputs[-1].recalled)
    gates = (*(Gate(stream, 0, "event") for stream in signals.streams), *_GATES)

    async def open_input() -> MergedInput:
        # One name for every instance: whoever comes next finds what the last one left.
        subscription = await bus.subscribe((*signals.streams, *_BESIDE), group=CONSUMER, consumer=CONSUMER)
        inputs[:] = [MergedInput(subscription, bus=bus, gates=gates, paced=paced)]
        return inputs[0]

    consumer = Consumer(
        "risk", open_input=open_input, handler=risk, publisher=publisher, timers=timers,
        metrics=ConsumerMetrics(registry), paced=paced, owed=signals.owed,
        policy=Policy(attempts_max=settings.attempts_max, commit_seconds=0.0), turn=turn,
    )  # fmt: skip
    watches: list[Component] = [
        KillWatch(
            kill_switch, close=risk.closing.close_all, post=consumer.post, clock=clock, ids=ids, timers=timers,
            poll_seconds=settings.kill_poll_seconds,
        )
    ]  # fmt: skip
    if not paced:
        consumer.every(_SWEEP_SECONDS, publisher.sweep, name="sweep")
        consumer.every(_GAPS_SECONDS, surroundings.load_gaps, name="gaps of data")
        consumer.every(_CLOCK_SECONDS, risk.on_time, name="market clock")
        consumer.every(_CLOCK_SECONDS, shared.load, name="shared limits")
        watches += [
            HeadroomTold(
                book, sessions, surroundings, turn=turn, timers=timers, every_seconds=_HEADROOM_SECONDS,
                metrics=metrics,
            ),
            RiskRecovery(
                book, sessions, bus=bus, take=risk.take, post=consumer.post, timers=timers, metrics=metrics,
                look_seconds=settings.look_seconds,
            ),
        ]  # fmt: skip
    return WiredRisk(consumer, risk, kill_switch, watches)
