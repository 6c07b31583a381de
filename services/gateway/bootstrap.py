"""Wires the gateway.

trading:commands ─┐                                        ┌─► commands.v1, sessions.v1
commands stream  ─┼─► CommandHandler ─► Postgres ─► outbox ─┤
POST /api/commands┘        └─ KILL: KillWay, past it all    │
every service's events ─► Relay ─► trading:events, trading.events.v1 ─► EventHub ─► browsers
"""

from collections.abc import Sequence

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.gateway.adapters.catalogue import catalogue_from
from services.gateway.adapters.gates import StartGates
from services.gateway.adapters.logins import StoredLogins
from services.gateway.adapters.scheduler import Scheduler, schedules_in
from services.gateway.adapters.strategy_checks import StrategyChecks
from services.gateway.adapters.views import views_of
from services.gateway.alerts.book import alert_book
from services.gateway.alerts.sender import AlertSender
from services.gateway.alerts.sinks import OpenSink, open_sink
from services.gateway.alerts.stored import AlertSinks
from services.gateway.asking.wiring import desks_of
from services.gateway.doors import ChannelDoor, ErasingSubscription, InboxHandler
from services.gateway.handlers import CONSUMER, CommandHandler
from services.gateway.hooks.door import WebhookDoor
from services.gateway.hooks.sources import WebhookSources
from services.gateway.http.live import EventHub
from services.gateway.http.server import create_app
from services.gateway.killswitch import KillWay
from services.gateway.relay import GROUP, Relay, open_relay
from services.gateway.settings import GatewaySettings, api_token
from services.gateway.watchers import KillWatcher, SessionWatcher, Sweeper
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.audit.spool import Spool
from tradebus.brokers.registry import OpenBroker, open_broker
from tradebus.bus.port import Bus
from tradebus.contracts.streams import COMMAND_CHANNEL, EVENT_CHANNEL
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.auditing import AuditKeeper, audit_folder
from tradebus.runtime.consumer import BusPublisher, Consumer, ConsumerMetrics, Policy
from tradebus.runtime.http.server import HttpServer, bind
from tradebus.runtime.merge import MergedInput
from tradebus.runtime.shell import Component
from tradebus.store.book import Book
from tradebus.store.books import audit_book, kill_switch_book, session_register
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store

_KILL_GROUP = f"{GROUP}-kill"
_POLICY = Policy(claim_idle_seconds=30.0)


async def build(
    settings: GatewaySettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource, timers: Timers,
    registry: CollectorRegistry | None = None,
) -> Sequence[Component]:  # fmt: skip
    """Everything connected and listening, nothing running yet. Raises Unavailable where the port is taken."""
    folder = audit_folder(settings.state_dir, settings.namespace)
    spool = Spool(folder, name=f"gateway-{settings.instance}", clock=clock, ids=ids)
    listener = bind(settings.host, settings.port, setting="TRADEBUS_GATEWAY_PORT")
    token = api_token(settings.state_dir, settings.api_token)
    registry = registry or CollectorRegistry()
    wired = await wire(
        settings, bus=bus, book=store, clock=clock, ids=ids, timers=timers, registry=registry, log_of=spool.of
    )
    hub, app = await wire_http(
        settings, wired.handler, token=token, bus=bus, book=store, clock=clock, timers=timers, registry=registry
    )
    keeper = AuditKeeper(folder, audit_book(store), spool, timers=timers, registry=registry)
    return (*wired.components, hub, HttpServer(app, listener), keeper)


class WiredGateway:
    """A gateway without its HTTP door, put together and not running."""

    def __init__(self, handler: CommandHandler, components: Sequence[Component]) -> None:
        self.handler, self.components = handler, components


