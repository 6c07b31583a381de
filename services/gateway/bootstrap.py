"""Wires the gateway.

trading:commands ─┐                                        ┌─► commands.v1, sessions.v1
commands stream  ─┼─► CommandHandler ─► Postgres ─► outbox ─┤
POST /api/commands┘                                        │
every service's events ─► Relay ─► trading:events, trading.events.v1 ─► EventHub ─► browsers
"""

from collections.abc import Sequence

from services.gateway.adapters.catalogue import catalogue_from
from services.gateway.adapters.logins import Logins
from services.gateway.doors import ChannelDoor, InboxDoor
from services.gateway.handlers import CommandHandler
from services.gateway.http.live import EventHub
from services.gateway.http.server import create_app
from services.gateway.relay import GROUP, STREAMS, Relay
from services.gateway.settings import GatewaySettings, api_token
from services.gateway.watchers import KillWatcher, SessionWatcher, Sweeper
from tradebus.bus.port import Bus
from tradebus.contracts.streams import COMMAND_CHANNEL, EVENT_CHANNEL
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.runtime.http_server import HttpServer, bind
from tradebus.runtime.shell import Component
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store


async def build(
    settings: GatewaySettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource
) -> Sequence[Component]:
    """Everything connected and listening, nothing running yet. Raises Unavailable where the port is taken."""
    listener = bind(settings.host, settings.port, setting="TRADEBUS_GATEWAY_PORT")
    token = api_token(settings.state_dir, settings.api_token)
    outbox = Outbox(store, bus)
    await outbox.sweep()
    watcher = SessionWatcher(
        store=store, outbox=outbox, clock=clock, start_timeout_seconds=settings.session_start_timeout_seconds
    )
    logins = Logins(settings)
    handler = CommandHandler(
        bus=bus, store=store, outbox=outbox, clock=clock, ids=ids, catalogue=catalogue_from(store, logins),
        keep_token=logins.keep_token, changed=watcher.changed,
    )  # fmt: skip
    commands = bus.listen(COMMAND_CHANNEL)
    await commands.ready()
    events = bus.listen(EVENT_CHANNEL)
    await events.ready()
    hub = EventHub(events)
    inbox = await bus.subscribe(settings.command_streams, group=GROUP, consumer=settings.instance)
    relayed = await bus.subscribe(STREAMS, group=GROUP, consumer=settings.instance)
    app = create_app(
        settings, token=token, bus=bus, store=store, clock=clock, handler=handler, hub=hub,
        inputs={"commands": inbox, "events": relayed},
    )  # fmt: skip
    return (
        Relay(bus, relayed),
        watcher,
        KillWatcher(store=store, outbox=outbox, clock=clock, path=settings.kill_file),
        Sweeper(outbox),
        ChannelDoor(commands, handler),
        InboxDoor(bus, inbox, handler),
        hub,
        HttpServer(app, listener),
    )
