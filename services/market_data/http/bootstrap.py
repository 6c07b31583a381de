"""Wires the API."""

from collections.abc import Sequence

import structlog
from fastapi import FastAPI

from services.market_data.http.app import create_app
from services.market_data.http.tail import StreamTail
from services.market_data.settings import ApiSettings
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.http.server import HttpServer, bind
from tradebus.runtime.shell import Component
from tradebus.store.book import Book
from tradebus.store.store import Store

_log = structlog.get_logger()


async def build_api(
    settings: ApiSettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource, timers: Timers, **_: object
) -> Sequence[Component]:
    """The HTTP API. Raises Unavailable where its port is taken."""
    tail, app = await wire_api(bus=bus, book=store, timers=timers)
    listener = bind(settings.host, settings.port, setting="MDS_PORT")
    _log.info("listening", host=settings.host, port=listener.getsockname()[1])
    return [tail, HttpServer(app, listener)]


async def wire_api(*, bus: Bus, book: Book, timers: Timers) -> tuple[StreamTail, FastAPI]:
    """What follows the streams, at their ends already, and the application that answers from it, on any book and
    bus."""
    tail = StreamTail(bus, timers=timers)
    await tail.read(block_ms=0)
    return tail, create_app(book, tail, timers=timers)