async def wire(
    settings: GatewaySettings, *, bus: Bus, book: Book, clock: Clock, ids: IdSource, timers: Timers,
    registry: CollectorRegistry, log_of: LogOf, open_broker: OpenBroker = open_broker,
    open_sink: OpenSink = open_sink,
) -> WiredGateway:  # fmt: skip
    """Commands, the sessions they move, the kill switch and the relay, on any book and bus."""
    outbox = Outbox(book, bus, timers=timers)
    await outbox.sweep()
    register, switch = session_register(book), kill_switch_book(book)
    watcher = SessionWatcher(
        book=book, register=register, outbox=outbox, timers=timers,
        start_timeout_seconds=settings.session_start_timeout_seconds,
    )  # fmt: skip
    logins = StoredLogins(settings)
    handler = CommandHandler(
        bus=bus, book=book, register=register, switch=switch, outbox=outbox, clock=clock, ids=ids,
        kill_way=KillWay(bus=bus, book=book, outbox=outbox, switch=switch, clock=clock),
        catalogue=catalogue_from(
            book, logins, daily_max_loss_r=settings.daily_max_loss_r, paced=settings.paced
        ),
        keep_token=logins.keep_token, changed=watcher.changed,
        desks=desks_of(settings, bus=bus, book=book, register=register, clock=clock, consumer=CONSUMER),
        check_strategies=StrategyChecks(seconds_max=settings.strategy_check_seconds),
        preflight=StartGates(
            settings, open_broker=open_broker, log_of=log_of, switch=switch, clock=clock, timers=timers
        ),
    )  # fmt: skip
    scheduler = Scheduler(
        schedules_in(settings.schedules), handler.handle, book=book, register=register, timers=timers,
        clock=settings.clock_of_market(clock)[0], paced=settings.paced,
    )  # fmt: skip
    commands = bus.listen(COMMAND_CHANNEL)
    await commands.ready()
    consumers = _consumers(
        bus, handler, streams=settings.command_streams, instance=settings.instance, timers=timers, registry=registry
    )
    return WiredGateway(
        handler,
        (
            *consumers,
            watcher,
            KillWatcher(
                book=book, register=register, switch=switch, outbox=outbox, timers=timers, path=settings.kill_file
            ),
            Sweeper(outbox, timers=timers),
            _alerts(settings, book, open_sink=open_sink, timers=timers, registry=registry),
            scheduler,
            ChannelDoor(commands, handler, timers=timers),
        ),
    )


def _alerts(
    settings: GatewaySettings, book: Book, *, open_sink: OpenSink, timers: Timers, registry: CollectorRegistry
) -> AlertSender:
    return AlertSender(
        AlertSinks(settings.state_dir, key=settings.credentials_key), alert_book(book), instance=settings.instance,
        open_sink=open_sink, timers=timers, registry=registry,
    )  # fmt: skip


async def wire_http(
    settings: GatewaySettings, handler: CommandHandler, *, token: SecretStr, bus: Bus, book: Book, clock: Clock,
    timers: Timers, registry: CollectorRegistry,
) -> tuple[EventHub, FastAPI]:  # fmt: skip
    """The HTTP door: what hands events to browsers, listening already, and the application, on any book and bus."""
    events = bus.listen(EVENT_CHANNEL)
    await events.ready()
    hub = EventHub(events)
    app = create_app(
        settings, token=token, bus=bus, views=views_of(book), switch=kill_switch_book(book), clock=clock,
        handler=handler, hub=hub, registry=registry,
        hooks=WebhookDoor(
            WebhookSources(settings.state_dir, key=settings.credentials_key), handler, timers=timers
        ),
    )  # fmt: skip
    return hub, app


def _consumers(
    bus: Bus,
    handler: CommandHandler,
    *,
    streams: Sequence[str],
    instance: str,
    timers: Timers,
    registry: CollectorRegistry,
) -> list[Consumer]:
    """What reads the bus: the inbox, KILL in it, and what the services say."""

    async def inbox() -> MergedInput:
        subscription = await bus.subscribe(streams, group=GROUP, consumer=instance)
        return MergedInput(ErasingSubscription(subscription), bus=bus, gates=(), paced=False)

    async def kills() -> MergedInput:
        subscription = await bus.subscribe(streams, group=_KILL_GROUP, consumer=instance)
        return MergedInput(subscription, bus=bus, gates=(), paced=False)

    metrics, publisher = ConsumerMetrics(registry), BusPublisher(bus)
    commands, killing = InboxHandler(handler, kill=False), InboxHandler(handler, kill=True)
    return [
        Consumer(
            "inbox", open_input=inbox, handler=commands, publisher=publisher, timers=timers, metrics=metrics,
            policy=_POLICY, bury=commands.put_aside,
        ),
        Consumer(
            "kill", open_input=kills, handler=killing, publisher=publisher, timers=timers, metrics=metrics,
            policy=_POLICY, bury=killing.put_aside,
        ),
        Consumer(
            "relay", open_input=lambda: open_relay(bus, consumer=instance, timers=timers),
            handler=Relay(bus, clock=timers), publisher=publisher, timers=timers, metrics=metrics, policy=_POLICY,
            coalesce=True,
        ),
    ]  # fmt: skip
